"""The errors that attntrace raises on purpose, and the exit code that the command line gives each.

    AttntraceError
    ├── SettingsError   2   flags, YAML or Python settings that describe no block
    ├── TooLargeError   2   a run that cannot fit in the memory of its device
    ├── TraceFileError  2   a saved trace that cannot be read
    ├── BaselineError   2   a baseline that cannot be read or written
    ├── BuildError      3   the block could not be built
    └── ForwardError    3   the block was built and its forward raised

Everything else that escapes is a bug of ours and exits with `BUG`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from attntrace.api import Trace
    from attntrace.record import Diagnosis

BUG = 101
_FEW = 30
"""Names that are listed; of more only those that come near."""


def nearest(name: object, known: Iterable[str]) -> str:
    """Return what an error says of a name that is none of these: what was meant, or what there is."""
    names = list(known)
    near = get_close_matches(str(name), names)
    if near:
        return f"did you mean {' or '.join(map(repr, near))}?"
    return (
        f"there are {', '.join(names)}" if len(names) <= _FEW else f"none of {len(names):,} is near"
    )


def said(error: BaseException) -> str:
    """Return an error's message; where its `__str__` fails, what Python shows then."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - it is somebody's code
        return "<exception str() failed>"


class AttntraceError(Exception):
    """The base of every error in this module; `str(error)` is the whole message for the user."""

    exit_code: ClassVar[int] = 2

    @property
    def brief(self) -> str:
        """The message where there is no room for all of it."""
        return str(self)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with the settings.

    `path` is the setting ("attention.qk_scale"), `where` is how the user gave it ("--qk-scale 0",
    "my.yaml:7:3 heads") and `message` says what is wrong, with the arithmetic and a fix.
    `alone` says that no other setting has to do with it: the value is wrong in any company.
    """

    path: str
    message: str
    where: str = ""
    alone: bool = False

    def __str__(self) -> str:
        return f"{self.where or self.path}: {self.message}"


class SettingsError(AttntraceError):
    """Every problem of one set of settings, at once."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.problems,)


class TooLargeError(AttntraceError):
    """A run that was refused before it started, because its tensors cannot fit."""


class TraceFileError(AttntraceError):
    """A saved trace that is not one, is cut short, or was written by a newer attntrace."""


class BaselineError(AttntraceError):
    """A baseline that is not one, is cut short, cannot be got at, or is of a newer attntrace."""


class BuildError(AttntraceError):
    """A block that could not be built; the cause is what torch raised."""

    exit_code = 3


class ForwardError(AttntraceError):
    """A forward that raised. `trace` holds every tensor up to there, `__cause__` what was raised.

    Printed, it is the panel: the line, the operands, what does not hold, and what would work.
    """

    exit_code = 3

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        super().__init__(trace)

    def __str__(self) -> str:
        return self.trace.panel()

    @property
    def brief(self) -> str:
        """The op, the place and what was raised, without the panel."""
        return str(self.diagnosis)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.trace,)

    @property
    def diagnosis(self) -> Diagnosis | None:
        """Where and why the forward failed."""
        return self.trace.diagnosis
