"""The plugin with nothing made up: real configs, and pytest in processes of its own."""

from __future__ import annotations

import sys

import pytest

from tests.places.outcomes import write_configs

pytest_plugins = ["pytester"]

HEAVY = {"torch", "pydantic", "ruamel.yaml", "typer", "rich", "attntrace.checks", "attntrace.spec"}
PROBE = """
import pytest, sys
for args in ((), ("--attntrace", "configs")):
    pytest.main(["--collect-only", "-p", "no:cacheprovider", *args])
    print("loaded", *sys.modules)
"""
FAKE = """
import attntrace.checks.one
from attntrace.record.outcomes import Outcome, Verdict

def check_one(one, options):
    runs = Verdict(contract="runs", holds=not one.name.endswith("b.yaml"), said="forward failed")
    verdicts = [Verdict(contract=name, holds=True)
                for name in ("expect.q", "expect.parameters", "baseline")]
    wrote = f".attntrace/{one.name}.json" if options.update else None
    return Outcome(config=one.name, status="passed", verdicts=(runs, *verdicts), seconds=0.1,
                   wrote=wrote)

attntrace.checks.one.check_one = check_one
"""


@pytest.fixture
def folder(pytester):
    """Return a directory with two configs, in which pytest is to run."""
    write_configs(pytester.path, "a.yaml", "b.yaml")
    return pytester


def test_what_pytest_loads(folder):
    """Without the flag the plugin costs next to nothing; to collect configs takes no torch."""
    ran = folder.run(sys.executable, "-c", PROBE)
    without, collected = (set(line.split()) for line in ran.outlines if line.startswith("loaded"))
    assert "attntrace.pytest_plugin" in without
    assert not HEAVY & without
    assert HEAVY & collected == {"pydantic", "ruamel.yaml", "attntrace.spec"}


def test_another_process_runs_them(folder, monkeypatch, run_pytest):
    """What pytest-xdist runs elsewhere is told here: failures, and what was written."""
    folder.makeconftest(FAKE)
    monkeypatch.setattr("attntrace.checks.one.check_one", None)  # what it replaces comes back
    args = ("--attntrace", "--attntrace-update", "-p", "no:cacheprovider", "configs")
    ran = run_pytest("-n", "1", *args)
    ran.assert_outcomes(passed=7, failed=1)
    wrote = [line for line in ran.outlines if line.startswith("wrote ")]
    assert sorted(wrote) == [f"wrote .attntrace/configs/{name}.yaml.json" for name in "ab"]
    ran.stdout.fnmatch_lines(["FAILED configs/b.yaml::runs - *forward failed*"])


def test_the_life_of_a_baseline(pytester, run_pytest):
    """It is missing, written, met, and then the config changes: each says so."""
    write_configs(pytester.path, "a.yaml")
    args = ("--attntrace", "-p", "no:cacheprovider", "configs")
    missing = run_pytest(*args)
    missing.assert_outcomes(passed=3, failed=1)
    missing.stdout.fnmatch_lines(
        ["there is no .attntrace/configs/a.yaml.json; make it: attntrace *"]
    )
    wrote = run_pytest("--attntrace-update", *args)
    wrote.assert_outcomes(passed=4)
    named = [line for line in wrote.outlines if line.startswith("wrote ")]
    assert named == ["wrote .attntrace/configs/a.yaml.json"]
    run_pytest(*args).assert_outcomes(passed=4)
    config = pytester.path / "configs" / "a.yaml"
    config.write_text(config.read_text().replace("heads: 4", "heads: 8"))
    changed = run_pytest(*args)
    changed.assert_outcomes(passed=3, failed=1)
    changed.stdout.fnmatch_lines(["*configs/a.yaml: baseline*", "differs from its baseline: *"])
    config.write_text(config.read_text().replace("13568", "13569"))
    run_pytest(*args, "-k", "expect").assert_outcomes(passed=1, failed=1, deselected=2)
