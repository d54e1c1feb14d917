"""`# attntrace: allow NAME, NAME` in the author's source: which warnings are wanted no more."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from attntrace.analysis.traps import traps_of
from attntrace.capture.drafts import Row
from attntrace.capture.source import place, statement_at
from attntrace.errors import nearest
from attntrace.record import TRAPS, Trace

_ALLOW = re.compile(r"#\s*attntrace:\s*allow\s+([\w-]+(?:\s*,\s*[\w-]+)*)")


def with_warnings(trace: Trace, rows: Sequence[Row]) -> Trace:
    """Return a trace with what its calls deserve, less what their own lines allow."""
    found, notes = [], dict.fromkeys(trace.notes)
    for trap in traps_of(trace):
        site = rows[trap.row].site if trap.row is not None else None
        names = allowed(statement_at(site)) if site is not None else []
        if trap.name not in names:
            found.append(trap)
        for name in names:
            if name not in TRAPS and site is not None:
                notes[f"{place(site)}: no warning is called {name!r}; {nearest(name, TRAPS)}"] = (
                    None
                )
    return replace(trace, warnings=tuple(found), notes=tuple(notes))


def allowed(lines: Iterable[str]) -> list[str]:
    """Return the names that comments on some lines allow."""
    said = (found[1] for line in lines for found in _ALLOW.finditer(line))
    return [name.strip() for names in said for name in names.split(",")]
