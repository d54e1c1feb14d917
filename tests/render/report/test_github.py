"""Annotations as the runner of GitHub's Actions reads them, and the summary of a job."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings

from attntrace.record.outcomes import Outcome, Report
from attntrace.render.report.breaches import lines_of
from attntrace.render.report.github import step_summary, to_annotations
from tests.render.report.reports import all_pass, breaks, each_status
from tests.render.report.strange import broken, reports


def read(text):
    """Return the commands that the runner finds, by the rules of its ActionCommand.TryParseV2.

    A line that begins with "::" and has a second "::" is one; what is before that is its name and
    its properties, at commas and at their first "="; each is unescaped, the percent sign last.
    """
    commands = []
    for line in re.split("\r\n|\r|\n", text):
        if (line := line.lstrip()).startswith("::") and (end := line.find("::", 2)) >= 0:
            name, _, rest = line[2:end].partition(" ")
            pairs = [pair.partition("=") for pair in rest.strip().split(",") if pair]
            properties = {key: unescaped(value, ":,") for key, _, value in pairs}
            commands.append((name, properties, unescaped(line[end + 2 :], "")))
    return commands


def unescaped(text, more):
    """Return text with the escapes of line ends and of some more characters taken back."""
    for character in ("\r", "\n", *more, "%"):
        text = text.replace(f"%{ord(character):02X}", character)
    return text


def failing(*verdicts):
    """Return a report of one config with these."""
    outcome = Outcome(config="a.yaml", status="failed", verdicts=verdicts, seconds=0)
    return Report(outcomes=(outcome,), seconds=0)


def test_an_annotation_stands_at_the_line_that_asks():
    """The worst first, each with its file, line, column, title and message."""
    commands = read(to_annotations(each_status()))
    assert [name for name, _, _ in commands] == ["error"] * 6
    assert commands[0] == (
        "error",
        {"title": "model.py:Block: runs"},
        "the forward raised at `q @ k`\n  q (2, 8)\n  k (2, 8)",
    )
    assert commands[2] == (
        "error",
        {"file": "configs/wide.yaml", "line": "7", "col": "6", "title": "configs/wide.yaml: expect.q"},
        "q is (2, 8, 13, 16), not (2, 4, 13, 32)",
    )  # fmt: skip


def test_what_passes_is_not_said():
    """Without a failure there is no command, not even a notice."""
    assert to_annotations(all_pass()) == ""


@pytest.mark.parametrize(("broken", "shown"), [(10, 10), (11, 9), (40, 9)])
def test_the_tenth_says_how_many_more_there_are(broken, shown):
    """GitHub shows ten of a step without a word of the others."""
    report = failing(*(breaks(f"expect.t{n}", f"wrong {n}") for n in range(broken)))
    said = [message for _, _, message in read(to_annotations(report))]
    assert said[:shown] == [f"wrong {n}" for n in range(shown)]
    more = f"{broken - shown} more contracts do not hold: see the summary of the job"
    assert said[shown:] == ([more] if broken > shown else [])


def without_baselines(count, *verdicts):
    """Return a report of so many configs without one, and then one with these verdicts."""
    missing = [
        Outcome(
            config=f"{n}.yaml", status="missing", verdicts=(breaks("baseline", "none"),), seconds=0
        )
        for n in range(count)
    ]
    outcomes = (*missing, *failing(*verdicts).outcomes)
    return Report(outcomes=outcomes, seconds=0, command="attntrace check . --update")


def test_missing_baselines_push_nothing_out():
    """They stand behind what is wrong; where not all fit they are one annotation, or are counted."""
    wrong = [breaks(f"expect.t{n}", f"wrong {n}") for n in range(10)]
    first = [f"wrong {n}" for n in range(10)]

    def said(count, judged):
        return [said for *_, said in read(to_annotations(without_baselines(count, *judged)))]

    assert said(8, wrong[:2]) == [*first[:2], *["none"] * 8]
    assert said(20, wrong[:9]) == [*first[:9], (
        "20 configs have no baseline\nmake them: attntrace check . --update\n"
        + "".join(f"{n}.yaml\n" for n in range(12))
        + "... 8 more lines in the summary of the job"
    )]  # fmt: skip
    more = "12 more contracts do not hold: see the summary of the job"
    assert said(11, wrong) == [*first[:9], more]


def test_a_long_difference_is_cut():
    """An annotation has twelve lines; the summary has all."""
    report = failing(breaks("baseline", "\n".join(f"line {n}" for n in range(100))))
    ((_, _, said),) = read(to_annotations(report))
    assert said.splitlines()[-2:] == ["line 11", "... 88 more lines in the summary of the job"]
    assert len(said.splitlines()) == 13
    assert "line 99" in step_summary(report)


def order(outcome, verdict):
    """Return where a verdict stands: a baseline that is missing behind all others."""
    if verdict.contract == "baseline":
        return 4 if outcome.status == "missing" else 3
    return {"config": 1, "expect": 2}.get(verdict.contract.partition(".")[0], 0)


@settings(max_examples=40, deadline=None)
@given(report=reports())
@example(report=failing(breaks("expect.q", "a\n::set-env name=A::b", "x\n::add-path::y", 1, 1)))
@example(report=failing(breaks("a%0A::add-mask::b", "%0A::error::c\r::stop-commands::d")))
def test_no_text_ends_a_command_or_begins_one(report):
    """Each line is one error, and reads back as the first line of what was said."""
    text = to_annotations(report)
    commands = read(text)
    wrong = sorted(broken(report), key=lambda found: (order(*found), -found[0].exit_code))
    judged = [found for found in wrong if order(*found) < 4]
    together = len(judged) < 10 < len(wrong)
    shown = judged if together else wrong if len(wrong) <= 10 else wrong[:9]
    assert len(commands) == text.count("\n") == len(shown) + (len(wrong) > 10)
    for (name, properties, said), (_, verdict) in zip(commands, shown, strict=False):
        assert name == "error"
        assert set(properties) == ({"file", "line", "col", "title"} if verdict.place else {"title"})
        assert said.split("\n")[0] == (lines_of(verdict.said) or [said])[0]


def test_a_summary_is_no_longer_than_github_takes():
    """Of a megabyte and more, what does not fit is left out, and the last line says how much."""
    said = "\n".join(["too long", *["|" * 99] * 999])
    text = step_summary(failing(*(breaks(f"expect.t{n}", said) for n in range(20))))
    assert 900_000 < len(text.encode()) <= 1024 * 1024
    assert text.count("| too long |") == 20
    assert text.count("</details>") == 10
    assert text.endswith(
        "\n\n10 parts do not fit here; `attntrace check --format json` has them.\n"
    )
