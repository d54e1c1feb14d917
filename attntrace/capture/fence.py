"""What PyTorch does not offer in public, each thing in one function that does without it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from types import FrameType, FunctionType
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.hooks import RemovableHandle

_FIELDS: WeakKeyDictionary[type, list[str]] = WeakKeyDictionary()
VIEWS = torch._C.DispatchKey.ADInplaceOrView
SAVED_FIELDS = ("data", "unpack_hook")


unasked = torch._C.DisableTorchFunctionSubclass
"""In a block of it, looking at a tensor does not run the `__torch_function__` of its class, which is
the author's own: it may count, or refuse. It is documented, though it lies in `torch._C`."""


def node_of(tensor: Tensor) -> Any:
    """Return the node of the graph that made a tensor, None where there is none.

    Autograd does not tell, but raises, of a view that was made under `no_grad` and written into.
    """
    with unasked():
        try:
            return tensor.grad_fn
        except RuntimeError:
            return None


def is_innermost(mode: TorchFunctionMode) -> bool | None:
    """Return whether a function mode is on top of the stack, so that popping pops it.

    There is no public way to ask. Where the private one is gone the answer is None, and the mode
    stays on: modules that ask whether they are watched then take their watched path.
    """
    top = getattr(torch.overrides, "_get_current_function_mode", None)
    return None if top is None else top() is mode


def is_active(mode: TorchDispatchMode) -> bool:
    """Return whether a dispatch mode is on the stack of this thread.

    Threads of autograd's own have the stack of the thread that called backward. There is no public
    way to ask. Where the private one is gone the answer is False.
    """
    stack = getattr(torch.utils._python_dispatch, "_get_current_dispatch_mode_stack", None)
    return stack is not None and any(found is mode for found in stack())


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
    if composite(func.name(), VIEWS):  # it is noted where this returns
        return run(key, *args, **kwargs)
    with _views_noted():
        return run(key, *args, **kwargs)


@contextmanager
def _views_noted() -> Iterator[None]:
    """Let a view know its base, as outside of a mode, where torch offers a way to.

    A view of what needs a gradient needs one too, and `matmul` asks for that before it picks its
    kernel. While a mode handles an op, what would note the base is left out.
    """
    excluded = getattr(torch._C, "_dispatch_tls_is_dispatch_key_excluded", None)
    exclude = getattr(torch._C, "_dispatch_tls_set_dispatch_key_excluded", None)
    if excluded is None or exclude is None:
        yield
        return
    before = excluded(VIEWS)
    exclude(VIEWS, False)
    try:
        yield
    finally:
        exclude(VIEWS, before)


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


def checkpoint_of(node: Any) -> Any:
    """Return the frame of `torch.utils.checkpoint` that a node's saved tensors wait for, or None.

    There is no public way to ask. The frame is what the hooks that checkpoint without reentrance
    puts on saved tensors close over.
    """
    for name in _FIELDS.get(type(node), ()):
        found = getattr(node, name)
        for item in found if isinstance(found, (tuple, list)) else (found,):
            frame = _closed_over(getattr(item, "unpack_hook", None)).get("frame")
            if hasattr(frame, "get_inputs") and hasattr(frame, "recompute_fn"):
                return frame
    return None


def kept_by(frame: Any) -> list[Any]:
    """Return what a frame of `torch.utils.checkpoint` holds in order to run its function again."""
    closed = _closed_over(frame.recompute_fn)
    context = getattr(closed.get("recompute_context"), "args", ())
    return [frame.get_inputs(), closed.get("kwargs"), context]


def _closed_over(function: Any) -> dict[str, Any]:
    code, cells = getattr(function, "__code__", None), getattr(function, "__closure__", None)
    if code is None or cells is None:
        return {}
    held = {}
    for name, cell in zip(code.co_freevars, cells, strict=True):
        with suppress(ValueError):  # not set yet, or no more
            held[name] = cell.cell_contents
    return held


def run_backward(outputs: list[Tensor], seeds: list[Tensor]) -> None:
    """Run backward with the function modes on, for what runs forward again in it.

    The public functions hand themselves to the modes, which are off while they handle a call.
    """
    engine = getattr(torch.autograd.graph, "_engine_run_backward", None)
    if engine is None:
        torch.autograd.backward(outputs, seeds)
        return
    flags = {"allow_unreachable": True, "accumulate_grad": True}
    engine(tuple(outputs), tuple(seeds), False, False, (), **flags)


def is_early_stop(error: BaseException) -> bool:
    """Return whether an error is how `torch.utils.checkpoint` ends a second run: it is none."""
    return type(error).__name__ == "_StopRecomputationError"


