"""The frames of a traceback: where in the author's own code an error came up.

A traceback keeps what a frame stood at when the error passed it, which the frame itself does not.
"""

from __future__ import annotations

import linecache
import os
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from inspect import CO_OPTIMIZED
from pathlib import Path
from types import FrameType

from attntrace.capture.failed.call.written import Written, written
from attntrace.capture.source import Site, is_internal, line_of, place
from attntrace.record import Mark

LIBRARIES = ("<frozen", *(sysconfig.get_paths()[name] for name in ("stdlib", "purelib", "platlib")))
"""How the files begin that are nobody's own code."""
_HERE = str(Path(__file__).parents[3]) + os.sep
_OF_FRAME = 3
"""References to what `f_locals` gave, if the author has none: the frame's and those of who asks."""
_OURS = ("attntrace.capture.", "attntrace.api.", "attntrace.cli.", "attntrace.subjects.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where in the author's code a call stands."""

    source: str | None = None
    line: str | None = None
    mark: Mark | None = None
    called_from: str | None = None


@dataclass(frozen=True, slots=True)
class Level:
    """One function that an error went through, and where in it."""

    frame: FrameType
    site: Site

    @property
    def module(self) -> str:
        """The module that the function is in, "torch.nn.functional"."""
        return str(self.frame.f_globals.get("__name__", ""))

    @property
    def is_internal(self) -> bool:
        """Whether it is torch's, ours or Python's own: code that calls for others."""
        file = self.site.code.co_filename
        return (
            is_internal(self.module, file)
            or file.startswith("<frozen")
            or self.module.startswith(_OURS)
            or self.site.code.co_name == "__torch_function__"
        )

    @property
    def is_own(self) -> bool:
        """Whether the author wrote it: it lies in no library."""
        return not self.is_internal and is_own_file(self.site.code.co_filename)


@dataclass(frozen=True, slots=True)
class Frames:
    """All levels of a traceback, the outermost first."""

    levels: tuple[Level, ...]

    @classmethod
    def of(cls, error: BaseException) -> Frames:
        """Return the frames that an error went through."""
        return cls(tuple(_levels(error)))

    @property
    def innermost(self) -> Level | None:
        """The innermost of the author's or of a library: what called torch, or raised itself."""
        return next((level for level in reversed(self.levels) if not level.is_internal), None)

    @property
    def own(self) -> Level | None:
        """The innermost of the author's own."""
        return next((level for level in reversed(self.levels) if level.is_own), None)

    @property
    def below(self) -> tuple[Level, ...]:
        """What the innermost called: functions of torch's and of Python's own, outermost first.

        All of them where no frame is the author's: a module of torch's that we called ourselves.
        """
        here = self.innermost
        return self.levels if here is None else self.levels[self.levels.index(here) + 1 :]

    @property
    def above(self) -> Level | None:
        """What called the function that the innermost is in."""
        others = [level for level in self.levels if not level.is_internal]
        return others[-2] if len(others) > 1 else None

    def place(self, source: Written | None = None) -> Place:
        """Return where the error came up, and in a library from which line of the author's."""
        here, own = self.innermost, self.own
        if here is None:
            return Place()
        source = source or written(here.site)
        line = line_of(here.site)
        return Place(
            source=place(here.site),
            line=line or _line(here.site),
            mark=source.mark if line else None,
            called_from=place(own.site) if own is not None and own is not here else None,
        )

    def forget(self) -> None:
        """Let go of what looking at frames leaves behind: a function that goes on after its crash
        would hold each of its tensors twice, and could free none.
        """
        for level in self.levels:
            local = level.frame.f_locals
            is_copy = level.site.code.co_flags & CO_OPTIMIZED  # else the module's or the class's
            if type(local) is dict and is_copy and sys.getrefcount(local) <= _OF_FRAME:
                local.clear()


def is_own_file(file: str) -> bool:
    """Return whether the author wrote a file: it is neither a library's, Python's nor ours."""
    return not file.startswith((*LIBRARIES, _HERE))


def _levels(error: BaseException) -> Iterator[Level]:
    step = error.__traceback__
    while step is not None:
        frame = step.tb_frame
        yield Level(frame, Site(frame.f_code, step.tb_lasti, step.tb_lineno))
        step = step.tb_next


def _line(site: Site) -> str | None:
    """Return the text of a line as a traceback has it, whether or not the code is of that text."""
    return linecache.getline(site.code.co_filename, site.line or 0).strip() or None
