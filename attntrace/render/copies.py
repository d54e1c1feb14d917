"""Copies that nobody asked for, in words: at their line, and summed below the table."""

from __future__ import annotations

from collections.abc import Iterable

from attntrace.analysis.copies import Copy, copies
from attntrace.record import Trace
from attntrace.render.units import nbytes_text

_NAMED = 3
_WHY = {
    "not contiguous": "copy of {0.source}: it is not contiguous",
    "expanded": "copy of {0.source}: it is expanded",
    "dtype": "{0.dtype} copy of {0.source}",
    "mask": "{0.dtype} mask from {0.source}, which is bool",
    "device": "copy of {0.source} from another device",
    None: "copy of {0.source}",
}


def why(copy: Copy) -> str:
    """Return what was copied and why: "copy of k_t: it is not contiguous"."""
    return _WHY[copy.reason].format(copy)


def hidden_copies(trace: Trace) -> str | None:
    """Return what the copies inside calls come to, forward and backward apart; None without any."""
    hidden = [copy for copy in copies(trace) if not copy.shown]
    forward = [copy for copy in hidden if copy.phase == "forward"]
    later = [copy for copy in hidden if copy.phase != "forward"]
    parts = [_sum(forward)] if forward else []
    parts += [f"after the forward {_sum(later)}"] if later else []
    return "; ".join(parts) or None


def _sum(hidden: list[Copy]) -> str:
    count = "1 copy" if len(hidden) == 1 else f"{len(hidden)} copies"
    size = nbytes_text(sum(copy.nbytes for copy in hidden))
    return f"{size} hidden in {count}: {_largest(hidden)}"


def _largest(hidden: Iterable[Copy]) -> str:
    """Return the copies that cost most, those of one kind together."""
    alike: dict[tuple[str, str], list[Copy]] = {}
    for copy in hidden:
        alike.setdefault((copy.call, _done(copy)), []).append(copy)
    groups = sorted(alike.items(), key=lambda group: -sum(copy.nbytes for copy in group[1]))
    named = [f"{call} {done} ({_size(group)})" for (call, done), group in groups[:_NAMED]]
    left = sum(len(group) for _, group in groups[_NAMED:])
    return ", ".join(named) + (f", and {left} more" if left else "")


def _done(copy: Copy) -> str:
    if copy.reason in ("dtype", "mask"):
        what = "copy of" if copy.reason == "dtype" else "mask from"
        return f"made a {copy.dtype} {what} {copy.source}"
    return f"copied {copy.source}"


def _size(group: list[Copy]) -> str:
    largest = max(copy.nbytes for copy in group)
    alike = all(copy.nbytes == largest for copy in group)
    times = "" if len(group) == 1 else f"{len(group)} x " if alike else f"{len(group)} of up to "
    layout = group[0].reason if group[0].reason in ("not contiguous", "expanded") else None
    return f"{times}{nbytes_text(largest)}{f', {layout}' if layout else ''}"
