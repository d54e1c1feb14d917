"""The rows as CSV (RFC 4180): a header, a line a tensor, numbers without units."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import replace
from io import StringIO

from attntrace.record import Trace
from attntrace.render.sheet import View, sheet_of


def to_csv(trace: Trace, view: View) -> str:
    """Return the rows as CSV; `memory` is in bytes, headings are left to `module`."""
    sheet = sheet_of(trace, replace(view, fold=False))
    lines = [line for line in sheet.lines if line.role not in ("phase", "module")]
    head = [column.key for column in sheet.columns]
    return csv_text([head, *([line[column].raw for column in sheet.columns] for line in lines)])


def csv_text(rows: Iterable[Sequence[object]]) -> str:
    """Return rows as CSV, the head first."""
    out = StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue()
