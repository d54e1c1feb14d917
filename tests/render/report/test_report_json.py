"""The report as JSON: every fact, each documented."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

from hypothesis import given, settings

from attntrace.render.difference import difference_facts
from attntrace.render.report.json import to_json
from tests.render.report.reports import COMMAND, each_status, narrower
from tests.render.report.strange import reports

DOCS = Path(__file__).parents[3] / "docs" / "check-json.md"


def test_the_summary_counts_what_the_outcomes_are():
    """The counts, the exit code and what was not run agree with the outcomes."""
    report = each_status()
    found = json.loads(to_json(report))
    outcomes = found["outcomes"]
    assert found["schema_version"] == 1
    assert found["exit_code"] == max(outcome["exit_code"] for outcome in outcomes) == 3
    assert found["command"] == COMMAND
    assert found["left"] == ["configs/zoo.yaml"]
    assert found["summary"] == {
        "ran": len(outcomes),
        **{outcome["status"]: 1 for outcome in outcomes},
        "left": 1,
        "seconds": 2.5,
    }


def test_only_what_differs_has_a_difference():
    """The facts of a difference stand with the outcome, null where there is none."""
    outcomes = json.loads(to_json(each_status()))["outcomes"]
    differences = {outcome["status"]: outcome["difference"] for outcome in outcomes}
    assert differences.pop("changed") == json.loads(json.dumps(difference_facts(narrower())))
    assert set(differences.values()) == {None}


def test_two_runs_differ_in_seconds_alone():
    """With the same seconds the text is the same; nothing says when or where it was written."""
    report = each_status()
    later = replace(report, started=None, seconds=9.0)
    assert to_json(later) == to_json(report).replace('"seconds": 2.5\n', '"seconds": 9.0\n')


@settings(max_examples=40, deadline=None)
@given(report=reports())
def test_any_text_comes_back(report):
    """The text is ASCII, and strange names and messages are read back as they were."""
    text = to_json(report)
    assert text.isascii()
    found = json.loads(text)
    assert found["left"] == [whole(name) for name in report.left]
    for read, outcome in zip(found["outcomes"], report.outcomes, strict=True):
        assert read["config"] == whole(outcome.config)
        assert read["wrote"] == (outcome.wrote and whole(outcome.wrote))
        for one, verdict in zip(read["verdicts"], outcome.verdicts, strict=True):
            assert (one["contract"], one["said"]) == (whole(verdict.contract), whole(verdict.said))
            assert one["holds"] is verdict.holds


def whole(text):
    """Return text in which halves of a character that meet are that character, as JSON has it."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def documented():
    """Return the fields of each object that docs/check-json.md has a table of."""
    sections = DOCS.read_text(encoding="utf-8").split("\n## ")[1:]
    return {
        text.partition("\n")[0].strip("`"): re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)
        for text in sections
    }


def test_every_field_is_documented():
    """docs/check-json.md has a table of each object, with its fields as they come."""
    found = json.loads(to_json(each_status()))
    changed = found["outcomes"][1]
    wrong, difference = changed["verdicts"][1], changed["difference"]
    objects = {
        "The report": found,
        "summary": found["summary"],
        "outcomes": changed,
        "verdicts": wrong,
        "place": wrong["place"],
        "difference": difference,
        "rows": difference["rows"][0],
        "modules": difference["modules"][0],
        "figures": difference["figures"][0],
    }
    assert documented() == {name: list(fields) for name, fields in objects.items()}
