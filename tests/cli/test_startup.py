"""What need not compute does not wait for torch."""

from __future__ import annotations

import sys

import pytest

PROBE = """
import sys
from attntrace.cli import main
try:
    main()
finally:
    print(*(name for name in ("torch", "numpy") if name in sys.modules), file=sys.stderr)
"""


@pytest.fixture
def imported(process):
    """Return a function that runs the command line and names what heavy packages it imported."""

    def run(*args):
        return process(*args, python=("-c", PROBE)).err.splitlines()[-1].split()

    return run


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["--help"],
        ["--version"],
        ["run", "--help"],
        ["run", "--heads", "3"],
        ["run", "none.yaml"],
        ["run", "--budget", "24"],
        ["compare", "--help"],
        ["compare", "--heads", "3,5"],
        ["max", "--help"],
        ["max", "--heads", "4"],
        ["diff", "none.yaml", "none.json"],
        ["run", "--bogus"],
        ["run", "--columns", "help"],
        ["run", "--columns", "size"],
        ["run", "--heads", "4", "--show-config"],
        ["run", "multi-head", "--show-config"],
        ["presets"],
        ["fields"],
        ["schema"],
    ],
    ids=" ".join,
)
def test_torch_is_not_imported(args, imported):
    """Help, the version, errors in the settings and their display do without torch."""
    assert imported(*args) == []


def test_the_probe_can_fail(imported):
    """A run that computes does import torch, so that the test above shows something."""
    assert "torch" in imported("run")


def test_importing_the_package_does_not_import_torch(process):
    """`import attntrace` alone does not import torch."""
    probe = "import sys, attntrace; sys.exit('torch' in sys.modules)"
    assert process(python=("-c", probe)).code == 0


@pytest.mark.parametrize("python", [("-m", "attntrace"), ("-P", "-m", "attntrace")])
def test_python_dash_m(python, process):
    """`python -m attntrace` is the command line."""
    ended = process("--version", python=python)
    assert (ended.code, ended.out.split()[0], ended.err) == (0, "attntrace", "")


def test_the_version_is_the_package_s(process):
    """`--version` prints the version that Python sees."""
    from attntrace import __version__

    assert process("--version").out == f"attntrace {__version__}\n"
    assert "attntrace" in sys.modules
