"""The report as JUnit XML, by its schemas and by a reader of other people."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from junitparser import Error, Failure, JUnitXml, Skipped
from lxml import etree

from attntrace.record.outcomes import Outcome, Report
from attntrace.render.report.breaches import lines_of
from attntrace.render.report.junit import to_junit
from tests.render.report.reports import STARTED, breaks, each_status
from tests.render.report.schemas import JUNIT, valid_junit
from tests.render.report.strange import broken, reports


def test_a_reader_counts_what_the_report_counts():
    """Suites, cases, failures, errors and seconds are those of the report, read by junitparser."""
    report = each_status()
    valid_junit(to_junit(report))
    suites = list(JUnitXml.fromstring(to_junit(report)))
    assert [suite.name for suite in suites] == [*(o.config for o in report.outcomes), *report.left]
    figures = [(s.tests, s.failures, s.errors, s.skipped) for s in suites]
    assert figures == [
        (3, 0, 0, 0),  # passed
        (2, 1, 0, 0),  # changed
        (4, 2, 0, 0),  # failed
        (2, 1, 0, 0),  # missing
        (1, 0, 1, 0),  # refused
        (1, 0, 1, 0),  # broken
        (1, 0, 0, 1),  # not run
    ]
    for suite, outcome in zip(suites, report.outcomes, strict=False):
        assert suite.time == pytest.approx(outcome.seconds, abs=0.0006)
        assert sum(case.time for case in suite) == suite.time
        assert suite.timestamp == "2026-03-14T15:09:26"
        assert [case.name for case in suite] == [v.contract for v in outcome.verdicts]
        assert {case.classname for case in suite} == {outcome.config}


def test_a_case_has_all_that_is_said_and_where():
    """The message is the first line; the body, which is all that GitLab shows, has every line."""
    cases = [case for suite in JUnitXml.fromstring(to_junit(each_status())) for case in suite]
    results = {(case.classname, case.name): case.result for case in cases if case.result}
    (changed,) = results["configs/grouped.yaml", "baseline"]
    assert isinstance(changed, Failure)
    assert changed.message == "not as its baseline: k (batch, 8 -> 2 kv_heads, tokens, head_dim)"
    assert changed.type == "baseline"
    assert changed.text == (
        "not as its baseline: k (batch, 8 -> 2 kv_heads, tokens, head_dim)\n"
        "parameters: 49,920 -> 31,488\n"
        "at configs/grouped.yaml:1:1"
    )
    (raised,) = results["model.py:Block", "runs"]
    assert isinstance(raised, Error)
    assert raised.text == "the forward raised at `q @ k`\n  q (2, 8)\n  k (2, 8)"
    (left,) = results["configs/zoo.yaml", "runs"]
    assert isinstance(left, Skipped)
    assert left.message == "not run: a config before it did not pass"


def test_two_problems_of_one_setting_are_two_cases():
    """GitLab shows the first of two cases of one name alone, so that the second has another."""
    verdicts = (breaks("config.heads", "too many"), breaks("config.heads", "and odd"))
    outcome = Outcome(config="a.yaml", status="refused", verdicts=verdicts, seconds=0)
    text = to_junit(Report(outcomes=(outcome,), seconds=0, started=STARTED))
    valid_junit(text)
    (suite,) = JUnitXml.fromstring(text)
    assert [case.name for case in suite] == ["config.heads", "config.heads (2)"]


def test_nothing_is_made_up_where_nobody_looked_at_the_clock():
    """A report without a time of beginning has none."""
    assert "timestamp" not in to_junit(Report(outcomes=(), seconds=0, left=("a.yaml",)))


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("<testsuites>", '<testsuites tests="14">'),
        ('time="0.250"', 'time="1e-1"'),
        ('hostname="localhost" ', ""),
        ("<system-out />", ""),
        (' type="baseline"', ""),
        ('name="expect.q" classname', 'name="expect.q" file="a.yaml" classname'),
    ],
)
def test_the_schemas_notice(right, wrong):
    """What Jenkins or Ant would refuse is refused: each change breaks the schema held against."""
    text = to_junit(each_status())
    assert right in text
    assert not JUNIT[0].validate(etree.fromstring(text.replace(right, wrong, 1).encode()))


@settings(max_examples=40, deadline=None)
@given(report=reports())
def test_any_text_makes_a_valid_document(report):
    """Whatever the names are, it is ASCII and valid, and each message is the first line said."""
    text = to_junit(report)
    assert text.isascii()
    cases = valid_junit(text).iter("testcase")
    found = [result for case in cases for result in case if result.tag != "skipped"]
    for result, (_, verdict) in zip(found, broken(report), strict=True):
        lines = lines_of(verdict.said) or [result.get("message")]
        assert result.get("message") == lines[0]
        assert result.text.split("\n")[: len(lines)] == lines
