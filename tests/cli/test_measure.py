"""The flag `--measure`."""

from __future__ import annotations

import csv
import io

SMALL = ("run", "--heads", "2", "--tokens", "9")


def test_measure_fills_the_column_scratch(invoke):
    """What a kernel took for itself is on the row of its call, and empty where it was not asked."""
    for flags, scale in (((), ""), (("--measure",), "12")):
        ended = invoke(*SMALL, *flags, "--format", "csv", "--columns", "tensor,scratch")
        rows = {row["tensor"]: row["scratch"] for row in csv.DictReader(io.StringIO(ended.out))}
        assert (ended.code, rows["q_scaled"]) == (0, scale)


def test_measure_needs_a_device_that_allocates(invoke):
    """On meta it is refused, in the words of the flag that chose it."""
    ended = invoke(*SMALL, "--measure", "--device", "meta")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == (
        "attntrace: 1 problem with the settings\n"
        "  --device meta: --measure needs a run that allocates: device cpu or cuda\n"
    )
