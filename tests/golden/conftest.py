"""Golden files: `pytest tests/golden --update-golden` writes them anew."""

from __future__ import annotations

from pathlib import Path

import pytest


def pytest_addoption(parser):
    """Add the switch that `make golden` uses."""
    parser.addoption("--update-golden", action="store_true", help="write golden files anew")


@pytest.fixture
def golden(request):
    """Return a function that compares a text with a file beside the tests, or writes it."""

    def compare(name, text):
        path = Path(__file__).parent / name
        if request.config.getoption("--update-golden"):
            path.write_text(text, encoding="utf-8")
        assert text == path.read_text(encoding="utf-8")

    return compare
