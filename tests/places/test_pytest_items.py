"""Configs as test items: what is collected, what fails, and what is said of it."""

from __future__ import annotations

import pytest

from tests.places.outcomes import CONFIG, only, outcome, write_configs, wrong

pytest_plugins = ["pytester"]


@pytest.fixture
def checked(monkeypatch):
    """Return a list of what was checked; a function in `says` has what comes of it."""

    class Ran(list):
        says = staticmethod(lambda _: outcome(status="passed"))

    ran = Ran()

    def check_one(one, options):
        ran.append((one.name, options))
        return ran.says(one.name)

    monkeypatch.setattr("attntrace.checks.one.check_one", check_one)
    return ran


@pytest.fixture
def folder(pytester):
    """Return a directory with one config, in which pytest is to run."""
    write_configs(pytester.path, "a.yaml")
    return pytester


def ids(result):
    """Return the ids that --collect-only -q printed."""
    return [line for line in result.outlines if "::" in line]


def test_an_item_a_contract(folder, checked, run_pytest):
    """Each contract is an item, one run is for all, and nothing runs while they are collected."""
    collected = run_pytest("--attntrace", "--collect-only", "-q", "configs")
    assert ids(collected) == [
        "configs/a.yaml::runs",
        "configs/a.yaml::expect.q",
        "configs/a.yaml::expect.parameters",
        "configs/a.yaml::baseline",
    ]
    assert checked == []
    run_pytest("--attntrace", "configs").assert_outcomes(passed=4)
    assert [name for name, _ in checked] == ["configs/a.yaml"]


def test_without_the_flag_no_yaml_is_collected(folder, checked, run_pytest):
    """Nothing is collected that was not asked for."""
    assert run_pytest("configs").ret == pytest.ExitCode.NO_TESTS_COLLECTED
    assert checked == []


def test_which_files_are_configs(folder, checked, run_pytest):
    """Both endings of YAML below what is named, nothing hidden; or what the globs say."""
    for name in ("b.yml", ".hidden.yaml", "c.txt"):
        (folder.path / "configs" / name).write_text(CONFIG)
    (folder.path / "other.yaml").write_text(CONFIG)
    collect = ["--attntrace", "--collect-only", "-q", "-k", "runs"]
    assert ids(run_pytest(*collect, "configs")) == [
        "configs/a.yaml::runs",
        "configs/b.yml::runs",
    ]
    globs = ["--attntrace-files", "configs/a*", "--attntrace-files", "o*.yaml"]
    assert ids(run_pytest(*collect, *globs)) == [
        "configs/a.yaml::runs",
        "other.yaml::runs",
    ]


def test_a_failure_is_the_verdict_s_sentences(folder, checked, run_pytest):
    """What is said stands under the config's name with its place; no line of ours is shown."""
    said = "q is (13, 4, 100, 32), not (batch, heads, tokens, head_dim)\n  heads 4"
    checked.says = lambda _: outcome(wrong("expect.q", said, line=5))
    ran = run_pytest("--attntrace", "configs")
    ran.assert_outcomes(passed=3, failed=1)
    text = ran.stdout.str()
    shown = text.partition("= FAILURES =")[2].splitlines()
    assert shown[1].strip("_ ") == "configs/a.yaml: expect.q"
    assert shown[2:4] == [
        "configs/a.yaml:5:3: q is (13, 4, 100, 32), not (batch, heads, tokens, head_dim)",
        "    heads 4",
    ]
    assert "FAILED configs/a.yaml::expect.q - " in text
    assert "pytest_plugin" not in text
    assert "Traceback" not in text


def test_what_did_not_run_is_not_passed(folder, checked, run_pytest):
    """Of a config that fails to run no contract passes, whichever items are chosen."""
    checked.says = lambda _: only(wrong("runs", "forward failed at q @ k\nthe panel"))
    ran = run_pytest("--attntrace", "configs")
    ran.assert_outcomes(failed=4)
    text = ran.stdout.str().partition("short test summary")[0]  # in CI whole messages are below
    assert text.count("the panel") == 1
    assert text.count("\nnot judged: forward failed at q @ k\n") == 3
    run_pytest("--attntrace", "configs", "-k", "expect.q").assert_outcomes(failed=1, deselected=3)


def test_what_nobody_foresaw_fails_the_run(folder, checked, run_pytest):
    """A verdict that has no item of its own fails the item of the run."""
    checked.says = lambda _: outcome(wrong("expect.k", "k is missing"))
    ran = run_pytest("--attntrace", "configs", "-k", "runs")
    ran.assert_outcomes(failed=1, deselected=3)
    ran.stdout.fnmatch_lines(["k is missing"])


def test_a_config_that_cannot_be_read(folder, checked, run_pytest):
    """It is one item, which fails with what a check says of it; the others run."""
    write = (folder.path / "configs" / "b.yaml").write_text
    write("heads: [4\n")
    refused = only(wrong("runs", "not YAML"), status="refused")
    checked.says = lambda name: refused if name.endswith("b.yaml") else outcome(status="passed")
    ran = run_pytest("--attntrace", "configs")
    ran.assert_outcomes(passed=4, failed=1)
    ran.stdout.fnmatch_lines(["*configs/b.yaml: runs*", "not YAML"])


def test_the_last_failures_run_again(folder, checked, run_pytest):
    """--lf runs what failed, and what is chosen with -k alone."""
    checked.says = lambda _: outcome(wrong("baseline", "q: 4 -> 8 heads"))
    run_pytest("--attntrace", "configs").assert_outcomes(passed=3, failed=1)
    checked.says = lambda _: outcome(status="passed")
    run_pytest("--attntrace", "configs", "--lf").assert_outcomes(passed=1)


def test_where_the_baselines_are(folder, checked, run_pytest):
    """In .attntrace of the root directory, or where a flag says; or there are none."""
    folder.makeini("[pytest]")
    (folder.path / "deep").mkdir()

    def options(*flags):
        run_pytest("--attntrace", folder.path / "configs", *flags)
        _, found = checked.pop()
        return str(found.baselines), found.update

    assert options() == (".attntrace", False)
    assert options("--attntrace-baselines", "kept") == ("kept", False)
    assert options("--attntrace-update") == (".attntrace", True)
    assert options("--attntrace-no-baselines") == ("None", False)
    folder.chdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder.path / "deep")
        assert options() == (str(folder.path / ".attntrace"), False)


def test_without_baselines_there_is_no_such_item(folder, checked, run_pytest):
    """Nothing then is said to be like a baseline."""
    ran = run_pytest("--attntrace", "--attntrace-no-baselines", "configs")
    ran.assert_outcomes(passed=3)
