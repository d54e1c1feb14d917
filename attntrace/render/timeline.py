"""Live bytes over rows as a drawing in plain text, and the list of what is alive at the peak."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby, takewhile

from attntrace.analysis.memory import memory_report, peak_of
from attntrace.analysis.timeline import Alive, Span, alive_at_peak, spans
from attntrace.record import Trace
from attntrace.render.units import nbytes_text

WIDTH = 100
BLOCK, PLAIN_BLOCK = "█", "#"
_MOST_LINES = 60
_MOST_ALIVE = 10
_TOGETHER = ("parameters", "buffers", "optimizer")
"""Kinds that are one line: there may be thousands of them, and none is of the run's making."""
_LEAST_BAR = 10
_LONGEST_NAME = 30


def timeline_lines(trace: Trace, width: int = WIDTH, block: str = BLOCK) -> list[str]:
    """Return the drawing, a line a row or a few rows, and the tensors at the peak.

    A drawing is as wide as `width` unless names need more; `block` is what bars are made of.
    """
    peak = peak_of(trace)
    if peak is None:
        return ["timeline: the run allocated nothing"]
    return [
        "live bytes above what was there before",
        *_drawing(trace, peak.nbytes, width, block),
        "",
        *_at_peak(trace),
    ]


def _drawing(trace: Trace, highest: int, width: int, block: str) -> Iterator[str]:
    found = spans(trace, _MOST_LINES)
    labels = {span: _label(span, trace) for span in found}
    left = max(map(len, labels.values()))
    sizes = {span: nbytes_text(span.nbytes) for span in found}
    middle = max(map(len, sizes.values()))
    marks = _marks(trace)
    room = max(_LEAST_BAR, width - left - middle - 7 - max(map(len, marks.values()), default=0))
    for phase, group in groupby(found, key=lambda span: span.phase):
        yield phase
        for span in group:
            bar = block * -(-span.nbytes * room // highest)
            mark = next(
                (marks[row] for row in range(span.first, span.last + 1) if row in marks), ""
            )
            text = f"  {labels[span]:{left}}  {sizes[span]:>{middle}}  {bar} {mark}"
            yield text.rstrip()


def _marks(trace: Trace) -> dict[int, str]:
    """Return what to write behind the rows at which memory stood highest."""
    memory = memory_report(trace)
    trained = memory.training_peak_nbytes is not None
    marks = {memory.peak_at: "peak of the forward" if trained else "peak"}
    if trained:
        marks[memory.training_peak_at] = "peak"
    return {row: mark for row, mark in marks.items() if row is not None}


def _label(span: Span, trace: Trace) -> str:
    """Return the number and name of a row; of several, the module that all of them are in."""
    rows = trace.tensors[span.first : span.last + 1]
    if len(rows) > 1:
        levels = zip(*(row.path.split(".") for row in rows), strict=False)
        around = takewhile(lambda names: len(set(names)) == 1, levels)
        return f"#{span.first}-{span.last} {'.'.join(names[0] for names in around)}".rstrip()
    name = rows[0].name
    cut = name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
    return f"#{span.first} {cut}"


def _at_peak(trace: Trace) -> Iterator[str]:
    """Yield what is alive at the peak, largest first, with its share of all; parameters last."""
    alive = alive_at_peak(trace)
    total = sum(one.nbytes for one in alive)
    peak = peak_of(trace)
    at = f", #{peak.row} {trace.tensors[peak.row].name}" if peak and peak.row is not None else ""
    yield f"alive at the peak{at}: {nbytes_text(total)} with what was there before"
    apart = [one for one in alive if one.kind not in _TOGETHER]
    lines: list[tuple[str, str, int, str]] = [
        (_named(one), one.kind, one.nbytes, "" if one.row is None else trace.tensors[one.row].path)
        for one in apart[:_MOST_ALIVE]
    ]
    rest = apart[_MOST_ALIVE:]
    if rest:
        lines.append((f"{len(rest)} more", "", sum(one.nbytes for one in rest), ""))
    for kind in _TOGETHER:
        mine = [one for one in alive if one.kind == kind]
        if mine:
            name = mine[0].name if len(mine) == 1 else f"{len(mine)} tensors"
            lines.append((name, kind, sum(one.nbytes for one in mine), ""))
    left = max(len(name) for name, *_ in lines)
    for name, kind, nbytes, path in lines:
        share = f"{100 * nbytes / total:.1f} %"
        text = f"  {name:{left}}  {kind:11}  {nbytes_text(nbytes):>10}  {share:>7}  {path}"
        yield text.rstrip()


def _named(one: Alive) -> str:
    return one.name if one.row is None else f"#{one.row} {one.name}"
