"""Rows against the shape and the number format that are expected of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import get_close_matches

from attntrace.analysis.contract.shapes import Wanted
from attntrace.analysis.narrow import glob
from attntrace.analysis.nesting import around
from attntrace.errors import nearest
from attntrace.record import TensorRecord, Trace
from attntrace.spec.expect.model import DtypeOf, ShapeOf

_LINES = 5
"""Ways in which rows differ that are told, and ops."""
Judged = list[tuple[TensorRecord, str]]
"""Rows, and why each is not what was expected; "" where it is."""


def shape(expected: ShapeOf, trace: Trace) -> str:
    """Return what is wrong with the shapes of all rows of a name, "" where nothing is."""
    rows = rows_named(trace, expected.tensor)
    wanted = Wanted(expected.dims, trace)
    unknown = list(wanted.unknown())
    if not rows or unknown:
        return "; ".join(unknown) or no_tensor(trace, expected.tensor)
    return _told(expected.tensor, [(row, wanted.differs(row)) for row in rows])


def dtype(expected: DtypeOf, trace: Trace) -> str:
    """Return what is wrong with the number formats of all rows of a name."""
    rows = rows_named(trace, expected.tensor)
    if not rows:
        return no_tensor(trace, expected.tensor)
    said = "{}, expected " + expected.dtype
    wrong = [(row, "" if row.dtype == expected.dtype else said.format(row.dtype)) for row in rows]
    return _told(expected.tensor, wrong)


def rows_named(trace: Trace, text: str) -> list[TensorRecord]:
    """Return the rows that a text means: of that name or path.name, else those that it matches.

    In it `*` is any letters and `?` is one. What stands before a dot may be any module around the
    row, from any part of its path on: "layers.*.attention.k" is also k in
    "stack.layers.0.attention.project". Of "q@transpose" it is what transpose made. A gradient is
    only meant by a name such as "d q".
    """
    exact = [row for row in trace.tensors if text in (row.name, _full(row))]
    if exact:
        return exact
    name, op = _name_and_op(text)
    made = [row for row in rows_named(trace, name) if glob(op).fullmatch(row.op)] if op else []
    return made or [row for row in trace.tensors if _matches(row, text)]


def _name_and_op(text: str) -> tuple[str, str]:
    """Return the name and the op of "q@transpose"; "" as the op where there is none."""
    name, at, op = text.rpartition("@")
    return (name, op) if at and name and op else (text, "")


def _full(row: TensorRecord) -> str:
    return f"{row.path}.{row.name}" if row.path else row.name


def _matches(row: TensorRecord, text: str) -> bool:
    return _is_called(row, text) or any(
        _is_called(row, name) and _is_inside(row, module) for module, name in _cuts(text)
    )


def _is_called(row: TensorRecord, name: str) -> bool:
    meant = row.kind != "gradient" or name.startswith("d ")
    return meant and glob(name).fullmatch(row.name) is not None


def _cuts(text: str) -> Iterator[tuple[str, str]]:
    """Yield what a text may mean: a module and a name, cut at each of its dots."""
    parts = text.split(".")
    for cut in range(1, len(parts)):
        yield ".".join(parts[:cut]), ".".join(parts[cut:])


def _is_inside(row: TensorRecord, module: str) -> bool:
    patterns = (glob(module), glob(f"*.{module}"))
    return any(pattern.fullmatch(way) for way in around(row.path)[1:] for pattern in patterns)


def no_tensor(trace: Trace, text: str) -> str:
    """Return what is said of a name that no row has: which are near in the module that is meant."""
    name, op = _name_and_op(text)
    ops = [row.op for row in rows_named(trace, name)] if op else []
    if not ops:
        return f"no tensor {text!r}; {_near(trace, name)}"
    near = get_close_matches(op, ops, n=1)
    meant = f"; did you mean {f'{name}@{near[0]}'!r}?" if near else ""
    return f"no tensor {text!r}; {name} is made by {_listed(ops)}{meant}"


def _near(trace: Trace, text: str) -> str:
    for module, name in reversed(list(_cuts(text))):
        inside = dict.fromkeys(row.name for row in trace.tensors if _is_inside(row, module))
        if get_close_matches(name, inside) or (inside and "." not in name):
            return nearest(name, inside)
    names = dict.fromkeys(row.name for row in trace.tensors)
    full = dict.fromkeys(map(_full, trace.tensors))
    in_a_module = "." in text and not get_close_matches(text, names)
    return nearest(text, full if in_a_module else names)


def _told(text: str, said: Judged) -> str:
    """Return a line for each way in which rows that a text means are wrong, "" where none is."""
    alike: dict[str, list[TensorRecord]] = {}
    for row, why in said:
        alike.setdefault(why, []).append(row)
    apart = _apart(text, said) if len(alike) > 1 else []
    alike.pop("", None)
    lines = []
    for why, (first, *others) in alike.items():
        name = first.name if len(said) == 1 else f"#{first.index} {_full(first)}"
        verb = "is" if len(others) == 1 else "are"
        more = f"; so {verb} {len(others)} more of {len(said)} rows" if others else ""
        lines.append(f"{name} is {why}{more}")
    left = len(lines) - _LINES
    return "\n".join([*lines[:_LINES], *([f"and {left} more ways"] if left > 0 else []), *apart])


def _apart(text: str, said: Judged) -> list[str]:
    """Return how to mean only some of the rows of one name: by an op whose rows all hold, if one is."""
    ways: dict[str, set[str]] = {}
    for row, why in said:
        ways.setdefault(row.op, set()).add(why)
    alike = all(found == ways[said[0][0].op] for found in ways.values())
    if alike or len({row.name for row, _ in said}) > 1:
        return []
    op = next((op for op, found in ways.items() if found == {""}), [*ways][-1])
    name, _ = _name_and_op(text)
    return [f"{name} is {len(said)} tensors here, made by {_listed(ways)}: write {name}@{op}"]


def _listed(words: Iterable[str]) -> str:
    """Return words, each once: "split, view and transpose"."""
    each = [*dict.fromkeys(words)]
    left = len(each) - _LINES
    *most, last = each if left <= 0 else [*each[:_LINES], f"{left} more"]
    return f"{', '.join(most)} and {last}" if most else last
