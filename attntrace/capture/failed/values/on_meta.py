"""What a call of torch's would return, worked out on meta: shapes and formats, never values.

A temporary such as `k.transpose(-2, -1)` is gone when its line fails. The tensors that it was made
of are still there, so it is made again, of twins without data: nothing of the author's changes, no
random number is drawn, and a GPU that an error has left unusable is not asked. A call of few numbers
on the CPU is run on copies of them instead: the first one on meta imports for seconds.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache
from types import BuiltinFunctionType, FunctionType, MethodDescriptorType, WrapperDescriptorType
from typing import Any

import torch
from torch import Tensor, nn

from attntrace.capture.failed.values.reading import PLAIN_TENSORS, Unknown
from attntrace.capture.failed.values.settings import torch_class
from attntrace.capture.fence import has_hooks

_MAKING = frozenset(
    {"zeros", "ones", "empty", "full", "rand", "randn", "randint", "arange", "linspace", "eye"}
)
_LEFT_ALONE = (
    "backward",
    "register_",
    "share_memory",
    "retain_grad",
    "set_",
    "storage",
    "data_ptr",
)
"""What has effects beyond its result, or tells of memory."""
_KINDS = (FunctionType, BuiltinFunctionType, MethodDescriptorType, WrapperDescriptorType)
_ENLARGING = ("repeat", "tile", "new_", "expand", "pad", "interpolate", "upsample", "one_hot",
              "broadcast", "kron", "cartesian", "combinations", "item", "tolist", "numpy", "nonzero",
              "masked_select", "unique", "normal", "rand", "bernoulli")  # fmt: skip
"""What makes many numbers of few, or looks at those that there are."""
_MOST_COPIED, _MOST_OF_MODULE = 2**13, 2**18
"""Numbers of all tensors of a call that is run on copies, and of one of a module of torch's."""
_MOST_MEASURED = 2**16
"""Numbers that `arange` may count to make known which ids it gives."""


