"""Copies on meta of a module and of what it was given, to run a crashed forward again for its rows.

The author's forward runs a second time, on copies: its weights, its inputs and whatever state hangs
on either stay as the crash left them.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

import torch
from torch import nn

from attntrace.capture.failed.stack.frames import Frames
from attntrace.capture.failed.stack.inside import Handed, calls_of
from attntrace.capture.failed.values.on_meta import OnMeta
from attntrace.capture.fence import has_global_hooks, has_hooks, is_compiled, unwatched
from attntrace.capture.structure import tensors_in


def outermost(frames: Frames) -> Handed | None:
    """Return the outermost call of a module on the stack, None where it must not run twice."""
    calls = calls_of(frames.levels)
    return calls[0] if calls and _may_repeat(calls[0].module) else None


def runs(call: Handed) -> bool | None:
    """Return whether a call of a module runs, on a copy on meta; None where it must not run."""
    if not _may_repeat(call.module):
        return None
    copied = on_meta(call)
    with once_more():
        try:
            copied.module(*copied.args, **copied.kwargs)
        except Exception:  # noqa: BLE001 - that is the question
            return False
    return True


@contextmanager
def once_more() -> Iterator[None]:
    """Run the author's code again: it warns no second time, and draws no random numbers away."""
    with torch.random.fork_rng(devices=()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _may_repeat(module: nn.Module) -> bool:
    """Return whether a module may run again: without hooks, which may do anything, not compiled,
    and not where it may wait for other processes.
    """
    shared = torch.distributed.is_available() and torch.distributed.is_initialized()
    return not (shared or has_global_hooks() or has_hooks(module) or is_compiled(module))


def on_meta(call: Handed) -> Handed:
    """Return a copy of a call with each tensor on meta, also those that are no buffers.

    Raises:
        Exception: whatever stands in the way: the author's `__deepcopy__`, a sparse tensor.

    """
    twins = OnMeta()
    held = [list(vars(part).values()) for part in call.module.modules()]
    found = tensors_in([held, list(call.args), call.kwargs])
    stored = (part for module in call.module.modules() for part in _own(module))
    with unwatched():
        memo: dict[int, Any] = {id(t): twins.twin(t) for t in chain(found, stored)}
    for part in call.module.modules():
        for parameter in vars(part)["_parameters"].values():
            if parameter is not None:
                memo[id(parameter)] = nn.Parameter(memo[id(parameter)], parameter.requires_grad)
    module, args, kwargs = copy.deepcopy((call.module, call.args, call.kwargs), memo)
    return Handed(module, args, kwargs)


def _own(module: nn.Module) -> list[Any]:
    own = vars(module)
    held = chain(own["_parameters"].values(), own["_buffers"].values())
    return [tensor for tensor in held if tensor is not None]
