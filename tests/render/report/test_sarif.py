"""The report as SARIF, by its schema and by what GitHub's code scanning asks for."""

from __future__ import annotations

import json
from pathlib import PurePath
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from jsonschema import ValidationError

from attntrace.record.outcomes import Outcome, Report
from attntrace.render.report.breaches import KINDS, lines_of, plain
from attntrace.render.report.sarif import to_sarif, uri
from tests.render.report.reports import all_pass, breaks, each_status
from tests.render.report.schemas import SARIF, valid_sarif
from tests.render.report.strange import broken, reports


def located(result):
    """Return the URI and the region of a result."""
    (location,) = result["locations"]
    found = location["physicalLocation"]
    return found["artifactLocation"]["uri"], tuple(found["region"].values())


def test_results_are_what_does_not_hold():
    """A result a contract, the worst first, each with its rule, its message and its line."""
    report = each_status()
    run = valid_sarif(to_sarif(report))
    results = run["results"]
    assert len(results) == len(broken(report))
    assert [(r["ruleId"], *located(r)) for r in results] == [
        ("runs", "model.py", (1, 1, 1, 2)),
        ("baseline", "configs/new.yaml", (1, 1, 1, 2)),
        ("config", "configs/typo.yaml", (3, 1, 3, 2)),
        ("baseline", "configs/grouped.yaml", (1, 1, 1, 2)),
        ("expect", "configs/wide.yaml", (7, 6, 7, 7)),
        ("expect", "configs/wide.yaml", (9, 12, 9, 13)),
    ]
    assert results[-1]["message"] == {"text": "scores is bfloat16, not float32"}
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == list(KINDS)
    assert all(rules[r["ruleIndex"]]["id"] == r["ruleId"] for r in results)
    (notified,) = run["invocations"][0]["toolExecutionNotifications"]
    assert (
        notified["message"]["text"] == "Not run, as a config before did not pass: configs/zoo.yaml."
    )


def test_what_passes_is_no_result():
    """A report without failures closes every alert: its run has no results, and says no more."""
    run = valid_sarif(to_sarif(all_pass()))
    assert run["results"] == []
    assert run["invocations"] == [{"executionSuccessful": True}]


def test_a_result_is_the_same_one_after_an_edit():
    """The fingerprint is of the config and the contract: neither line nor numbers move it."""

    def fingerprint(contract, said, line):
        verdict = breaks(contract, said, "a.yaml", line, 1)
        outcome = Outcome(config="a.yaml", status="failed", verdicts=(verdict,), seconds=0)
        (result,) = valid_sarif(to_sarif(Report(outcomes=(outcome,), seconds=0)))["results"]
        return result["partialFingerprints"]

    first = fingerprint("expect.q", "8 heads, not 4", 7)
    assert fingerprint("expect.q", "2 heads, not 4", 9) == first
    assert fingerprint("expect.k", "8 heads, not 4", 7) != first


@pytest.mark.parametrize(
    ("file", "reference"),
    [
        ("configs/gpt2.yaml", "configs/gpt2.yaml"),
        ("./configs//gpt2.yaml", "configs/gpt2.yaml"),
        ("../a b/é#1?.yaml", "../a%20b/%C3%A9%231%3F.yaml"),
        ("c:d.yaml", "c%3Ad.yaml"),
        ("100%.yaml", "100%25.yaml"),
        ("/home/a b/c.yaml", "file:///home/a%20b/c.yaml"),
    ],
)
def test_a_file_is_a_reference(file, reference):
    """A path is relative with forward slashes and percent signs, an absolute one a URI of a file."""
    assert uri(file) == reference


@pytest.mark.parametrize(
    ("config", "file"),
    [("gpt2", "gpt2"), ("model.py:Net.Block", "model.py"), ("a:b.yaml:7x", "a%3Ab.yaml%3A7x")],
)
def test_what_no_file_asks_for_is_in_the_file_it_is_named_after(config, file):
    """GitHub refuses a result without a physical location, so that each has one."""
    outcome = Outcome(config=config, status="broken", verdicts=(breaks("runs", "no"),), seconds=0)
    (result,) = valid_sarif(to_sarif(Report(outcomes=(outcome,), seconds=0)))["results"]
    assert located(result) == (file, (1, 1, 1, 2))


@pytest.mark.parametrize("path", ["locations", "message", "partialFingerprints", "ruleId"])
def test_the_schema_notices(path):
    """A result without what GitHub calls required is refused by the schema held against."""
    log = json.loads(to_sarif(each_status()))
    del log["runs"][0]["results"][0][path]
    with pytest.raises(ValidationError, match=f"'{path}' is a required property"):
        SARIF[0].validate(log)


@settings(max_examples=40, deadline=None)
@given(report=reports())
def test_any_text_makes_a_valid_log(report):
    """Whatever the names are, it is valid, and each message is what was said of each file."""
    text = to_sarif(report)
    assert text.isascii()
    results = valid_sarif(text)["results"]
    wrong = sorted(broken(report), key=lambda found: -found[0].exit_code)
    for result, (_, verdict) in zip(results, wrong, strict=True):
        said = "\n".join(lines_of(verdict.said)) or f"{plain(verdict.contract)} does not hold"
        assert result["message"]["text"] == said
        if verdict.place:
            path = located(result)[0].removeprefix("file://")
            file = PurePath(plain(verdict.place.file)).as_posix()
            assert unquote(path) == (file if file[0] != "/" else f"/{file.lstrip('/')}")
