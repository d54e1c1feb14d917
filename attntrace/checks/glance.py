"""What a look at the text of a config tells, before it is read: how long it may take, and where."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from attntrace.checks.find import Checked

_LAYERS = re.compile(r"^\s*(?:\w+_)?(?:layers?|depth)\s*:\s*(\d+)", re.MULTILINE)
_TARGET = re.compile(r"\btarget['\"]?\s*:")
_GPU = re.compile(r"\bdevice['\"]?\s*:\s*['\"]?(?:cuda|mps)")
_MANY = 12
"""Layers that code of the user's own is taken to have."""


@dataclass(frozen=True, slots=True)
class Glance:
    """What seems to be in a config. Whoever reads it in earnest may find something else."""

    layers: int = 1
    is_own: bool = False
    """Whether it may run code of the user's own."""
    on_gpu: bool = False


def glance(checked: Checked) -> Glance:
    """Look at a config's text; one that cannot be read takes no time."""
    if checked.kind == "target":
        return Glance(_MANY, is_own=True)
    from attntrace.spec.presets import path_of

    path = path_of(checked.name) if checked.kind == "preset" else Path(checked.name)
    try:
        text = path.read_text(encoding="utf-8") if path else ""
    except (OSError, UnicodeDecodeError):
        return Glance()
    is_own = _TARGET.search(text) is not None
    layers = [int(count) for count in _LAYERS.findall(text)]
    return Glance(max(layers, default=_MANY if is_own else 1), is_own, bool(_GPU.search(text)))
