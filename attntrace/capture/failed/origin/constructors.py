"""Which lines of the author's set a size of a module: read off the source of the constructors.

The constructors of the classes on the way from the outermost module are gone through on paper, from
the outermost in, and what comes out is held against the module that stands: nothing is claimed of a
number that it does not have. Nothing here raises, and no code of the author's runs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn

from attntrace.capture.failed.origin.outermost import outermost
from attntrace.capture.failed.origin.retrace import (
    UNKNOWN,
    Built,
    Sizes,
    Value,
    attributes,
    child,
    plain,
)
from attntrace.capture.failed.origin.told import steps_of
from attntrace.capture.failed.values.settings import constructor_settings, held
from attntrace.record import Step

_OF_WEIGHTS: dict[str, dict[str, tuple[str, ...]]] = {
    "Linear": {"weight": ("out_features", "in_features"), "bias": ("out_features",)},
    "Embedding": {"weight": ("num_embeddings", "embedding_dim")},
    "Conv": {"weight": ("out_channels", "in_channels", "kernel_size"), "bias": ("out_channels",)},
    "ConvTranspose": {
        "weight": ("in_channels", "out_channels", "kernel_size"),
        "bias": ("out_channels",),
    },
    "BatchNorm": dict.fromkeys(
        ("weight", "bias", "running_mean", "running_var"), ("num_features",)
    ),
    "GroupNorm": dict.fromkeys(("weight", "bias"), ("num_channels",)),
    "LayerNorm": dict.fromkeys(("weight", "bias"), ("normalized_shape",)),
    "RMSNorm": {"weight": ("normalized_shape",)},
    "MultiheadAttention": {"in_proj_weight": ("embed_dim", "embed_dim")},
}
"""The argument that sets each size of a parameter of torch's modules, by class without its "2d"."""


def set_by(root: nn.Module, path: str, setting: str, value: int) -> tuple[Step, ...]:
    """Return the lines that gave a module of torch's a constructor argument, the nearest first.

    `path` is the module's from `root`, `setting` the argument's name ("in_features") and `value`
    what it is. Empty where the source does not tell, or tells another number.
    """
    try:
        return tuple(_set_by(root, path, setting, value))
    except Exception:  # noqa: BLE001 - a guess about odd code must not hide the failure it explains
        return ()


def parameter_set_by(
    root: nn.Module, parameter_path: str, dim: int, value: int
) -> tuple[Step, ...]:
    """Return the lines that gave a parameter, buffer or plain tensor of a module one of its sizes.

    Where size `dim` is not `value`, the only one that is counts. Empty as for `set_by`.
    """
    try:
        return tuple(_parameter_set_by(root, parameter_path, dim, value))
    except Exception:  # noqa: BLE001 - as above
        return ()


def made_by(root: nn.Module, path: str) -> tuple[Step, ...]:
    """Return the line that made a parameter or buffer of the author's.

    Of torch's modules only one is told of that is not of the number format that most of the model has.
    """
    owner, _, name = path.rpartition(".")
    try:
        live, built = root.get_submodule(owner), built_at(root, owner)
        made = attributes(built).get(name) if built is not None else None
        tensor = held(live, name)
        if constructor_settings(live):
            return _unlike_most(root, path, tensor, built)
        if made is None or made.place is None:
            return ()
        is_plain = not isinstance(tensor, Tensor)
        what = "" if is_plain else f" {tuple(tensor.shape)} {str(tensor.dtype).partition('.')[2]}"
        said = f"`{path}`{what} is made here."
        return (Step(said=said, source=made.place.source, line=made.place.text),)
    except Exception:  # noqa: BLE001 - as above
        return ()


def _unlike_most(
    root: nn.Module, path: str, tensor: Tensor, built: Built | None
) -> tuple[Step, ...]:
    formats = Counter(parameter.dtype for parameter in root.parameters())
    most, count = formats.most_common(1)[0]
    if tensor.dtype == most:
        return ()
    names = [str(one).partition(".")[2] for one in (tensor.dtype, most)]
    said = f"`{path}` is {names[0]}, where {count} of the model's {formats.total()} parameters are "
    place = built.made.place if built is not None else None
    source, line = (place.source, place.text) if place is not None else (None, None)
    return (Step(said=f"{said}{names[1]}.", source=source, line=line),)


def _set_by(root: nn.Module, path: str, setting: str, value: int) -> Iterator[Step]:
    built = built_at(root, path)
    if built is None:
        return
    attributes(built)  # which fills torch_args
    found = (built.torch_args or built.args).get(setting)
    if found is not None and agrees(found, value) and not _is_other(built, setting, value):
        yield from steps_of(found, setting, value, path, built.made)


def _parameter_set_by(root: nn.Module, path: str, dim: int, value: int) -> Iterator[Step]:
    owner, _, name = path.rpartition(".")
    built = built_at(root, owner)
    live = root.get_submodule(owner)
    tensor = held(live, name)
    shape = tuple(tensor.shape) if isinstance(tensor, Tensor) else ()
    if not -len(shape) <= dim < len(shape) or shape[dim] != value:
        if shape.count(value) != 1:
            return
        dim = shape.index(value)
    dim %= len(shape)
    settings = constructor_settings(live)
    if settings:
        kind = type(live).__name__.rstrip("d123").removeprefix("NonDynamicallyQuantizable")
        names = _OF_WEIGHTS.get(kind, {}).get(name, ())
        if names:
            yield from _set_by(root, owner, names[min(dim, len(names) - 1)], value)
        return
    made = attributes(built).get(name) if built is not None else None
    if made is None or not isinstance(made.what, Sizes) or len(made.what.sizes) != len(shape):
        yield from made_by(root, path)
        return
    size = made.what.sizes[dim]
    if agrees(size, value):
        yield from steps_of(size, f"axis {dim}", value, path, made)


def built_at(root: nn.Module, path: str) -> Built | None:
    """Return what a module was built as, found from the outermost in."""
    built, live = outermost(root), root
    for name in path.split(".") if path else ():
        part = held(live, name)
        found = child(built, name, part)
        if found is None:
            return None
        built, live = found, part
    return built


def agrees(found: Value, value: int) -> bool:
    """Return whether an argument is the size, or holds it; one of which nobody knows may be."""
    known = plain(found)
    if known is UNKNOWN:
        return True
    return value in known if isinstance(known, tuple) else known == value and known is not True


def _is_other(built: Built, setting: str, value: int) -> bool:
    """Return whether the module that stands has another value there."""
    if not isinstance(built.live, nn.Module):
        return False
    settings: dict[str, Any] = constructor_settings(built.live)
    real = settings.get(setting, value)
    return value not in real if isinstance(real, tuple) else real != value
