"""Code of the user's own once more on meta, with other sizes."""

from __future__ import annotations

import logging
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, fields, is_dataclass
from inspect import Parameter
from io import StringIO
from itertools import islice
from typing import Any

import torch

from attntrace.analysis.probing import Sketch
from attntrace.analysis.resizing import Resize, Sizes
from attntrace.capture import sketch
from attntrace.capture.twin import Call, Names, dimensions_of, inputs_of, on_meta, resized
from attntrace.record import Device
from attntrace.spec import Subject
from attntrace.spec.target import HF
from attntrace.subjects.configs import kind_of, nested
from attntrace.subjects.hugging_face import settings_of
from attntrace.subjects.signatures import signature_of

_NO_SIZE = re.compile(
    r"layer|depth|blocks$|stages$|repeats?$|seed|rank$|_ids?$|_index$|idx|max_|_max|version|eps"
)
"""Whole numbers that count what runs, or no dimension at all."""
_MOST_NUMBERS = 40
"""Those that are tried: of hundreds, some formula would fit anything."""


@dataclass(frozen=True, slots=True)
class Resizable:
    """What can be run with other sizes: the sizes, and how."""

    sizes: Sizes
    run: Resize


def of_call(call: Call, named: Mapping[str, tuple[str, ...]] | None = None) -> Resizable:
    """Return what runs a call with inputs of other sizes; `named` are words for dimensions.

    The call is copied, without memory, before anything runs. Raises whatever refuses that.
    """
    there, as_device = dimensions_of(call, named), _device_of(call)
    twin = on_meta(call)

    def run(values: Mapping[str, int], most: int) -> Sketch | None:
        with unheard():
            subject, args, kwargs = resized(on_meta(twin), there.names, values)
            return sketch(subject, args, kwargs, as_device, most)

    return Resizable(Sizes(there.sizes), run)


def _device_of(call: Call) -> Device:
    """Return what a run on meta would have to speak for."""
    own = call[0].parameters() if isinstance(call[0], torch.nn.Module) else iter(())
    tensors = (*islice(own, 1), *(tensor for _, tensor in inputs_of(call)))
    return "cuda" if any(tensor.is_cuda for tensor in tensors) else "cpu"


def of_subject(
    subject: Subject, value: Any, call: Call, rebuild: Callable[[Subject], Call], names: Names
) -> Resizable:
    """Return what builds a subject with other sizes and runs it.

    `value` is what the target's name stands for, `names` are the user's words for dimensions.
    """
    inputs = dimensions_of(call, _by_name(call, names))
    init = dict(islice(_whole_numbers(subject, value), _MOST_NUMBERS))
    short = {path.rpartition(".")[2]: path for path in init}
    parts = {name: init[path] for name, path in short.items()}
    now = {**subject.sizes, **{n: v for n, v in parts.items() if n not in subject.sizes}}
    now |= {n: v for n, v in inputs.sizes.items() if n not in now}
    as_device: Device = subject.run.as_device or (
        "cuda" if subject.run.device.startswith("cuda") else "cpu"
    )

    def run(values: Mapping[str, int], most: int) -> Sketch | None:
        changed = subject.model_copy(
            update={
                "init": {**subject.init, **{short[n]: v for n, v in values.items() if n in short}},
                "sizes": {n: values.get(n, v) for n, v in subject.sizes.items()},
                "run": subject.run.model_copy(update={"device": "meta", "as_device": as_device}),
            }
        )
        with unheard():
            try:
                again = resized(rebuild(changed), inputs.names, values)
            except Exception:  # noqa: BLE001 - whatever refuses other sizes
                return None
            return sketch(*again, as_device, most)

    return Resizable(Sizes(now, frozenset(parts)), run)


def _by_name(call: Call, names: Names) -> dict[str, tuple[str, ...]]:
    pairs = zip(inputs_of(call), names, strict=True)
    return {name: axes for (name, _), axes in pairs if axes}


def _whole_numbers(subject: Subject, value: Any) -> Iterator[tuple[str, int]]:
    """Yield the whole numbers that the code is made with, given or by default, by dotted name."""
    if callable(value) and not isinstance(value, torch.nn.Module):
        signature = signature_of(value)
        given = nested(subject.init)
        for name, parameter in (signature.parameters if signature else {}).items():
            if name in given or parameter.default is not Parameter.empty:
                kind = kind_of(value, name)
                yield from _numbers(name, given.get(name, parameter.default), kind)
    elif subject.target.startswith(HF):
        settings = {**settings_of(subject.target.removeprefix(HF)), **subject.init}
        yield from (pair for name, given in settings.items() for pair in _numbers(name, given))


def _numbers(path: str, value: Any, kind: type | None = None) -> Iterator[tuple[str, int]]:
    if type(value) is int and value > 0 and not _NO_SIZE.search(path.rpartition(".")[2]):
        yield path, value
    elif isinstance(value, Mapping) or (value is None and kind is not None):
        defaults = {f.name: f.default for f in fields(kind)} if is_dataclass(kind) else {}
        for name, item in {**defaults, **(value or {})}.items():
            yield from _numbers(f"{path}.{name}", item)


@contextmanager
def unheard() -> Iterator[None]:
    """Let code say nothing twice, and draw no random number of the user's."""
    disabled = logging.root.manager.disable
    with (
        torch.random.fork_rng(devices=[]),
        warnings.catch_warnings(),
        redirect_stdout(StringIO() if sys.stdout is not None else None),
        redirect_stderr(StringIO() if sys.stderr is not None else None),
    ):
        warnings.simplefilter("ignore")
        logging.disable()
        try:
            yield
        finally:
            logging.disable(disabled)
