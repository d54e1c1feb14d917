"""A folder of a user's own, with code in it."""

from __future__ import annotations

import textwrap

import pytest

import attntrace
from attntrace.errors import AttntraceError


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Return a function that writes files into a folder, which is the current one.

    A file is named by its path, or one at the top by its name alone.
    """
    monkeypatch.chdir(tmp_path)

    def write_all(files=(), **top):
        for name, text in {
            **dict(files),
            **{f"{name}.py": text for name, text in top.items()},
        }.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text).lstrip("\n"))
        return tmp_path

    return write_all


@pytest.fixture
def run():
    """Return a function that runs a target with settings of Python and returns its trace."""
    return lambda target, **settings: attntrace.run(attntrace.load(target, **settings))


@pytest.fixture
def refused(run):
    """Return a function that runs a target and returns the kind and the text of its error."""

    def error_of(target, **settings):
        with pytest.raises(AttntraceError) as caught:
            run(target, **settings)
        return type(caught.value).__name__, str(caught.value)

    return error_of
