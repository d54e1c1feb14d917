"""`--depth`, `--only`, `--min-size`: what they leave, where they are said, what they refuse."""

from __future__ import annotations

import csv
import json

import pytest

LAYER = ("run", "--heads", 4)
MODEL = (
    "run", "--block", "decoder", "--layers", 4, "--tokens", 7, "--device", "meta", "--set",
    "stack.vocab=97",
)  # fmt: skip
HIDDEN = "hidden       17 of 18 rows: 17 not matched by scores; totals count all\n"


def test_a_tensor_by_name(invoke):
    """`--only scores` leaves one row, and says that the peak's row is not it."""
    ended = invoke(*LAYER, "--only", "scores")
    assert (ended.code, ended.err) == (0, "")
    assert HIDDEN in ended.out
    assert "hidden       the peak's #10 probs, in attention.attend, is one of them\n" in ended.out
    assert " q_scaled " not in ended.out.split("hidden  ")[0]


def test_all_flags_together(invoke):
    """Depth, patterns, size and folding narrow one after the other, and the totals stay."""
    whole = invoke(*MODEL).out
    narrow = invoke(*MODEL, "--only", "stack.layers*", "--depth", 3, "--min-size", "2KiB").out
    assert "stack.layers.0-3 x4: Layer" in narrow
    assert len(narrow.splitlines()) < len(whole.splitlines())
    for label in ("parameters", "inputs", "allocated", "peak", "FLOPs", "not counted"):
        [line] = [line for line in whole.splitlines() if line.startswith(label)]
        assert line in narrow.splitlines()


def test_markdown(invoke):
    """Markdown has the same rows and the same lines."""
    shown = invoke(*LAYER, "--only", "scores", "--format", "markdown").out
    assert "- **hidden**: 17 of 18 rows: 17 not matched by scores; totals count all\n" in shown
    assert len([line for line in shown.splitlines() if line.startswith("| 9 |")]) == 1


def test_csv(invoke):
    """CSV has the rows, and stderr what is hidden: CSV has no place for it."""
    ended = invoke(*LAYER, "--min-size", "1MiB", "--format", "csv")
    rows = list(csv.DictReader(ended.out.splitlines()))
    assert [row["tensor"] for row in rows] == ["scores", "probs"]
    assert ended.err == "attntrace: hidden: 16 of 18 rows: 16 under 1.0 MiB; totals count all\n"


def test_json_has_every_row(invoke):
    """JSON is the whole record whatever is asked, and a note says so."""
    ended = invoke(*LAYER, "--only", "nothing", "--depth", 0, "--format", "json")
    assert len(json.loads(ended.out)["tensors"]) == 18
    assert (ended.code, ended.err) == (
        0,
        "attntrace: note: json has every row; --depth, --only would narrow the other formats\n",
    )


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        (
            ("--depth", "two"),
            (
                "--depth two: depth must be a whole number from 0, the outermost module, on; "
                "got 'two'"
            ),
        ),
        (
            ("--depth", "-1"),
            "--depth -1: depth must be a whole number from 0, the outermost module, on; got '-1'",
        ),
        (
            ("--min-size", "1mb"),
            (
                "--min-size 1mb: a size with a unit was expected, such as 80GiB or 80GB (units B, "
                "KiB, MiB, GiB, TiB, KB, kB, MB, GB, TB); got '1mb'; did you mean 1MB?"
            ),
        ),
        (
            ("--only", "scors"),
            (
                "--only scors: no module and no tensor matches 'scors'; did you mean 'scores'? "
                "there are x, qkv, qkv_split, qkv_stack, q, k, v, q_scaled and 17 more"
            ),
        ),
        (
            ("--only", "z*", "--only", "probs"),
            (
                "--only z*: no module and no tensor matches 'z*'; there are x, qkv, qkv_split, "
                "qkv_stack, q, k, v, q_scaled and 17 more"
            ),
        ),
    ],
)
def test_what_is_refused(invoke, flags, problem):
    """A value that cannot be, and a pattern that nothing matches, are problems with the settings."""
    ended = invoke(*LAYER, *flags)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == f"attntrace: 1 problem with the settings\n  {problem}\n"


def test_all_problems_at_once(invoke):
    """What is wrong with views stands beside what is wrong with the rest."""
    ended = invoke("run", "--heads", "four", "--depth", "x", "--level", "deep")
    assert ended.code == 2
    assert ended.err.startswith("attntrace: 3 problems with the settings\n")


def test_a_forward_that_fails_is_told_whatever_is_asked(invoke, failing_forward):
    """A pattern that nothing matches up to the error does not stand before the error."""
    ended = invoke(*LAYER, "--only", "probs")
    assert ended.code == 3
    assert "hidden" in ended.out
    assert "probs'" not in ended.err
