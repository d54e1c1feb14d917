"""Where in the author's code an error came up."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest
import torch
from torch import nn

from attntrace.capture.failed.stack.frames import Frames
from attntrace.capture.source import shown


def frames_of(function, *args):
    """Return the frames of what a function raises."""
    with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever it is
        function(*args)
    return Frames.of(caught.value)


def line_of(function, offset):
    """Return the `file:line` of a line of a function."""
    return f"{shown(__file__)}:{function.__code__.co_firstlineno + offset}"


def through_torch(x):
    net = nn.Sequential(nn.Linear(3, 5), nn.Linear(7, 2))
    return net(x)


def test_torch_is_passed_over():
    """The innermost is the author's line that called torch, not a line of torch's."""
    place = frames_of(through_torch, torch.ones(2, 3)).place()
    assert (place.source, place.line) == (line_of(through_torch, 2), "return net(x)")
    assert place.line[slice(*place.mark)] == "net(x)"
    assert place.called_from is None


def library(tmp_path, monkeypatch):
    """Return a function of a module that lies among the installed ones."""
    from attntrace.capture.failed.stack import frames

    monkeypatch.setattr(frames, "LIBRARIES", (str(tmp_path),))
    file = tmp_path / "installed.py"
    file.write_text("def product(q, k):\n    return q @ k\n")
    module = ModuleType("installed")
    exec(compile(file.read_text(), str(file), "exec"), vars(module))  # noqa: S102
    return module.product


def through_a_library(product):
    return product(torch.ones(2, 3), torch.ones(2, 3))


def test_a_line_of_a_library_and_the_authors_own(tmp_path, monkeypatch):
    """What called torch is shown wherever it lies, and the author's own line with it."""
    found = frames_of(through_a_library, library(tmp_path, monkeypatch))
    place = found.place()
    assert place.source == f"{tmp_path}/installed.py:2"
    assert place.line == "return q @ k"
    assert place.called_from == line_of(through_a_library, 1)


def sorts():
    return sorted([1, 2], key=lambda one: one.missing)


def test_python_itself_is_passed_over():
    """What Python calls on behalf of the author is the author's."""
    assert frames_of(sorts).place().line == "return sorted([1, 2], key=lambda one: one.missing)"


def handles():
    x = torch.ones(2)
    try:
        x @ torch.ones(3)
    finally:
        x.add_(1)


def test_the_line_of_the_error_and_not_of_the_frame():
    """A frame goes on after its error: in `finally` it stands elsewhere."""
    assert frames_of(handles).place().line == "x @ torch.ones(3)"


def test_no_frame_of_the_authors():
    """An error that was never raised has no place."""
    found = Frames.of(ValueError("never raised"))
    assert (found.innermost, found.own, found.below, found.place().source) == (None, None, (), None)


def raises():
    raise ValueError


def test_looking_at_frames_leaves_nothing_behind():
    """A function that goes on after a crash holds its tensors once; its own `locals()` stays."""
    big = torch.ones(3)
    kept = sys.getrefcount(big)
    try:
        raises()
    except ValueError as error:
        found = Frames.of(error)
    assert found.levels[0].frame.f_locals["big"] is big
    found.forget()
    del found
    assert sys.getrefcount(big) == kept
    mine = locals()
    try:
        raises()
    except ValueError as error:
        Frames.of(error).forget()
    assert mine["big"] is big
