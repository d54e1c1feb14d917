"""A folder with YAML files, as a user would have it."""

from __future__ import annotations

import pytest


@pytest.fixture
def write_yaml(tmp_path, monkeypatch):
    """Return a function that writes `block.yaml` into the current folder and returns its name."""
    monkeypatch.chdir(tmp_path)

    def write(text):
        content = text if isinstance(text, bytes) else text.encode()
        (tmp_path / "block.yaml").write_bytes(content)
        return "block.yaml"

    return write
