"""Inside one of torch's own modules: the module that refused, and the function that it called.

The frames of torch between the author's line and the error still have what each was handed, also
where the author wrote an expression whose value is lost.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from attntrace.analysis.diagnosis.call import Key
from attntrace.capture.failed.call.written import Written
from attntrace.capture.failed.stack.frames import Level
from attntrace.capture.failed.values.settings import constructor_settings, held, torch_class

_CALLS = ("_wrapped_call_impl", "_call_impl")
_CONV = ("weight", "bias", "stride", "padding", "dilation", "groups")
_BATCH = ("running_mean", "running_var", "weight", "bias", "training", "momentum", "eps")
_FUNCTIONS: dict[str, tuple[str, tuple[str, ...]]] = {
    "Linear": ("linear", ("weight", "bias")),
    "Conv1d": ("conv1d", _CONV),
    "Conv2d": ("conv2d", _CONV),
    "Conv3d": ("conv3d", _CONV),
    "BatchNorm1d": ("batch_norm", _BATCH),
    "BatchNorm2d": ("batch_norm", _BATCH),
    "BatchNorm3d": ("batch_norm", _BATCH),
    "LayerNorm": ("layer_norm", ("normalized_shape", "weight", "bias", "eps")),
    "RMSNorm": ("rms_norm", ("normalized_shape", "weight", "eps")),
    "GroupNorm": ("group_norm", ("num_groups", "weight", "bias", "eps")),
    "Embedding": (
        "embedding",
        ("weight", "padding_idx", "max_norm", "norm_type", "scale_grad_by_freq", "sparse"),
    ),
    "Bilinear": ("bilinear", ("weight", "bias")),
    "PReLU": ("prelu", ("weight",)),
}
"""What a module's forward hands on, after its own arguments: function and attributes."""
_LOSSES: dict[str, str] = {
    "CrossEntropyLoss": "cross_entropy",
    "NLLLoss": "nll_loss",
    "MSELoss": "mse_loss",
    "L1Loss": "l1_loss",
    "BCELoss": "binary_cross_entropy",
    "BCEWithLogitsLoss": "binary_cross_entropy_with_logits",
}
_CHECKED = {"BatchNorm1d": (2, 3), "BatchNorm2d": (4,), "BatchNorm3d": (5,)}
"""How many dimensions a module asks for, which its function does not."""


@dataclass(frozen=True, slots=True)
class Handed:
    """A call of a module: what it was given."""

    module: nn.Module
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    def tensors(self) -> dict[Key, Tensor]:
        """Return its arguments that are tensors, by place or keyword."""
        named: list[tuple[Key, Any]] = [*enumerate(self.args), *self.kwargs.items()]
        return {key: value for key, value in named if isinstance(value, Tensor)}


@dataclass(frozen=True, slots=True)
class Inner:
    """The function that a module of torch's called with its weights, or the module itself."""

    op: str
    function: Callable[..., Any] | None
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    attributes: dict[int, str]
    """Which arguments are attributes of the module, and under which name: weight, bias."""


def calls_of(levels: Sequence[Level]) -> list[Handed]:
    """Return the calls of modules among the frames of torch's, the outermost first."""
    found = list[Handed]()
    for level in levels:
        if level.module == nn.Module.__module__ and level.site.code.co_name in _CALLS:
            local = level.frame.f_locals
            module, args, kwargs = local.get("self"), local.get("args"), local.get("kwargs")
            if isinstance(module, nn.Module) and not (found and found[-1].module is module):
                found.append(Handed(module, tuple(args or ()), dict(kwargs or {})))
    return found


def telling(calls: list[Handed]) -> Handed:
    """Return the call of a module that says most: the innermost, or a layer of nn.Transformer.

    Such a layer has the author's masks, which its attention gets in another form.
    """
    layers = [call for call in calls if type(call.module).__name__.startswith("Transformer")]
    return next((call for call in layers if constructor_settings(call.module)), calls[-1])


def handed_on(outer: Handed, inner: Handed, source: Written) -> dict[Key, str]:
    """Return what the author called the tensors that a module handed on to one inside.

    A tensor that was made anew on the way is known by its shape, where only one has it.
    """
    names, given = dict[Key, str](), outer.tensors()
    for key, value in inner.tensors().items():
        same = [at for at, one in given.items() if one is value]
        alike = [at for at, one in given.items() if one.shape == value.shape]
        for at in same or (alike if len(alike) == 1 else []):
            names[key] = source.name(at) or f"argument {at}"
    return names or {0: "its input"}


def parameters(call: Handed) -> Written:
    """Return what the arguments of a module are called that no line of the author's calls."""
    names = list(inspect.signature(type(call.module).forward).parameters)[1:]
    return Written(names={**dict(enumerate(names)), **{name: name for name in call.kwargs}})


def inner(call: Handed) -> Inner:
    """Return what a module of torch's did with what it was handed."""
    kind = torch_class(call.module)
    name = kind.__name__ if kind else ""
    itself = Inner(type(call.module).__name__, None, call.args, call.kwargs, {})
    tensors = [arg for arg in call.args if isinstance(arg, Tensor)]
    if name in _CHECKED and tensors and tensors[0].dim() not in _CHECKED[name]:
        return itself
    if name in _LOSSES and len(tensors) == len(call.args) == 2:
        op = _LOSSES[name]
        return Inner(op, getattr(functional, op), call.args, _of_loss(call.module), {})
    if name not in _FUNCTIONS or call.kwargs or len(tensors) != len(call.args):
        return itself
    op, names = _FUNCTIONS[name]
    try:
        handed = tuple(held(call.module, attribute) for attribute in names)
    except KeyError:  # it is parametrized
        return itself
    places = dict(enumerate(names, len(call.args)))
    return Inner(op, getattr(functional, op), (*call.args, *handed), {}, places)


def _of_loss(module: nn.Module) -> dict[str, Any]:
    names = ("weight", "ignore_index", "reduction", "label_smoothing", "pos_weight")
    own = {**vars(module), **vars(module)["_buffers"]}
    return {name: own[name] for name in names if own.get(name) is not None}
