"""docs/python.md: its examples run as they stand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "python.md"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def test_the_examples_run(capsys, tmp_path):
    """Each block runs in the names that those before it made, as a file of its own."""
    pytest.importorskip("pandas")
    text = PAGE.read_text(encoding="utf-8")
    names = {"__name__": "page"}
    blocks = list(BLOCK.finditer(text))
    for number, block in enumerate(blocks):
        file = tmp_path / f"block{number}.py"
        file.write_text(block[1], encoding="utf-8")
        exec(compile(block[1], str(file), "exec"), names)  # noqa: S102 - our own page
    assert len(blocks) == text.count("```python") == 11
    assert "scores" in capsys.readouterr().out
