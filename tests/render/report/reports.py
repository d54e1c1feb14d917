"""Reports that no run has come to: one of each status, and one of odd names."""

from __future__ import annotations

from datetime import UTC, datetime

from attntrace.record.difference import Difference, Figure, ModuleChange, RowChange
from attntrace.record.outcomes import Outcome, Place, Report, Verdict
from attntrace.record.snapshot import SnapshotModule, SnapshotRow

STARTED = datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC)
COMMAND = "attntrace check configs/ --update"


def key(kv_heads):
    """Return the row of keys of so many heads."""
    return SnapshotRow(
        path="layers.0.attention",
        name="k",
        op="transpose",
        kind="op",
        phase="forward",
        shape=(2, kv_heads, 13, 16),
        axes=("batch", "kv_heads", "tokens", "head_dim"),
        dtype="float32",
        nbytes=4 * 2 * kv_heads * 13 * 16,
    )


def narrower():
    """Return the difference of eight heads for keys from two, in twelve layers."""
    places = tuple(f"layers.{n}.attention" for n in range(12))
    changed = RowChange(what="changed", before=key(8), after=key(2), places=places)
    projection = ModuleChange(
        what="changed",
        before=SnapshotModule(path="layers.0.attention.k", type="Linear", parameters=2048),
        after=SnapshotModule(path="layers.0.attention.k", type="Linear", parameters=512),
        places=tuple(f"{place}.k" for place in places),
    )
    figures = (
        Figure(name="parameters", before=49_920, after=31_488),
        Figure(name="rows", before=31, after=31),
        Figure(name="nbytes", before=1_064_960, after=585_728),
    )
    return Difference(
        rows=(changed,), modules=(projection,), figures=figures, subjects=("Encoder", "Encoder")
    )


def holds(*contracts):
    """Return that these hold."""
    return tuple(Verdict(contract=contract, holds=True) for contract in contracts)


def breaks(contract, said, *place):
    """Return that one does not, and which line and column of which file ask for it."""
    where = Place(file=place[0], line=place[1], column=place[2]) if place else None
    return Verdict(contract=contract, holds=False, said=said, place=where)


def each_status():
    """Return a report with an outcome of every status, and a config that was not run."""
    file = "configs/{}.yaml".format
    outcomes = (
        Outcome(
            config=file("gpt2"),
            status="passed",
            verdicts=holds("runs", "expect.q", "baseline"),
            seconds=0.5,
            rows=31,
            parameters=49_920,
        ),
        Outcome(
            config=file("grouped"),
            status="changed",
            verdicts=(
                *holds("runs"),
                breaks(
                    "baseline",
                    "not as its baseline: k (batch, 8 -> 2 kv_heads, tokens, head_dim)\n"
                    "parameters: 49,920 -> 31,488",
                    file("grouped"), 1, 1,
                ),
            ),
            seconds=0.25,
            difference=narrower(),
            rows=31,
            parameters=31_488,
        ),
        Outcome(
            config=file("wide"),
            status="failed",
            verdicts=(
                *holds("runs"),
                breaks("expect.q", "q is (2, 8, 13, 16), not (2, 4, 13, 32)", file("wide"), 7, 6),
                breaks("expect.dtype.scores", "scores is bfloat16, not float32", file("wide"), 9, 12),
                *holds("baseline"),
            ),
            seconds=0.125,
            rows=31,
            parameters=49_920,
        ),
        Outcome(
            config=file("new"),
            status="missing",
            verdicts=(
                *holds("runs"),
                breaks("baseline", f"it has no baseline\nwrite it: {COMMAND}", file("new"), 1, 1),
            ),
            seconds=1.5,
            rows=12,
            parameters=768,
        ),
        Outcome(
            config=file("typo"),
            status="refused",
            verdicts=(breaks("config", "no such setting: head; did you mean heads?", file("typo"), 3, 1),),
            seconds=0.0,
        ),
        Outcome(
            config="model.py:Block",
            status="broken",
            verdicts=(breaks("runs", "the forward raised at `q @ k`\n  q (2, 8)\n  k (2, 8)"),),
            seconds=0.0625,
        ),
    )  # fmt: skip
    return Report(
        outcomes=outcomes,
        seconds=2.5,
        left=(file("zoo"),),
        command=COMMAND,
        started=STARTED,
    )


def all_pass():
    """Return a report of one config that passes."""
    return Report(outcomes=each_status().outcomes[:1], seconds=0.5, started=STARTED)
