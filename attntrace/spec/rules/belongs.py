"""Settings that the block, or the choice beside them, would ignore: silence would be a trap."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from attntrace.errors import Problem
from attntrace.spec.block import Spec
from attntrace.spec.component import Component
from attntrace.spec.rules.meaning import BLOCKS, CHOICES
from attntrace.spec.rules.reasons import OF_PROJECTIONS, REASONS


def belongs_rules(spec: Spec) -> Iterator[Problem]:
    """Yield a problem for each given setting that would change nothing.

    A setting that is given as what it would be anyway is none.
    """
    for path in _given(spec):
        message = misplaced(spec, path)
        if message:
            yield Problem(path, message)


def misplaced(spec: Spec, path: str) -> str | None:
    """Return why a setting means nothing to this block, None where it means something."""
    section, _, name = path.rpartition(".")
    blocks = BLOCKS.get(path) or BLOCKS.get(section)
    if blocks is not None and spec.block not in blocks:
        return f"{name} means nothing to block {spec.block}; it is for {', '.join(blocks)}"
    if spec.qkv == "none" and path in OF_PROJECTIONS:
        return f"{name} means nothing here: with attention.qkv none, q, k and v come in as they are"
    words, holds = CHOICES.get(path, ("", None))
    if holds is not None and not holds(spec):
        return f"{name} means nothing here; it goes with {words}"
    return REASONS[path](spec) if path in REASONS else None


def _given(spec: Spec) -> Iterator[str]:
    """Yield the dotted path of every setting that is given and is not what it would be anyway."""
    for name in sorted(spec.model_fields_set):
        value = getattr(spec, name)
        if isinstance(value, Component):
            yield from (
                f"{name}.{field}"
                for field in sorted(value.model_fields_set)
                if _says_more(value, field)
            )
        elif _says_more(spec, name):
            yield name


def _says_more(part: Component, name: str) -> bool:
    """Whether a setting is another than it would be if it were not given."""
    return bool(getattr(part, name) != would_be(part, name))


def would_be(part: Component, name: str) -> Any:
    """Return what a setting of this part would be if it were not given."""
    info = type(part).model_fields[name]
    factory: Any = info.default_factory
    return info.default if factory is None else factory(vars(part))
