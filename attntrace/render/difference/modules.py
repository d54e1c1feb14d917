"""A module that is not as it was, on one line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from attntrace.record.difference import ModuleChange, ParameterChange, RowChange, SettingChange
from attntrace.record.runs import Setting
from attntrace.render.difference.figures import more
from attntrace.render.difference.names import module_name
from attntrace.render.difference.rows import MARKS
from attntrace.render.units import counted

_MOST = 6
"""Parameters of one module that are named, and settings."""
_FROZEN = ", frozen"


def module_line(change: ModuleChange, rows: Sequence[RowChange]) -> str:
    """Return "! module qkv Linear: bias float32[192] removed, parameters 9,600 -> 9,408 (192 less)".

    `rows` are all that changed: those that came or went with the module are counted.
    """
    said = module_details(change, rows)
    return f"{MARKS[change.what]} {module_called(change)}{': ' if said else ''}{said}"


def module_called(change: ModuleChange) -> str:
    """Return "module layers.0-3.qkv x4 Linear"; no type where that changed."""
    types = {module.type for module in (change.before, change.after) if module is not None}
    return " ".join(
        filter(None, ("module", module_name(change), *(types if len(types) == 1 else ())))
    )


def module_details(change: ModuleChange, rows: Sequence[RowChange]) -> str:
    """Return what came or went with a module, or what of it changed; "" of a new name alone."""
    if change.before is None or change.after is None:
        return ", ".join(filter(None, _whole(change, rows)))
    return ", ".join(filter(None, _changes(change)))


def _whole(change: ModuleChange, rows: Sequence[RowChange]) -> Iterator[str]:
    module = change.after or change.before
    assert module is not None, "a change is of a module"
    inside = (
        any(f"{place}.".startswith(f"{path}.") for path in change.places)
        for row in rows
        if row.implied and row.what == change.what
        for place in row.places
    )
    found = sum(inside)
    yield counted(found, "row") if found else ""
    yield f"parameters {module.parameters:,}{_each(change)}" if module.parameters else ""
    yield f"called {max(change.calls):,} times" if max(change.calls) > 1 else ""


def _changes(change: ModuleChange) -> Iterator[str]:
    before, after = change.before, change.after
    assert before is not None, "it was there"
    assert after is not None, "it still is"
    if change.moved:
        yield "at another place in the order"
    if before.type != after.type:
        yield f"type {before.type} -> {after.type}"
    if change.calls[0] != change.calls[1]:
        yield f"called {change.calls[0]:,} -> {change.calls[1]:,} times"
    yield from map(_setting, change.settings[:_MOST])
    rest = len(change.settings[_MOST:])
    yield f"{counted(rest, 'more setting')} changed" if rest else ""
    yield from map(_own, change.own[:_MOST])
    rest = len(change.own[_MOST:])
    yield f"{counted(rest, 'more parameter')} changed" if rest else ""
    if before.parameters != after.parameters:
        numbers = more(before.parameters, after.parameters)
        yield f"parameters {before.parameters:,} -> {after.parameters:,} ({numbers}){_each(change)}"


def _setting(change: SettingChange) -> str:
    """Return "self_attn.num_heads 4 -> 2"."""
    return f"{change.name} {_written(change.before)} -> {_written(change.after)}"


def _written(value: Setting | None) -> str:
    return "none" if value is None else str(value)


def _own(change: ParameterChange) -> str:
    """Return "bias float32[192] removed", "weight [64, 49] -> [49, 64]"."""
    before, after = change.before, change.after
    if before is None or after is None:
        name, form = after or before or ("", "")
        return " ".join(f"{name} {form} {'removed' if after is None else 'added'}".split())
    if change.what == "changed" and _thawed(before[1]) == _thawed(after[1]):
        return f"{before[0]} {'frozen' if after[1].endswith(_FROZEN) else 'no longer frozen'}"
    name, was, now = before[0], *_told(before[1], after[1])
    said = f"renamed {after[0]}" if change.what == "renamed" else f"{was} -> {now}"
    return " ".join(f"{name} {said}".split())


def _thawed(form: str) -> str:
    return form.removesuffix(_FROZEN)


def _told(before: str, after: str) -> tuple[str, str]:
    """Return what of dtype and shape changed: "[64, 49]", "float32", or all of it."""
    (dtype, _, sizes), (dtype_after, _, sizes_after) = before.partition("["), after.partition("[")
    if sizes == sizes_after:
        return dtype, dtype_after
    return (f"[{sizes}", f"[{sizes_after}") if dtype == dtype_after else (before, after)


def _each(change: ModuleChange) -> str:
    return " each" if len(change.places) > 1 else ""