def unguarded(function: Any) -> Any:
    """Return a function of `torch.nn.functional` that does not hand itself to an active mode.

    Under a function mode such a function calls the mode instead of running, and the mode cannot
    run it and stay active. The copy has the same code, and `has_torch_function` is false to it.
    """
    return _copied(function, {"has_torch_function": lambda _: False}, {})


def on_meta_too(forward: Any, functional: Any) -> Any:
    """Return a copy of the forward of `nn.MultiheadAttention` or `nn.TransformerEncoderLayer` that
    takes meta for one of the devices that have its fused kernel. There is no other way to ask.

    `functional` is what it has for `torch.nn.functional`.
    """
    names = {"F": functional}
    check = getattr(torch.nn.modules.activation, "_check_arg_device", None)
    if check is not None:
        names["_check_arg_device"] = _copied(check, {}, {"cpu": "meta"})
    return _copied(forward, names, {"cpu": "meta"})


def _copied(function: Any, names: dict[str, Any], constants: dict[str, str]) -> Any:
    """Return a copy of a function with other globals and constants; nothing of torch is changed."""
    code = function.__code__
    swapped = tuple(
        constants.get(value, value) if isinstance(value, str) else value for value in code.co_consts
    )
    copy = FunctionType(
        code.replace(co_consts=swapped),
        {**function.__globals__, **names},
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy


@contextmanager
def unwatched() -> Iterator[None]:
    """Run calls of torch's that no mode sees, be it ours or the author's.

    The second of the two that turn modes off has no public name; without it a dispatch mode of the
    author's sees them.
    """
    undispatched = getattr(torch._C, "_DisableTorchDispatch", nullcontext)
    with torch._C.DisableTorchFunction(), undispatched():
        yield


def stored_values(tensor: Tensor) -> int | None:
    """Return how many values a sparse tensor holds, without a mode seeing that it is asked.

    Its values are a tensor, and to ask for it is a call of its own. Where that cannot be done the
    answer is None.
    """
    unseen = getattr(torch._C, "_DisableTorchDispatch", None)
    count = getattr(tensor, "_nnz", None)
    if unseen is None or count is None:
        return None
    with unseen(), torch._C.DisableTorchFunction():
        return int(count())


def is_view(tensor: Tensor) -> bool:
    """Return whether a tensor is a view that keeps its base alive.

    There is no public way to ask. Where the private one is gone the answer is False.
    """
    return getattr(tensor, "_base", None) is not None


def has_hooks(module: nn.Module) -> bool:
    """Return whether a forward hook is on a module or on any in it; False where torch hides it."""
    names = ("_forward_hooks", "_forward_pre_hooks")
    return any(getattr(part, name, None) for part in module.modules() for name in names)


def has_global_hooks() -> bool:
    """Return whether a hook is on every module there is; False where torch hides it."""
    names = ("_global_forward_hooks", "_global_forward_pre_hooks")
    return any(getattr(nn.modules.module, name, None) for name in names)


def keywords_of(call: FrameType) -> dict[str, Any]:
    """Return the keyword arguments of the module whose call runs a global hook, {} if torch hides
    them. Only a hook of one module may ask for them, and some modules look whether they have one.
    """
    own = call.f_globals.get("__name__") == nn.Module.__module__
    found = call.f_locals.get("kwargs") if own else None
    return found if isinstance(found, dict) else {}


def unhook(hook: RemovableHandle) -> None:
    """Take away a global forward hook that was given keyword arguments, its mark included.

    torch leaves that mark behind, upon which every compiled module warns of hooks, and there is no
    public way to it. Where the private one is gone, torch is taken to have removed it.
    """
    hook.remove()
    getattr(nn.modules.module, "_global_forward_hooks_with_kwargs", {}).pop(hook.id, None)


def before_compiling(called: Any) -> Any:
    """Return what `torch.compile` made a module or a function of; anything else as it is.

    There is no public way to ask. Where the private mark is gone it is returned as it is.
    """
    return getattr(called, "__dict__", {}).get("_torchdynamo_orig_callable", called)


def is_compiled(called: Any) -> bool:
    """Return whether `torch.compile` has compiled a module, in place or wrapped, or a function.

    There is no public way to ask. Where the private marks are gone the answer is False.
    """
    in_place = getattr(called, "__dict__", {}).get("_compiled_call_impl")
    return in_place is not None or before_compiling(called) is not called


def is_profiling() -> bool:
    """Return whether a profiler of torch's is at work on this thread.

    There is no public way to ask. Where the private one is gone the answer is False.
    """
    asked = getattr(torch.autograd, "_profiler_enabled", None)
    return asked is not None and bool(asked())
