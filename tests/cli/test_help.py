"""`--help` tells everything that a caller may rely on."""

from __future__ import annotations

import re

import pytest

from attntrace.cli.exits import OF_CHECK, OF_DIFF

FLAGS = [
    "--block",
    "--batch",
    "--tokens",
    "--dim",
    "--chan",
    "--heads",
    "--kv-heads",
    "--head-dim",
    "--layers",
    "--qkv-bias",
    "--no-qkv-bias",
    "--qk-scale",
    "--skip",
    "--impl",
    "--device",
    "--as",
    "--dtype",
    "--seed",
    "--dropout",
    "--mask",
    "--budget",
    "--train",
    "--eval",
    "--grad",
    "--no-grad",
    "--format",
    "-o",
    "--output",
    "--columns",
    "--level",
    "--axes",
    "--depth",
    "--only",
    "--min-size",
    "--unfold",
    "--set",
    "--show-config",
    "--explain",
    "--source",
    "--debug",
    "--help",
]
EXIT_CODES = (
    "Exit codes: 0 fine; 1 a check found a difference, over budget, or a warning under --strict; 2 "
    "bad flags, settings or files, nothing to check, a missing baseline, or a run that cannot fit "
    "in memory; 3 the block failed to build or to run; 101 a bug in attntrace; 130 stopped by "
    "Ctrl-C, 143 by SIGTERM."
)


def words(text):
    """Return a help page as one line, without the frames around its panels."""
    return " ".join(re.sub("[│╭╮╰╯─]", " ", text).split())


def test_every_flag_is_there(invoke):
    """`run --help` shows every flag."""
    shown = set(words(invoke("run", "--help").out).replace(",", " ").split())
    assert [flag for flag in FLAGS if flag not in shown] == []


@pytest.mark.parametrize("args", [["--help"], ["-h"], ["run", "--help"], ["run", "-h"]])
def test_the_exit_codes_are_there(args, invoke):
    """Both help pages list the exit codes, and exit with 0."""
    ended = invoke(*args)
    assert (ended.code, ended.err) == (0, "")
    assert EXIT_CODES in words(ended.out)


def test_the_defaults_are_there(invoke):
    """`run --help` shows the default of every size."""
    shown = words(invoke("run", "--help").out)
    for flag, default in [("batch", 13), ("tokens", 100), ("dim", 49), ("chan", 64), ("heads", 1)]:
        assert re.search(rf"--{flag} N [^(]*\({default}\)", shown), flag


def test_the_choices_are_there(invoke):
    """`run --help` shows every word that a flag takes."""
    shown = words(invoke("run", "--help").out)
    for choice in (
        "none, input or value",
        "eager, sdpa, or torch",
        "cpu, cuda[:N], mps, or meta",
        "float64, float32, bfloat16 or float16",
        "table, json, csv or markdown",
        "module, op, or kernel",
    ):
        assert choice in shown


def test_no_arguments_is_a_question(invoke):
    """`attntrace` alone shows the help and the command, and exits with 2."""
    ended = invoke()
    assert ended.code == 2
    assert " run " in words(ended.out + ended.err)


@pytest.mark.parametrize("command", ["check", "diff"])
def test_the_exit_codes_of_a_command_are_its_own(command, invoke):
    """What cannot come of a command is not in its list."""
    shown = words(invoke(command, "--help").out)
    assert {"check": OF_CHECK, "diff": OF_DIFF}[command] in shown
    assert "budget" not in shown


def test_baselines_come_first_in_check(invoke):
    """What a check is for comes before how it is run; `--set` of diff is of its runs."""
    shown = invoke("check", "--help").out
    flags = ["--update", "--prune", "--baselines", "--no-baselines", "--tolerance", "--device"]
    places = [re.search(rf" {flag} ", shown).start() for flag in (*flags, "--debug")]
    assert places == sorted(places)
    shown = invoke("diff", "--help").out
    places = [shown.index(word) for word in ("─ Run ", "--set  ", "─ Output ", "--debug ")]
    assert places == sorted(places)
    assert "─ Attention " not in shown
