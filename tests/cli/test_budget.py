"""`attntrace run --budget`: does it fit?"""

from __future__ import annotations

import json

import pytest

TOTAL = 54_272 + 254_800 + 5_158_400
SAID = "5.2 MiB (5,467,472 B) of {} = parameters 53.0 KiB + inputs 248.8 KiB + peak 4.9 MiB"


def footer(text):
    """Return the lines below a table, by their labels."""
    return {
        name: line[len(name) :].strip()
        for line in text.splitlines()
        for name in ("budget", "largest")
        if line.startswith(name)
    }


def test_it_fits(invoke):
    """A run within the budget exits with 0; the footer says the total, its parts, and the largest."""
    ended = invoke("run", "--heads", 4, "--budget", "8MiB")
    found = footer(ended.out)
    assert (ended.code, ended.err) == (0, "")
    assert found["budget"] == f"fits: {SAID.format('8.0 MiB (8,388,608 B)')}"
    assert found["largest"] == "batch 20 with tokens 100; tokens 127 with batch 13"


def test_it_does_not_fit(invoke):
    """A run over the budget is shown all the same, and exits with 1."""
    ended = invoke("run", "--heads", 4, "--budget", "5MB")
    found = footer(ended.out)
    assert ended.code == 1
    assert found["budget"] == f"does not fit: {SAID.format('4.8 MiB (5,000,000 B)')}"
    assert "context_merged" in ended.out


@pytest.mark.parametrize(("more", "code"), [(0, 0), (-1, 1)])
def test_the_last_byte_counts(invoke, more, code):
    """A budget of exactly the total fits; a byte less does not."""
    assert invoke("run", "--heads", 4, "--budget", f"{TOTAL + more}B").code == code


def test_nothing_fits(invoke):
    """Where no batch fits, the footer says so."""
    found = footer(invoke("run", "--heads", 4, "--budget", "100KiB").out)
    assert found["largest"].startswith("no batch with tokens 100; ")


def test_training_counts_backward(invoke):
    """With --grad the peak is that of forward and backward."""
    document = json.loads(
        invoke("run", "--heads", 4, "--grad", "--budget", "1GiB", "--format", "json").out
    )
    assert document["budget"]["parts"]["peak"] == document["memory"]["training_peak_nbytes"]
    assert document["budget"]["nbytes"] == sum(document["budget"]["parts"].values())


def test_json(invoke):
    """JSON has the verdict beside the facts, and is one document."""
    ended = invoke("run", "--heads", 4, "--budget", "5MB", "--format", "json")
    verdict = json.loads(ended.out)["budget"]
    assert ended.code == 1
    assert (verdict["budget_nbytes"], verdict["nbytes"], verdict["fits"]) == (
        5_000_000,
        TOTAL,
        False,
    )
    assert verdict["parts"] == {"parameters": 54_272, "inputs": 254_800, "peak": 5_158_400}
    assert verdict["largest"] == {"batch": 11, "tokens": 95}


def test_csv_says_it_on_stderr(invoke):
    """CSV is rows alone, so the verdict goes to stderr."""
    ended = invoke("run", "--heads", 4, "--budget", "8MiB", "--format", "csv")
    budget, largest = ended.err.splitlines()
    assert budget == f"attntrace: budget: fits: {SAID.format('8.0 MiB (8,388,608 B)')}"
    assert largest.startswith("attntrace: largest: batch 20 ")
    assert "budget" not in ended.out


def test_a_bad_budget_is_one_problem_among_others(invoke):
    """A budget without a unit is refused before anything runs."""
    ended = invoke("run", "--heads", 3, "--budget", "80")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.splitlines()[0] == "attntrace: 2 problems with the settings"
    assert ended.err.splitlines()[2] == (
        "  --budget 80: a size with a unit was expected, such as 80GiB or 80GB (units B, KiB, MiB, "
        "GiB, TiB, KB, kB, MB, GB, TB); got '80'; did you mean 80GiB?"
    )