class OnMeta:
    """Runs calls on twins without data, and knows on which device their results would be."""

    def __init__(self) -> None:
        self._twins: dict[int, tuple[Tensor, Tensor]] = {}
        self._devices: dict[int, tuple[Tensor, torch.device]] = {}

    def device(self, tensor: Tensor) -> torch.device:
        """Return where a tensor is, of a result where it would be."""
        known = self._devices.get(id(tensor))
        return tensor.device if known is None else known[1]

    def call(self, function: Callable[..., Any], args: list[Any], kwargs: dict[str, Any]) -> Any:
        """Return what a function of torch's makes of its arguments. Raises Unknown."""
        name = getattr(function, "__name__", "")
        if name.startswith(_LEFT_ALONE) or "out" in kwargs or not is_torchs(function):
            raise Unknown(name)
        if name == "arange":
            counted = self._counted(args, kwargs)
            if counted is not None:
                return counted
        if function is getattr(torch, name, None) and name in _MAKING:
            kwargs = {"device": "cpu", **kwargs}
        device = self._aimed_at(name, args, kwargs)
        if name in ("cuda", "cpu"):
            return self._at(self.twin(args[0]).view_as(args[0]), torch.device(name))
        return self._at(self._run(function, args, kwargs, to_meta=name == "to"), device)

    def operator(self, function: Callable[..., Any], values: list[Any]) -> Any:
        """Return what an operator of Python's makes of tensors. Raises Unknown."""
        if any(isinstance(value, Tensor) for value in values):
            return self._at(self._run(function, values, {}), self._aimed_at("", values, {}))
        raise Unknown(function.__name__)

    def like(self, view: Tensor, base: Tensor) -> Tensor:
        """Return a view, which is where its base is."""
        if id(base) in self._devices:
            self._devices[id(view)] = (view, self.device(base))
        return view

    def module(self, module: nn.Module, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """Return what one of torch's own modules makes of its arguments. Raises Unknown."""
        parts = list(module.modules())
        if has_hooks(module) or any(torch_class(part) is not type(part) for part in parts):
            raise Unknown(type(module).__name__)
        held = [
            tensor
            for part in parts
            for own in (vars(part)["_parameters"], vars(part)["_buffers"])
            for tensor in own.values()
            if tensor is not None
        ]
        is_quick = _is_small([*held, *_tensors([args, [*kwargs.values()]])], _MOST_OF_MODULE)
        alike = _copied if is_quick else self.twin
        memo: dict[int, Any] = {id(tensor): alike(tensor) for tensor in held}
        twin = copy.deepcopy(module, memo).eval()  # in which nothing is drawn or counted
        run = _run_on_copies if is_quick else self._run
        return self._at(run(twin, args, kwargs), self._aimed_at("", args, kwargs))

    def _run(
        self,
        function: Callable[..., Any],
        args: list[Any],
        kwargs: dict[str, Any],
        *,
        to_meta: bool = False,
    ) -> Any:
        if not to_meta and _is_quick(function, args, kwargs):
            return _run_on_copies(function, args, kwargs)
        given = [self._twins_in(arg, to_meta=to_meta) for arg in args]
        named = {
            key: self._twins_in(value, to_meta=to_meta or key == "device")
            for key, value in kwargs.items()
        }
        try:
            return function(*given, **named)
        except Exception as error:
            raise Unknown(getattr(function, "__name__", "")) from error

    def _aimed_at(self, name: str, args: list[Any], kwargs: dict[str, Any]) -> torch.device | None:
        """Return the device of what a call returns: the one it names, else that of its tensors."""
        named = [kwargs.get("device"), *(args[1:2] if name == "to" else ())]
        if name in ("cuda", "cpu"):
            named = [torch.device(name)]
        for value in named:
            if isinstance(value, Tensor):
                return self.device(value)
            if isinstance(value, torch.device):
                return value
            if isinstance(value, str):
                return torch.device(value)
        found = list(_tensors([args, [*kwargs.values()]]))
        for tensor in (*(one for one in found if one.dim()), *found):
            return self.device(tensor)
        return None

    def _at(self, result: Any, device: torch.device | None) -> Any:
        for tensor in _tensors(result):
            self._devices[id(tensor)] = (tensor, device or tensor.device)
        return result

    def _counted(self, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """Return a short `arange` itself, whose values say which rows of a table are asked for."""
        numbers = [*args, *(kwargs[key] for key in ("start", "end", "step") if key in kwargs)]
        if any(type(number) is not int or abs(number) > _MOST_MEASURED for number in numbers):
            return None
        device = self._aimed_at("arange", args, kwargs)
        try:
            return self._at(torch.arange(*args, **{**kwargs, "device": "cpu"}), device)
        except Exception as error:
            raise Unknown("arange") from error

    def _twins_in(self, value: Any, *, to_meta: bool) -> Any:
        if isinstance(value, Tensor):
            return self.twin(value)
        if type(value) in (list, tuple):
            return type(value)(self._twins_in(part, to_meta=to_meta) for part in value)
        if to_meta and (isinstance(value, torch.device) or _names_device(value)):
            return torch.device("meta")
        if isinstance(value, slice) and any(
            isinstance(part, Tensor) for part in (value.start, value.stop, value.step)
        ):
            raise Unknown("slice")
        return value

    def twin(self, tensor: Tensor) -> Tensor:
        """Return a tensor on meta of the same shape, strides and format.

        Raises:
            Unknown: it has no one shape, or is of a class of its own.

        """
        if tensor.is_meta and id(tensor) in self._devices:
            return tensor
        known = self._twins.get(id(tensor))
        if known is None:
            if type(tensor) not in PLAIN_TENSORS or tensor.layout is not torch.strided:
                raise Unknown(type(tensor).__name__)
            twin = torch.empty_strided(
                tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta"
            ).requires_grad_(tensor.requires_grad)
            known = self._twins[id(tensor)] = tensor, twin
        return known[1]


def _is_quick(function: Callable[..., Any], args: list[Any], kwargs: dict[str, Any]) -> bool:
    """Return whether a call is of so few numbers that it can run on copies of its tensors."""
    tensors = _tensors([args, [*kwargs.values()]])
    name = getattr(function, "__name__", "")
    return (
        bool(tensors)
        and not {"device", "out"} & kwargs.keys()
        and not name.startswith(_ENLARGING)
        and not (name == "__getitem__" and any(one.dtype is torch.bool for one in tensors))
        and _is_small(tensors, _MOST_COPIED)
    )


def _is_small(tensors: list[Tensor], most: int) -> bool:
    return all(map(_is_copied, tensors)) and sum(one.numel() for one in tensors) <= most


def _is_copied(tensor: Tensor) -> bool:
    is_plain = type(tensor) in PLAIN_TENSORS and tensor.layout is torch.strided
    return is_plain and tensor.device.type == "cpu" and not tensor.is_quantized


def _run_on_copies(function: Callable[..., Any], args: list[Any], kwargs: dict[str, Any]) -> Any:
    """Return what a call makes of copies of its tensors, which are few numbers."""
    given = [_copied(arg) for arg in args]
    named = {key: _copied(value) for key, value in kwargs.items()}
    try:
        with torch.random.fork_rng(devices=()):
            return function(*given, **named)
    except Exception as error:
        raise Unknown(getattr(function, "__name__", "")) from error


def _copied(value: Any) -> Any:
    """Return a tensor of the same numbers, shape and strides."""
    if isinstance(value, Tensor):
        bare = value.detach()
        if 0 not in value.stride():
            bare = torch.empty_strided(value.shape, value.stride(), dtype=value.dtype).copy_(bare)
        return bare.requires_grad_(value.requires_grad)
    return type(value)(map(_copied, value)) if type(value) in (list, tuple) else value


def is_torchs(function: Any) -> bool:
    """Return whether a function is one of torch's that take and make tensors."""
    if not is_function(function):
        return False
    name = function.__name__
    makes = name in _MAKING and function is getattr(torch, name, None)
    makes_alike = name.startswith("new_") and function is getattr(Tensor, name, None)
    return makes or makes_alike or function in _functions()


def is_function(value: Any) -> bool:
    """Return whether a value is a function of Python's or of C's, and no object that is called."""
    return isinstance(value, _KINDS)


@cache
def _functions() -> frozenset[Any]:
    known = torch.overrides.get_overridable_functions().values()
    return frozenset(function for functions in known for function in functions)


def _tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, (tuple, list)):
        return [tensor for part in value for tensor in _tensors(part)]
    return []


def _names_device(value: Any) -> bool:
    return isinstance(value, str) and value.split(":")[0] in ("cpu", "cuda", "mps", "meta", "xpu")
