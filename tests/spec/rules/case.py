"""A set of settings that a rule refuses, and its neighbour that the rule lets pass."""

from __future__ import annotations

from typing import Any, NamedTuple


class Case(NamedTuple):
    """`wrong` is refused with `message` about `path`; with `right` put over it, it is a block."""

    name: str
    wrong: dict[str, Any]
    path: str
    message: str
    right: dict[str, Any]


def merged(wrong: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
    """Return settings with others put over them, section by section."""
    whole = dict(wrong)
    for name, value in right.items():
        both = isinstance(value, dict) and isinstance(whole.get(name), dict)
        whole[name] = {**whole[name], **value} if both else value
    return whole
