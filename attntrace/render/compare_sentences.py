"""What one run has more or less of than another, as sentences with numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from attntrace.analysis.compare import FIGURES, Only, Part, PartDifference, differences, only_in
from attntrace.analysis.kernel import keeps_scores
from attntrace.record import Trace
from attntrace.render.units import nbytes_text

MOST = 4
"""Tensors that a sentence names on each side; the others are counted."""
_SAID: dict[str, tuple[str, str]] = {
    "peak_nbytes": ("holds", " at its forward peak"),
    "training_peak_nbytes": ("holds", " at its training peak"),
    "saved_for_backward_nbytes": ("saves", " for backward"),
    "hidden_nbytes": ("hides", " inside calls"),
    "parameters": ("holds", " in parameters"),
    "flops": ("takes", ""),
}


def sentences(first: Trace, second: Trace) -> list[str]:
    """Return what the second run has more or less of than the first, figure by figure.

    A figure that only one of them measured is left out.
    """
    gone, new = only_in(first, second), only_in(second, first)
    absent = _unmade(gone, second)
    said = []
    for name, parts in FIGURES.items():
        sides = parts(first), parts(second)
        found = differences(*sides)
        if found and all(sides) and not (name == "flops" and not sum(d.more for d in found)):
            said.append(_sentence(name, found) + _never(name, found, absent))
    for word, rows in (("not here", gone), ("only here", new)):
        said += [f"{word}: {_listed([_row(item) for item in rows])}"] if rows else []
    return said or ["the same in every figure, tensor by tensor"]


def _unmade(gone: Sequence[Only], second: Trace) -> dict[Part, Only]:
    """Return the rows of scores that the second run's kernels never make; none if one does."""
    calls = second.attention
    inside = any(call.scores is None or keeps_scores(call.kernel) for call in calls)
    shapes = set() if inside else {str(call.scores) for call in calls}
    return {item.part: item for item in gone if shapes.issuperset(item.shapes)}


def _sentence(name: str, found: Sequence[PartDifference]) -> str:
    verb, where = _SAID[name]
    write: Callable[[int], str] = "{:,} FLOPs".format if name == "flops" else nbytes_text
    item = partial(_item, write=write, bare=name == "hidden_nbytes")
    total = sum(d.more for d in found)
    less = [d for d in found if d.more < 0]
    more = [d for d in found if d.more > 0]
    sides = [(less, "without"), (more, "with")]
    sides = sides if total < 0 else sides[::-1]
    told = [f"{word} {_listed([*map(item, side)])}" for side, word in sides if side]
    much = f"{write(abs(total))} {'less' if total < 0 else 'more'}" if total else "as much"
    return f"{verb} {much}{where}: {'; but '.join(told)}"


def _item(item: PartDifference, write: Callable[[int], str], *, bare: bool) -> str:
    name = item.part.name if bare else _name(item.part)
    if item.first and item.second:
        if write(item.first) == write(item.second):
            write = "{:,} B".format
        return f"{name} {write(item.second)} instead of {write(item.first)}"
    return f"{name} {write(item.first or item.second)}"


def _name(part: Part) -> str:
    if part.what == "parameter":
        return f"{part.place}.{part.name}" if part.place else part.name
    return part.name if part.what == "tensor" else f"{part.what} {part.name}"


def _never(name: str, found: Sequence[PartDifference], absent: dict[Part, Only]) -> str:
    """Say which of the tensors that are not kept do not even exist."""
    if name != "saved_for_backward_nbytes":
        return ""
    gone = [absent[d.part] for d in found if d.part in absent and not d.second]
    verb = "is never a tensor" if len(gone) == 1 else "are never tensors"
    return f"; {_listed([_with_shape(item) for item in gone])} {verb}" if gone else ""


def _row(item: Only) -> str:
    new = nbytes_text(item.new_nbytes) if item.new_nbytes else "(no new memory)"
    return f"{_with_shape(item)} {new}"


def _with_shape(item: Only) -> str:
    times = f" x{item.rows}" if item.rows > 1 else ""
    shape = f" {item.shapes[0]}" if len(item.shapes) == 1 else ""
    return f"{item.part.name}{shape}{times}"


def _listed(texts: Sequence[str]) -> str:
    kept = list(texts[:MOST]) if len(texts) > MOST + 1 else list(texts)
    rest = len(texts) - len(kept)
    kept += [f"{rest} others"] if rest else []
    return kept[0] if len(kept) == 1 else f"{', '.join(kept[:-1])} and {kept[-1]}"
