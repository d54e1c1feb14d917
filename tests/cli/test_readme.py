"""What the README shows of the other commands is what they print."""

from __future__ import annotations

import platform
import re
from pathlib import Path

import pytest

TEXT = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(
    r"```text\n\$ attntrace ((?:run|diff|compare|max) [^\n]*)\n(.*?)```", TEXT, re.DOTALL
)
FILES = re.findall(r"```python\n(# (\w+\.py)\n.*?)```", TEXT, re.DOTALL)
"""Code that the README shows under the name of a file."""


def portable(text):
    """Return output with the names of chip and torch version left out."""
    text = text.replace(f"({platform.machine()})", "(CHIP)").replace("(x86_64)", "(CHIP)")
    return re.sub(r"torch \d\S*", "torch VERSION", text)


def test_there_are_such_blocks():
    """These commands are shown with their output, so that the test below shows something."""
    assert [command.split()[0] for command, _ in BLOCKS] == [
        *["run"] * 4,
        "diff",
        "run",
        "compare",
        "max",
    ]


@pytest.mark.parametrize(("command", "output"), BLOCKS, ids=lambda text: text.split("\n")[0][:40])
def test_the_readme_shows_real_output(command, output, invoke, tmp_path, monkeypatch):
    """Each block is what its command prints, word for word; "..." stands for lines left out."""
    monkeypatch.chdir(tmp_path)
    for code, name in FILES:
        (tmp_path / name).write_text(code)
    ended = invoke(*command.split())
    failed = re.search(r"^\w+ failed ", output, re.MULTILINE)
    fine = 1 if command.startswith("diff") else 0  # two runs that are not the same
    assert (ended.code, bool(ended.err)) == ((3, True) if failed else (fine, False))
    parts = portable(output).split("...\n")
    pattern = r"(?:.*\n)+?".join(map(re.escape, parts))
    assert re.fullmatch(pattern, portable(ended.out))
