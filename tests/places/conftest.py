"""pytest within pytest, in this process: what was imported stays, as torch is imported only once.

pytester unloads what was imported meanwhile, after each run and after each test.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

LASTING = (sys.prefix, sys.base_prefix, Path(__file__).parents[2])
"""Where modules are that are the same in each test."""


def keep(modules):
    """Import again, as they are, those of these modules that were unloaded."""
    for name, module in modules.items():
        file = getattr(module, "__file__", None)
        if file is None or any(Path(file).is_relative_to(place) for place in LASTING):
            sys.modules.setdefault(name, module)


class Loaded:
    """A plugin that notes what is loaded at the end of a run."""

    def pytest_unconfigure(self):
        """Note it."""
        self.modules = dict(sys.modules)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown():
    """Keep what a test has imported."""
    loaded = dict(sys.modules)
    yield
    keep(loaded)


@pytest.fixture
def run_pytest(pytester):
    """Return a function that runs pytest with arguments."""

    def run(*args):
        loaded = Loaded()
        result = pytester.runpytest_inprocess(*args, plugins=[loaded])
        keep(loaded.modules)
        return result

    return run
