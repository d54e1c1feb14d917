"""Reports of real runs: one config of each status, in every format, by other people's readers."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from junitparser import JUnitXml

from attntrace.checks.find import find
from attntrace.checks.options import Options
from attntrace.checks.pool import outcomes
from attntrace.record.outcomes import EXIT_CODES, Report
from attntrace.render.report import FORMATS, step_summary
from tests.checks.small import BLOCK, OWN, code
from tests.render.report.reports import STARTED
from tests.render.report.schemas import valid_junit, valid_sarif

EXPECTED = "{}expect:\n  q: [batch, heads, tokens, head_dim]\n  parameters: {}\n"
FINE = EXPECTED.format(BLOCK, 13568)
FILES = {
    "passed": FINE,
    "changed": FINE,
    "failed": EXPECTED.format(BLOCK, 5),
    "missing": BLOCK,
    "refused": "heads: 2\nhaeds: 4\n",
    "broken": OWN,
}
HALVES = FINE.replace("heads: 2", "heads: 4")


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """Return what came of a config of each status, its file named after that."""
    folder = tmp_path_factory.mktemp("reports")
    (folder / "block.py").write_text(code(in_forward="x = x @ x"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name, text in FILES.items():
            (folder / f"{name}.yaml").write_text(text)
        with_baselines = [f"{name}.yaml" for name in ("passed", "changed", "failed")]
        list(outcomes(find(with_baselines), Options(update=True), jobs=1))
        (folder / "changed.yaml").write_text(HALVES)
        made = outcomes(find([f"{name}.yaml" for name in FILES]), Options(), jobs=1)
        return Report(outcomes=tuple(made), seconds=1.0, started=STARTED, command="COMMAND")


def test_every_status_is_one_that_a_run_comes_to(report):
    """Each config comes to the status that it is named after."""
    found = {outcome.config: outcome.status for outcome in report.outcomes}
    assert found == {f"{name}.yaml": name for name in EXIT_CODES}


def test_all_formats_tell_the_same(report):
    """The contracts that do not hold are as many in JSON, JUnit, SARIF, annotations and tables."""
    texts = {name: write(report) for name, write in FORMATS.items()}
    summary = json.loads(texts["json"])["summary"]
    assert {status: summary[status] for status in EXIT_CODES} == dict.fromkeys(EXIT_CODES, 1)
    valid_junit(texts["junit"])
    cases = [case for suite in JUnitXml.fromstring(texts["junit"]) for case in suite]
    wrong = Counter(case.classname for case in cases for _ in case.result)
    assert wrong == Counter(f"{name}.yaml" for name in EXIT_CODES if name != "passed")
    results = valid_sarif(texts["sarif"])["results"]
    files = [r["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for r in results]
    assert Counter(files) == wrong
    commands = texts["github"].splitlines()
    assert Counter(line.split("=")[1].split(",")[0] for line in commands) == wrong
    rows = [line for line in texts["markdown"].splitlines() if ".yaml:" in line[:20]]
    assert len(rows) == len(results)
    assert step_summary(report) == texts["markdown"]


def test_the_line_is_the_one_that_asks(report):
    """An expectation, a setting that is not one: the annotation stands at its line of the file."""
    commands = {line.split("title=")[1]: line for line in FORMATS["github"](report).splitlines()}
    (failed,) = (line for title, line in commands.items() if title.startswith("failed"))
    assert failed == (
        "::error file=failed.yaml,line=5,col=3,title=failed.yaml%3A expect.parameters::"
        "parameters is 13,568, expected 5: 13,563 over"
    )
    (refused,) = (line for title, line in commands.items() if title.startswith("refused"))
    assert refused.startswith("::error file=refused.yaml,line=2,col=1,")


def test_a_difference_is_folded_out(report):
    """The comment says in a table what heads twice as many make of the rows."""
    text = FORMATS["markdown"](report)
    _, _, difference = text.partition("<details><summary>changed.yaml: baseline</summary>")
    assert "| size heads | 2 | 4 |" in difference
    assert "! attention.project.q: (batch, 2 -> 4 heads, tokens, 32 -> 16 head_dim)" in difference
