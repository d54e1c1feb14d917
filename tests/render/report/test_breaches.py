"""What all formats share: the order of what does not hold, and text made harmless."""

from __future__ import annotations

import pytest

from attntrace.record.outcomes import Outcome, Report
from attntrace.render.report.breaches import (
    Breach,
    breaches,
    counts,
    lines_of,
    plain,
    status_counts,
)
from tests.render.report.reports import all_pass, breaks, each_status


def test_the_worst_come_first_and_else_all_as_they_were_found():
    """What is broken stands before what is refused or missing, and that before what differs."""
    found = [(breach.outcome.status, breach.contract) for breach in breaches(each_status())]
    assert found == [
        ("broken", "runs"),
        ("missing", "baseline"),
        ("refused", "config"),
        ("changed", "baseline"),
        ("failed", "expect.q"),
        ("failed", "expect.dtype.scores"),
    ]
    assert breaches(all_pass()) == []


def test_counts_add_up():
    """Every config that was run has one status; those that were not are counted apart."""
    report = each_status()
    found = counts(report)
    assert found.pop("ran") == sum(found.values()) == len(report.outcomes)
    assert list(status_counts(report)) == [
        *(f"1 {status}" for status in found),
        "1 not run",
    ]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("heads: 8 -> 2, é → 😀\t.", "heads: 8 -> 2, é → 😀\t."),
        ("a\nb\rc", r"a\nb\rc"),
        ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
        ("\x00\x7f\x9b", r"\x00\x7f\x9b"),
        ("a\u2028b\u202ec", r"a\u2028b\u202ec"),
        ("\ud800\udc80\ufffe", r"\ud800\udc80\ufffe"),
    ],
)
def test_what_a_reader_would_not_see_is_written_out(text, shown):
    """Control characters, line ends, turned text and halves of characters stand as escapes."""
    assert plain(text) == shown


def test_lines_end_where_any_system_ends_them():
    """Line ends of three systems are one; blank lines around are none."""
    assert lines_of("\na\r\nb\r c\n\n") == ["a", "b", " c"]
    assert lines_of(" \n ") == []


@pytest.mark.parametrize(
    ("status", "contract", "kind", "is_error"),
    [
        ("broken", "runs", "runs", True),
        ("refused", "config.heads", "config", True),
        ("refused", "baseline", "baseline", True),
        ("missing", "baseline", "baseline", False),
        ("changed", "baseline", "baseline", False),
        ("refused", "expect.q", "expect", False),
        ("failed", "expect.dtype.scores", "expect", False),
        ("broken", "something else", "runs", True),
    ],
)
def test_what_could_not_be_judged_is_an_error(status, contract, kind, is_error):
    """An expectation or a baseline that does not hold was judged; what cannot be read was not."""
    verdict = breaks(contract, "")
    outcome = Outcome(config="a.yaml", status=status, verdicts=(verdict,), seconds=0)
    breach = Breach(outcome, verdict)
    assert (breach.kind, breach.is_error) == (kind, is_error)
    assert breach.lines == [f"{contract} does not hold"]
    assert breach.at == []


def test_a_place_is_said_without_what_a_shell_adds():
    """The file of "./configs/a.yaml" is the one that a repository knows."""
    verdict = breaks("expect.q", "no", "./configs//a.yaml", 7, 3)
    outcome = Outcome(config="./configs//a.yaml", status="failed", verdicts=(verdict,), seconds=0)
    (breach,) = breaches(Report(outcomes=(outcome,), seconds=0))
    assert breach.file == "configs/a.yaml"
    assert breach.at == ["at configs/a.yaml:7:3"]
