"""The text of a snapshot: what a baseline file holds. JSON, one row a line, layers written once.

`docs/baseline.md` documents it. What is read may be anything: nothing but a snapshot gets through.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any

from attntrace.errors import BaselineError
from attntrace.record.repeats import Folded, Line, Repeat, folded, length, unfolded
from attntrace.record.snapshot import Measured, Snapshot, SnapshotModule, SnapshotRow
from attntrace.record.snapshot_keys import (
    MEASURED,
    MODULE,
    NAMED,
    REPEAT,
    ROW,
    TOP,
    USUAL,
    WrongValueError,
    as_object,
    checked,
    checked_value,
    refuse,
)

SNAPSHOT_VERSION = 1
AGAIN = "`attntrace check ... --update` writes it anew"
NOT_OURS = "move it away, or name another folder with --baselines"
_HEAD = re.compile(r'\{\s*"schema_version": ([1-9][0-9]{0,17})\b')
_CONFLICT = ("<<<<<<<", "|||||||", "=======", ">>>>>>>")
_MOST = 1_000_000
"""Rows, or modules: no run has as many."""


def to_text(snapshot: Snapshot) -> str:
    """Return the text of a snapshot: ASCII, and the same for the same snapshot everywhere.

    A size, a device, a module and a row take a line each. Modules and rows that repeat are there
    once, in `{"repeat": 32, "of": [...]}`, as `repeats` says.
    """
    devices = sorted(snapshot.measured.items())
    values = (
        json.dumps(SNAPSHOT_VERSION),
        json.dumps(snapshot.subject),
        json.dumps(snapshot.parameters),
        _block("{}", (f"{json.dumps(name)}: {n}" for name, n in snapshot.sizes.items())),
        _block("{}", (f"{json.dumps(name)}: {_record(MEASURED, one)}" for name, one in devices)),
        _records(MODULE, snapshot.modules, texts=1),
        _records(ROW, snapshot.rows, texts=2),
    )
    return _block("{}", (f'"{key}": {text}' for key, text in zip(TOP, values, strict=True))) + "\n"


def _block(ends: str, items: Iterable[str]) -> str:
    """Return an object or a list with its items below each other, a space further in."""
    text = ",\n".join(items).replace("\n", "\n ")
    return f"{ends[0]}\n {text}\n{ends[1]}" if text else ends


def _line(values: Mapping[str, Any]) -> str:
    """Return an object on one line, without what is as usual."""
    written = {key: dict(one) if key in NAMED else one for key, one in values.items()}
    return json.dumps({key: one for key, one in written.items() if one != USUAL.get(key, ...)})


def _record(keys: Sequence[str], record: object) -> str:
    return _line({key: getattr(record, key) for key in keys})


def _records(keys: Sequence[str], records: Iterable[object], texts: int) -> str:
    """Return a list of records; of their fields the first `texts` may have numbers that count."""
    values = map(attrgetter(*keys), records)
    return _block("[]", _lines(keys, folded([Line(one[:texts], one[texts:]) for one in values])))


def _lines(keys: Sequence[str], items: Iterable[Folded]) -> Iterator[str]:
    for item in items:
        if isinstance(item, Repeat):
            head = _line({"repeat": item.times, "step": item.step or 1})
            yield f'{head[:-1]}, "of": {_block("[]", _lines(keys, item.of))}}}'
        else:
            yield _line(dict(zip(keys, (*item.texts, *item.rest), strict=True)))


def written_by(text: str) -> int | None:
    """Return the schema version that a text begins with as ours do; None where it does not.

    What comes behind it may be missing or damaged.
    """
    found = _HEAD.match(text)
    return int(found[1]) if found else None


def from_text(text: str, where: str) -> Snapshot:
    """Return the snapshot that `to_text` wrote; messages call the text `where`.

    Raises:
        BaselineError: it is no such text, is cut short, or was written by a newer attntrace.

    """
    # what does not begin as ours may be somebody else's, and is never written over
    fix = NOT_OURS if text.strip() and written_by(text) is None else AGAIN
    try:
        return _snapshot(_document(text, where))
    except WrongValueError as error:
        raise BaselineError(f"{where}: {error}; {fix}") from error
    except RecursionError as error:
        raise BaselineError(f"{where}: nested too deep; {fix}") from error


def _document(text: str, where: str) -> dict[str, Any]:
    """Return the object of a text that was written by this version or one before."""
    if not text.isascii():
        line = next(n for n, line in enumerate(text.split("\n"), 1) if not line.isascii())
        raise WrongValueError(f"damaged: a letter that is no ASCII at line {line}")
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise WrongValueError(f"not JSON: {_said(text, error)}") from error
    except ValueError as error:  # a number of thousands of digits
        raise WrongValueError(f"not JSON: {error}") from error
    if not isinstance(document, dict) or "schema_version" not in document:
        raise BaselineError(
            f"{where}: not a baseline: an object with schema_version was expected; {NOT_OURS}"
        )
    version = checked_value(document["schema_version"], "schema_version", "schema_version")
    if version > SNAPSHOT_VERSION:
        raise BaselineError(
            f"{where}: schema_version {version} is newer than the {SNAPSHOT_VERSION} that this "
            "attntrace reads; install a newer attntrace"
        )
    return document


def _said(text: str, error: json.JSONDecodeError) -> str:
    at = f"at line {error.lineno}, column {error.colno}"
    if text.split("\n")[error.lineno - 1].startswith(_CONFLICT):
        return f"a merge conflict {at}"
    if error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string"):
        return f"it ends too early, {at}"
    return f"{error.msg} {at}"


def _snapshot(document: dict[str, Any]) -> Snapshot:
    values = checked(document, TOP, "")
    del values["schema_version"]
    sizes = values.pop("sizes")
    measured = values.pop("measured")
    rows, modules = values.pop("rows"), values.pop("modules")
    return Snapshot(
        **values,
        sizes={name: checked_value(n, "size", f"sizes.{name}") for name, n in sizes.items()},
        rows=tuple(SnapshotRow(**one) for one in _unfolded(rows, ROW, 2, "rows")),
        modules=tuple(SnapshotModule(**one) for one in _unfolded(modules, MODULE, 1, "modules")),
        measured={
            device: Measured(**checked(one, MEASURED, f"measured.{device}"))
            for device, one in measured.items()
        },
    )


def _unfolded(
    items: list[Any], keys: tuple[str, ...], texts: int, at: str
) -> Iterator[dict[str, Any]]:
    """Yield the fields of each record of a list, those of a repeat each time."""
    found = [_item(item, keys, texts, f"{at}[{number}]") for number, item in enumerate(items)]
    if length(found) > _MOST:
        raise WrongValueError(f"{at} are more than {_MOST:,}")
    try:
        for line in unfolded(found):
            yield dict(zip(keys, (*line.texts, *line.rest), strict=True))
    except ValueError as error:
        raise WrongValueError(f"{at}: {error}") from error


def _item(item: Any, keys: tuple[str, ...], texts: int, at: str) -> Folded:
    if "repeat" in as_object(item, at):
        values = checked(item, REPEAT, at)
        of = (_item(one, keys, texts, f"{at}.of[{n}]") for n, one in enumerate(values["of"]))
        return Repeat(values["repeat"], values["step"], tuple(of))
    values = checked(item, keys, at)
    shape, axes = values.get("shape"), values.get("axes")
    if axes is not None and len(axes) != len(shape or ()):
        refuse(f"{at}.axes", f"one for each dimension of {list(shape or ())}", list(axes))
    flat = tuple(values.values())
    return Line(flat[:texts], flat[texts:])
