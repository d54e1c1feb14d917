"""What PyTorch does not offer in public, each thing in one function that does without it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

_FIELDS: dict[type, list[str]] = {}
SAVED_FIELDS = ("data", "unpack_hook")


def is_innermost(mode: TorchFunctionMode) -> bool:
    """Return whether a function mode is on top of the stack, so that popping pops it.

    There is no public way to ask. Where the private one is gone the answer is False, and the mode
    stays on: modules that ask whether they are watched then take their watched path.
    """
    top = getattr(torch.overrides, "_get_current_function_mode", None)
    return top is not None and top() is mode


def taken_apart(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run an op that reached the dispatch mode whole by the ops that it consists of.

    Only in inference mode does that happen: there `linear` and `matmul` come as one op, which would
    hide their products and copies. This runs the C++ kernel that would have run; the public
    `OpOverload.decompose` prefers decompositions in Python, with other ops and other bits. Returns
    NotImplemented where the op is no composite, or PyTorch offers no such way any more.
    """
    composite = getattr(torch._C, "_dispatch_has_kernel_for_dispatch_key", None)
    run = getattr(func, "_op_dk", None)
    key = torch._C.DispatchKey.CompositeImplicitAutograd
    if composite is None or run is None or not composite(func.name(), key):
        return NotImplemented
    return run(key, *args, **kwargs)


def saved_tensors(node: Any) -> list[Tensor | None] | None:
    """Return the tensors that one autograd node keeps for backward, None if that cannot be told.

    `saved_tensors_hooks` are the public way to see them, but they stay in the graph, and turn off
    its check for in-place changes. The `_raw_saved_` attributes are documented; that the objects
    behind them have `data` and `unpack_hook` is not. A tensor that the author's own hooks packed is
    theirs and is left alone, None in the list: unpacking it could load a file or run a forward.
    """
    names = _FIELDS.get(type(node))
    if names is None:
        names = _FIELDS[type(node)] = [n for n in dir(node) if n.startswith("_raw_saved_")]
    found = [getattr(node, name) for name in names]
    flat = [item for one in found for item in (one if isinstance(one, (tuple, list)) else (one,))]
    if not all(hasattr(item, field) for item in flat for field in SAVED_FIELDS):
        return None
    kept = [s for s in flat if s.unpack_hook is not None or isinstance(s.data, Tensor)]
    return [None if s.unpack_hook is not None else s.data for s in kept]


def is_view(tensor: Tensor) -> bool:
    """Return whether a tensor is a view that keeps its base alive.

    There is no public way to ask. Where the private one is gone the answer is False.
    """
    return getattr(tensor, "_base", None) is not None
