"""Scratch: what kernels allocate for themselves, which the allocator knows and no mode can see.

The scratch of an op is the most that was allocated while it ran, less what was still allocated when
it was done. What is alive after an op and its scratch are thus, together, the most that was alive
while it ran. It may depend on the machine: some CPU kernels take a buffer for each thread.

Nothing here runs unless it is asked for: a run that is measured takes several times as long.
"""

from __future__ import annotations

import json
import tempfile
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import torch

from attntrace.capture.fence import is_profiling
from attntrace.capture.ledger import Ledger

SPAN = "attntrace op "
"""How the span of an op is called in the profiler's trace; its number follows."""
NOT_HERE = "scratch is not measured: torch has no such statistics for {}"
NO_PROFILER = "scratch is not measured: torch's profiler {}"


class Scratch(NamedTuple):
    """What was measured of one op."""

    clock: int
    """Births and deaths of the run before it."""
    nbytes: int


class Change(NamedTuple):
    """Bytes that were allocated, or below zero freed."""

    moment: Decimal
    nbytes: int


class Span(NamedTuple):
    """When one op ran, on the clock of the changes."""

    op: int
    begin: Decimal
    end: Decimal


class Meter:
    """Measures one run, op by op. This one can measure nothing, and says so."""

    def __init__(self, device: str) -> None:
        self.device = torch.device(device)
        self.found: dict[int, Scratch] = {}
        """What was measured, by number of op, once the run is over."""
        self.notes = [NOT_HERE.format(self.device.type)]
        """Why nothing was measured; empty where it was."""
        self._ledger: Ledger

    @contextmanager
    def attached(self, ledger: Ledger) -> Iterator[None]:
        """Measure what `ledger` enters meanwhile."""
        self._ledger = ledger
        yield

    def call(self, func: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Run one op, the next that the ledger will enter, and measure it."""
        return func(*args, **kwargs)


class ProfilerMeter(Meter):
    """On CPU: the profiler's memory events, laid on spans that carry the numbers of the ops."""

    def __init__(self, device: str) -> None:
        super().__init__(device)
        self.notes = []
        self._clocks: dict[int, int] = {}

    @contextmanager
    def attached(self, ledger: Ledger) -> Iterator[None]:
        """Profile meanwhile; where that cannot be done, leave a note instead."""
        self._ledger = ledger
        profiler = self._started()
        try:
            yield
        finally:
            if profiler is not None:
                self._stop(profiler)

    def call(self, func: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Run one op in a span."""
        number = len(self._ledger.ops)
        self._clocks[number] = self._ledger.storages.clock
        with torch.profiler.record_function(f"{SPAN}{number}"):
            return func(*args, **kwargs)

    def _started(self) -> torch.profiler.profile | None:
        if is_profiling():  # starting another would end it
            self.notes = [NO_PROFILER.format("is already at work")]
            return None
        try:
            profiler = torch.profiler.profile(
                activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True
            )
            profiler.start()
        except (RuntimeError, AssertionError) as error:  # a torch that was built without it
            self.notes = [NO_PROFILER.format(f"does not start: {error}")]
            return None
        return profiler

    def _stop(self, profiler: torch.profiler.profile) -> None:
        try:
            profiler.stop()
            changes, spans = _exported(profiler)
        except (RuntimeError, AssertionError, OSError, ValueError, KeyError) as error:
            self.notes = [NO_PROFILER.format(f"wrote no trace that can be read: {error!r}")]
            return
        if self._clocks and not (changes and spans):
            self.notes = [NO_PROFILER.format("shows no memory events")]
            return
        for op, nbytes in scratch_of(changes, spans).items():
            self.found[op] = Scratch(self._clocks[op], nbytes)


class CudaMeter(Meter):
    """On CUDA: the caching allocator's statistics, in its blocks; the peak is reset before each op.

    Only what is allocated on `device` counts. The tests have an allocator that is made up: none of
    them has run this on a GPU.
    """

    def __init__(self, device: str) -> None:
        super().__init__(device)
        self.notes = []

    def call(self, func: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Run one op between two looks at the statistics."""
        number, clock = len(self._ledger.ops), self._ledger.storages.clock
        cuda, device = torch.cuda, self.device
        cuda.reset_peak_memory_stats(device)
        before = cuda.memory_allocated(device)
        out = func(*args, **kwargs)
        after, most = cuda.memory_allocated(device), cuda.max_memory_allocated(device)
        self.found[number] = Scratch(clock, most - after if most > before else 0)
        return out


METERS = {"cpu": ProfilerMeter, "cuda": CudaMeter}


def meter_for(device: str) -> Meter:
    """Return what can measure a run on a device; on "mps" it measures nothing, and says so."""
    return METERS.get(torch.device(device).type, Meter)(device)


def scratch_of(changes: Sequence[Change], spans: Sequence[Span]) -> dict[int, int]:
    """Return the bytes of scratch of each op: the highest level in its span, less the last one.

    `changes` are in order of time. Only levels that an allocation made are looked at: an op
    that only frees has none.
    """
    moments = [change.moment for change in changes]
    found = {}
    for op, begin, end in spans:
        inside = changes[bisect_left(moments, begin) : bisect_right(moments, end)]
        levels = list(accumulate(change.nbytes for change in inside))
        made = [level for level, change in zip(levels, inside, strict=True) if change.nbytes > 0]
        found[op] = max(made) - levels[-1] if made else 0
    return found


def _exported(profiler: torch.profiler.profile) -> tuple[list[Change], list[Span]]:
    """Return what the profiler's trace says; its file is the public way to its memory events."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "trace.json"
        profiler.export_chrome_trace(str(file))
        # microseconds since the machine started: a float has no digits left for nanoseconds
        events = json.loads(file.read_text(encoding="utf-8"), parse_float=Decimal)["traceEvents"]
    changes = [
        Change(Decimal(event["ts"]), event["args"]["Bytes"])
        for event in events
        if event.get("name") == "[memory]" and event["args"]["Device Type"] == 0
    ]
    spans = [
        Span(int(event["name"].removeprefix(SPAN)), event["ts"], event["ts"] + event["dur"])
        for event in events
        if event.get("name", "").startswith(SPAN) and "dur" in event
    ]
    return sorted(changes, key=lambda change: change.moment), spans
