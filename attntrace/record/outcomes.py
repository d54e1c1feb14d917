"""What came of checking: a verdict a contract, an outcome a config, a report of them all."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Self

from attntrace.errors import BUG
from attntrace.record.difference import Difference

Status = Literal["passed", "changed", "failed", "missing", "refused", "broken"]
"""passed; changed: not as its baseline; failed: an expectation does not hold; missing: it has no
baseline; refused: a config or a baseline that cannot be read or means nothing; broken: it could
not be built, its forward raised, or attntrace has a bug."""
EXIT_CODES: dict[Status, int] = {
    "passed": 0, "changed": 1, "failed": 1, "missing": 2, "refused": 2, "broken": 3,
}  # fmt: skip
"""From the best status to the worst."""
RUNS, BASELINE = "runs", "baseline"
"""The contracts of a config as a whole. The others are "config.SETTING" and "expect.ENTRY"."""

MAKE_IT = "; make it: "
"""What stands between a baseline that is missing and the command that makes it."""
_PLACE = re.compile(r"(.+):(\d+):(\d+)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where in a config something is said; lines and columns count from 1."""

    file: str
    """As the user gave it."""
    line: int = 1
    column: int = 1

    @classmethod
    def of(cls, where: str) -> Self | None:
        """Return the place that `file:line:column` is; a file may have colons of its own."""
        found = _PLACE.fullmatch(where)
        return cls(file=found[1], line=int(found[2]), column=int(found[3])) if found else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether one thing is true of a run."""

    contract: str
    """What was to be true: "runs", "expect.q", "baseline"."""
    holds: bool
    said: str = ""
    """What is wrong, with the numbers, and what to do; "" where it holds. The first line is enough
    for a list; a difference or a panel follows in others."""
    place: Place | None = None
    """The line of the config that asks for it; None where no file does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one config."""

    config: str
    """What it is called: the path or the target as the user gave it."""
    status: Status
    """The worst of its verdicts."""
    verdicts: tuple[Verdict, ...]
    seconds: float
    difference: Difference | None = None
    """From its baseline, where there is one and the run is another."""
    rows: int | None = None
    """None where nothing ran, as of `parameters`."""
    parameters: int | None = None
    wrote: str | None = None
    """The baseline that was written, None where none was."""
    is_bug: bool = False
    """Whether what broke is attntrace, and not the config."""

    @property
    def exit_code(self) -> int:
        """What this outcome alone would exit with."""
        return BUG if self.is_bug else EXIT_CODES[self.status]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What came of all configs, in the order in which they were found."""

    outcomes: tuple[Outcome, ...]
    seconds: float
    left: tuple[str, ...] = ()
    """Configs that were not run, because one before them failed and the first was to end it."""
    command: str = ""
    """What writes the baselines that are missing or changed: "attntrace check ... --update"."""
    started: datetime | None = None
    """When the first config began, in UTC; None where nobody looked."""

    @property
    def exit_code(self) -> int:
        """The worst of its outcomes: 101, a bug of ours, over 3 over 2 over 1 over 0."""
        return max((outcome.exit_code for outcome in self.outcomes), default=0)
