"""The package itself: public names, sizes, imports, configs, docs."""

from __future__ import annotations

import ast
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

import attntrace

ROOT = Path(__file__).parents[2]
PACKAGE = sorted((ROOT / "attntrace").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))


def functions(path):
    """Return the function definitions of a file."""
    nodes = ast.walk(ast.parse(path.read_text()))
    return [n for n in nodes if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]


def length(node):
    """Return the lines that a definition takes."""
    return node.end_lineno - node.lineno + 1


@pytest.mark.parametrize("path", PACKAGE, ids=lambda p: str(p.relative_to(ROOT)))
def test_modules_are_small(path):
    """A module has at most 300 lines, a function at most 50 and six parameters."""
    assert len(path.read_text().splitlines()) <= 300
    for node in functions(path):
        assert length(node) <= 50, node.name
        if node.name != "run_command":  # one parameter a flag, read through the context
            taken = [a.arg for a in (*node.args.args, *node.args.kwonlyargs)]
            assert len([a for a in taken if a not in ("self", "cls")]) <= 6, node.name


def test_functions_are_short():
    """The median function has fewer than 10 lines."""
    assert statistics.median(length(n) for path in PACKAGE for n in functions(path)) < 10


def test_every_module_says_why_it_exists():
    """A module has a docstring."""
    assert [p for p in PACKAGE if not ast.get_docstring(ast.parse(p.read_text()))] == []


def test_every_test_says_what_it_shows():
    """A test has a docstring of its own."""
    missing = [
        f"{path.name}:{node.name}"
        for path in TESTS
        for node in functions(path)
        if node.name.startswith("test_") and not ast.get_docstring(node)
    ]
    assert missing == []


def test_no_room_for_leftovers():
    """There is no utils, helpers, common or misc."""
    names = {p.stem for p in ROOT.rglob("*.py") if ".venv" not in p.parts}
    assert not names & {"utils", "helpers", "common", "misc", "manager"}


def test_public_names():
    """The package exports exactly these names."""
    public = {name for name in vars(attntrace) if name.isidentifier() and name[0] != "_"}
    rooms = {"api", "errors", "record", "spec", "analysis", "render", "version", "capture",
             "blocks", "cli", "subjects", "notation", "files", "checks", "pytest_plugin"}  # fmt: skip
    assert public - rooms == {
        "Session",
        "Trace",
        "build",
        "explain",
        "load",
        "run",
        "trace",
        "watch",
        "AttntraceError",
        "BuildError",
        "ForwardError",
        "SettingsError",
        "TooLargeError",
        "TraceFileError",
    }


def loaded_by(code):
    """Return the modules that a fresh interpreter has loaded after running code."""
    script = f"import sys\n{code}\nprint(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(ran.stdout.split())


def test_importing_the_package_does_not_import_torch():
    """`import attntrace` is quick: torch waits until something runs."""
    loaded = loaded_by("import attntrace")
    assert "attntrace.api" in loaded
    assert not loaded & {"torch", "typer", "ruamel.yaml"}


def test_the_import_check_can_fail():
    """What is imported is seen."""
    assert "torch" in loaded_by(
        "import warnings; warnings.simplefilter('ignore'); import attntrace.blocks"
    )


def test_json_documentation_names_every_field():
    """docs/trace-json.md has each field of each record."""
    from dataclasses import fields

    from attntrace import record
    from attntrace.analysis import memory

    text = (ROOT / "docs" / "trace-json.md").read_text()
    kinds = [k for k in vars(record).values() if hasattr(k, "__dataclass_fields__")]
    kinds.append(memory.MemoryReport)
    missing = [
        f"{kind.__name__}.{item.name}"
        for kind in kinds
        for item in fields(kind)
        if item.name in kind.__annotations__  # those of its base have a table of their own
        and f"`{item.name}`" not in text.split(f"## {kind.__name__}\n")[1].split("\n## ")[0]
    ]
    assert missing == []
