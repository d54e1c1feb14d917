"""Two witnesses of one forward's peak: attntrace's storages, and the profiler's allocator events.

They may differ by scratch alone: what is allocated and freed inside one dispatched op, such as
oneDNN's for bfloat16 products, which no mode can see and which attntrace lists as not counted. The
column "less scratch" is the profiler's peak without it, and must equal ours to the byte.

`python -m benchmarks.memory`.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.ratios import conditions


class Event(NamedTuple):
    """Bytes that were allocated, or below zero freed, and where."""

    moment: float
    nbytes: int
    address: int


class Op(NamedTuple):
    """One op that the dispatcher ran, and when the profiler saw it run."""

    start: float
    end: float
    name: str


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--strict", action="store_true", help="exit 1 where a peak is unexplained")
    options = parser.parse_args(argv)
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # before torch is imported
    warnings.filterwarnings("ignore", category=UserWarning)  # torch without numpy

    print(f"memory: {conditions()}")
    print("peak bytes above parameters and input; batch 13 tokens 100 dim 49 chan 64, no grad\n")
    print(
        f"  {'impl':6} {'dtype':9} {'heads':>5} {'ours':>10} {'profiler':>10} {'difference':>10} "
        f"{'less scratch':>12}   largest scratch by op"
    )
    unexplained = 0
    for impl, dtype, heads in itertools.product(
        ("eager", "sdpa"), ("float32", "bfloat16"), (1, 2, 4)
    ):
        ours, events, ops = _peaks(impl, dtype, heads)
        kept, inside = without_scratch(events, ops)
        whole, rest = peak(events), peak(kept)
        unexplained += rest != ours
        print(
            f"  {impl:6} {dtype:9} {heads:5} {ours:10,} {whole:10,} {whole - ours:10,} {rest:12,}"
            f"   {_listed(inside)}{'' if rest == ours else '   NOT EXPLAINED'}"
        )
    print(f"\n{unexplained or 'no'} differences beside scratch: {'NOT ' * bool(unexplained)}met")
    return int(options.strict and unexplained > 0)


def _listed(inside: dict[str, int]) -> str:
    return ", ".join(f"{op} {nbytes:,}" for op, nbytes in inside.items()) or "none"


def _peaks(impl: str, dtype: str, heads: int) -> tuple[int, list[Event], list[Op]]:
    """Return our peak, and what the profiler saw of the same forward."""
    import torch

    import attntrace
    from attntrace.blocks import make_inputs
    from attntrace.spec import load

    spec = load(heads=heads, attention={"impl": impl}, run={"dtype": dtype}).spec
    block, x = attntrace.build(spec), make_inputs(spec)["x"]
    with torch.no_grad():
        ours = attntrace.trace(block, x)
        with torch.profiler.profile(
            activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True
        ) as profiler:
            block(x)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "trace.json"
        profiler.export_chrome_trace(str(file))
        seen = json.loads(file.read_text(encoding="utf-8"))["traceEvents"]
    dispatched = {"::".join(op.op.split(".")[:2]) for op in ours.ops}
    return ours.memory.peak_nbytes, sorted(_events(seen)), sorted(_ops(seen, dispatched))


def _events(seen: list[dict[str, Any]]) -> Iterator[Event]:
    for one in seen:
        if one.get("name") == "[memory]":
            yield Event(one["ts"], one["args"]["Bytes"], one["args"]["Addr"])


def _ops(seen: list[dict[str, Any]], dispatched: set[str]) -> Iterator[Op]:
    for one in seen:
        if one.get("cat") == "cpu_op" and one["name"] in dispatched:
            yield Op(one["ts"], one["ts"] + one["dur"], one["name"])


def peak(events: Sequence[Event]) -> int:
    """Return the most that was allocated at once."""
    return max(itertools.accumulate((event.nbytes for event in events), initial=0))


def without_scratch(
    events: Sequence[Event], ops: Sequence[Op]
) -> tuple[list[Event], dict[str, int]]:
    """Return the events that are not scratch, and the largest scratch of each op that has some."""
    kept, inside = list(events), dict[str, int]()
    for op in ops:
        within = [event for event in events if op.start <= event.moment <= op.end]
        for born in within:
            freed = next((e for e in within if e.address == born.address and e > born), None)
            if born.nbytes > 0 and freed is not None:
                kept.remove(born)
                kept.remove(freed)
                inside[op.name] = max(inside.get(op.name, 0), born.nbytes)
    return kept, inside


if __name__ == "__main__":
    sys.exit(main())
