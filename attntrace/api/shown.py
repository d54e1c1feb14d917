"""Which part of a trace a format shows, asked for by keyword."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, get_args

from attntrace.errors import nearest

if TYPE_CHECKING:
    from attntrace.render import View


def view_of(options: dict[str, Any]) -> View:
    """Return the view that options such as `fold=False` and `columns="shape,bytes"` ask for.

    Raises:
        TypeError: there is no such option.
        ValueError: there is no such column or level.

    """
    from attntrace.render import COLUMNS, View
    from attntrace.render.sheet import Axes, Level

    known = [item.name for item in fields(View) if item.name != "more"]
    for name in options:
        if name not in known:
            raise TypeError(f"a table has no option {name!r}; {nearest(name, known)}")
    asked = {name: _listed(name, value) for name, value in options.items()}
    for key in asked.get("columns", ()):
        if key not in COLUMNS:
            raise ValueError(f"a table has no column {key!r}; {nearest(key, COLUMNS)}")
    for name, words in (("level", get_args(Level)), ("axes", get_args(Axes))):
        word = asked.get(name, words[-1])
        if word not in words:
            raise ValueError(f"a table has no {name} {word!r}; {nearest(word, words)}")
    return View(**asked)


def _listed(name: str, value: Any) -> Any:
    """Return columns and patterns as tuples, also of a text: "shape,bytes", "*.attn*"."""
    if name not in ("columns", "only"):
        return value
    if isinstance(value, str):
        value = value.split(",") if name == "columns" else (value,)
    return tuple(text.strip() for text in value)
