"""Trying a call again: as it was, where it must fail, and as proposed, where it must work.

A small call of a run on the CPU is tried there, on zeros and on the smallest and largest ids: its
rules are all in force, also those about values, and the first op on meta imports for a second. Any
other is tried on meta, where shapes and number formats have their rules and nothing is computed.
That all tensors must be on one device is checked by rule.
"""

from __future__ import annotations

import operator
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from attntrace.analysis.diagnosis import Called, FailedCall, Given, Proposal
from attntrace.record import Fix

MOST_ELEMENTS = 2**22
"""Of all tensors of a call together that is tried on the CPU."""
MOST_OFFERED = 3
_MIXES_DEVICES = frozenset({"copy_", "to", "setitem", "getitem"})


def _taken_apart(
    value: Tensor, wanted: int, names: Any = (), of: str | None = None, **_: Any
) -> None:
    """Take a tensor apart along its first axis, or its shape, into so many names."""
    del names
    if (value.dim() if of == "shape" else len(value)) != wanted:
        raise ValueError(wanted)


_OPERATORS: dict[str, Callable[..., Any]] = {
    "getitem": operator.getitem, "setitem": operator.setitem, "unpack": _taken_apart
}  # fmt: skip
_TEXTS = ("torch.", "cpu", "cuda", "meta", "mps")
_FORMATS = {str(kind): kind for kind in vars(torch).values() if isinstance(kind, torch.dtype)}


@dataclass(frozen=True, slots=True)
class Trial:
    """One failed call, and where running it again fails as well."""

    call: FailedCall
    function: Callable[..., Any] | None
    """What was called; None where only its name is known."""
    device: str | None
    """Where it fails again: "meta", "cpu" or "rule" for tensors on several devices; None if it
    cannot be repeated."""

    @classmethod
    def of(cls, call: FailedCall, function: Callable[..., Any] | None) -> Trial:
        """Run the call as it was, on the CPU or on meta, where it fails."""
        if not on_one_device(call):
            return cls(call, function, "rule")
        on_cpu = all(tensor.device == "cpu" for _, tensor in call.tensors())
        for device in ("cpu", "meta") if on_cpu else ("meta", "cpu"):
            trial = cls(call, function, device)
            if trial.fails(call):
                return trial
        return cls(call, function, None)

    def fixes(self, proposals: tuple[Proposal, ...]) -> tuple[Fix, ...]:
        """Return those that work, in their order; advice that no trial can judge if there are none.

        Where the call cannot be repeated nothing is tried, and each says so.
        """
        found = [self._fix(one) for one in proposals if one.call is not None]
        works = [fix for fix in found if fix is not None]
        advice = [Fix(said=one.said, code=one.code) for one in proposals if one.call is None]
        if self.device is None:
            return tuple(dict.fromkeys([*works, *advice]))[:MOST_OFFERED]
        return tuple((works or advice)[:MOST_OFFERED])

    def _fix(self, proposal: Proposal) -> Fix | None:
        assert proposal.call is not None, "it can be run"
        if self.device is None:
            return Fix(said=proposal.said, code=proposal.code)
        if self.fails(proposal.call) is not False or not on_one_device(proposal.call):
            return None
        where = "cpu" if self.device == "cpu" else "meta"
        return Fix(said=proposal.said, code=proposal.code, tried=f"on {where}")

    def fails(self, call: FailedCall) -> bool | None:
        """Run a call; return whether it raised, None where it could not be set up."""
        device = "meta" if self.device == "rule" else self.device or "meta"
        if device == "cpu" and _elements(call) > MOST_ELEMENTS:
            return None
        with warnings.catch_warnings(), torch.random.fork_rng(devices=()):
            warnings.simplefilter("ignore")
            try:
                function = self._function(call, device)
                args = _made(call.args, device)
                kwargs = {key: _made(value, device) for key, value in call.kwargs.items()}
            except Exception:  # noqa: BLE001 - whatever it is, it says nothing of the call
                return None
            try:
                function(*args, **kwargs)
            except Exception:  # noqa: BLE001 - that is the question
                return True
        return False

    def _function(self, call: FailedCall, device: str) -> Callable[..., Any]:
        if call.module is not None and call.module.type == call.op:
            return built(call.module, device)
        if call.op == self.call.op and self.function is not None:
            return self.function
        return named(call.op)


def built(module: Called, device: str) -> nn.Module:
    """Return a module of torch's of the same settings, without dropout."""
    kind: Callable[..., nn.Module] = getattr(nn, module.type)
    try:
        return kind(**module.settings, device=device).eval()
    except TypeError:  # it has no tensors of its own
        return kind(**module.settings).eval()


def named(op: str) -> Callable[..., Any]:
    """Return the function of torch's of a name. Raises LookupError where there is none."""
    if op in _OPERATORS:
        return _OPERATORS[op]
    ways = [(functional, op), (torch, op), (Tensor, op), (Tensor, f"__{op}__")]
    function: Callable[..., Any] | None = next(
        (getattr(place, name) for place, name in ways if callable(getattr(place, name, None))), None
    )
    if function is None:
        raise LookupError(op)
    return function


def on_one_device(call: FailedCall) -> bool:
    """Return whether the tensors of a call are on one device; a number on the CPU counts not."""
    if call.op in _MIXES_DEVICES:
        return True
    tensors = [tensor for _, tensor in call.tensors()]
    return len({_device(t) for t in tensors if t.shape or _device(t) != "cpu"}) < 2


def _device(tensor: Given) -> str:
    device = tensor.device
    for method, args in tensor.steps:
        if method in ("cpu", "cuda"):
            device = method
        elif method == "to":
            device = next((text for text in args if _is_device(text)), device)
    return device


def _is_device(value: object) -> bool:
    return isinstance(value, str) and not value.startswith("torch.")


def _elements(call: FailedCall) -> int:
    return sum(torch.Size(tensor.shape or ()).numel() for _, tensor in call.tensors())


def _made(value: Any, device: str) -> Any:
    """Return an argument with tensors in the place of their descriptions."""
    if isinstance(value, Given):
        return _tensor(value, device)
    if isinstance(value, (tuple, list)):
        return type(value)(_made(item, device) for item in value)
    if isinstance(value, dict):
        return {key: _made(item, device) for key, item in value.items()}
    if isinstance(value, str):
        return _meant(value, device)
    return value


def _meant(text: str, device: str) -> Any:
    """Return the format or the device that a text stands for; any other text is itself."""
    if text in _FORMATS:
        return _FORMATS[text]
    return device if text.split(":", maxsplit=1)[0] in _TEXTS else text


def _tensor(one: Given, device: str) -> Tensor:
    shape, dtype = one.shape or (), _FORMATS[f"torch.{one.dtype}"]
    if one.stride is None:
        tensor = torch.zeros(shape, dtype=dtype, device=device)
    else:
        tensor = torch.empty_strided(shape, one.stride, dtype=dtype, device=device)
        if device == "cpu" and 0 not in one.stride:
            tensor.zero_()
    if device == "cpu" and one.least is not None and one.most is not None and tensor.numel():
        tensor.fill_(one.least)
        tensor[(-1,) * tensor.dim()] = one.most
    if one.requires_grad:
        tensor = tensor.requires_grad_()
        tensor = tensor if one.is_leaf else tensor.view_as(tensor)
    for method, args in one.steps:
        tensor = getattr(tensor, method)(*(_made(arg, device) for arg in args))
    return tensor
