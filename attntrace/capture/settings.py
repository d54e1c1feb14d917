"""How a module of torch's was made: what no row, shape or parameter shows, such as a head count."""

from __future__ import annotations

from math import isfinite
from typing import Any

from torch import nn

from attntrace.record.runs import Setting

SETTINGS = (
    # attention, transformer layers, recurrent networks
    "num_heads", "batch_first", "norm_first", "activation", "add_zero_attn", "dropout", "num_layers",
    "bidirectional", "nonlinearity", "mode",
    # convolutions, pools, resizing
    "kernel_size", "stride", "padding", "dilation", "groups", "padding_mode", "output_padding",
    "ceil_mode", "count_include_pad", "divisor_override", "output_size", "scale_factor",
    "align_corners", "upscale_factor", "downscale_factor",
    # norms, activations, dropout
    "num_groups", "eps", "momentum", "track_running_stats", "p", "dim", "approximate",
    "negative_slope", "alpha", "beta", "threshold", "lambd", "min_val", "max_val", "lower", "upper",
    "value", "start_dim", "end_dim",
    # embeddings, losses, distances
    "padding_idx", "max_norm", "norm_type", "reduction", "ignore_index", "label_smoothing", "margin",
    "delta", "norm", "keepdim",
)  # fmt: skip
"""The attributes that are looked at; a list of ours, since torch's changes with its version."""
_FUNCTIONS = ("activation",)


def settings_of(module: nn.Module) -> dict[str, Setting]:
    """Return the settings of a module that torch.nn defines, or of a class made from one, by name.

    A tuple of equal numbers is written as one of them, since torch means the same by `3` and
    `(3, 3)`; a function, and the module that stands for one, is its name. What is None is left out.
    """
    bases = (base for base in type(module).__mro__ if base.__module__.startswith("torch.nn."))
    if next(bases, nn.Module) is nn.Module:
        return {}
    there = vars(module)
    found = {name: _plain(there[name]) for name in SETTINGS if name in there}
    for name in _FUNCTIONS:
        function = there.get(name, there["_modules"].get(name))
        if function is not None:
            found[name] = getattr(function, "__name__", type(function).__name__)
    return {name: value for name, value in found.items() if value is not None}


def _plain(value: Any) -> Setting | None:
    """Return a setting as JSON can have it; None of what is none."""
    if isinstance(value, (tuple, list)):
        plain = [_plain(part) for part in value]
        parts = tuple(part if isinstance(part, (int, float, str)) else str(part) for part in plain)
        return parts[0] if len(set(parts)) == 1 else parts
    if isinstance(value, float) and not isfinite(value):
        return str(value)
    return value if isinstance(value, (bool, int, float, str)) else None
