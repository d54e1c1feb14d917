"""What every format says alike: the contracts that do not hold, counts, and text made harmless."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath

from attntrace.record.outcomes import EXIT_CODES, Outcome, Report, Verdict

KINDS = ("config", "runs", "expect", "baseline")
"""What stands before the first dot of a contract's name."""
_UNSEEN = re.compile(
    r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)
"""Characters that a reader does not see, that end a line or turn it around, or that XML forbids."""


@dataclass(frozen=True, slots=True)
class Breach:
    """One contract that does not hold, and the config of which it does not."""

    outcome: Outcome
    verdict: Verdict

    @property
    def config(self) -> str:
        """What the config is called, on one line."""
        return plain(self.outcome.config)

    @property
    def contract(self) -> str:
        """What the contract is called, on one line."""
        return plain(self.verdict.contract)

    @property
    def kind(self) -> str:
        """One of `KINDS`."""
        kind = self.verdict.contract.partition(".")[0]
        return kind if kind in KINDS else "runs"

    @property
    def is_error(self) -> bool:
        """Whether nothing could be judged, rather than judged and found wrong."""
        unread = self.kind == "baseline" and self.outcome.status == "refused"
        return unread or self.kind in ("config", "runs")

    @property
    def lines(self) -> list[str]:
        """What is wrong; the first line is enough for a list."""
        return lines_of(self.verdict.said) or [f"{self.contract} does not hold"]

    @property
    def file(self) -> str | None:
        """The file that asks for it, without "./" before it; None where no file does."""
        place = self.verdict.place
        return plain(PurePath(place.file).as_posix()) if place else None

    @property
    def at(self) -> list[str]:
        """The line that says where: "at configs/gpt2.yaml:7:3"; none where no file does."""
        place = self.verdict.place
        return [f"at {self.file}:{place.line}:{place.column}"] if place else []


def breaches(report: Report) -> list[Breach]:
    """Return the contracts that do not hold, of the worst exit code first, else as they came."""
    worst = sorted(report.outcomes, key=lambda outcome: -outcome.exit_code)
    return [
        Breach(outcome, verdict)
        for outcome in worst
        for verdict in outcome.verdicts
        if not verdict.holds
    ]


def counts(report: Report) -> dict[str, int]:
    """Return how many configs were run, and of these how many came to each status."""
    found = Counter(outcome.status for outcome in report.outcomes)
    return {"ran": len(report.outcomes), **{status: found[status] for status in EXIT_CODES}}


def status_counts(report: Report) -> Iterator[str]:
    """Yield "9 passed", "1 changed" and so on, the last "2 not run"; nothing of which none is."""
    numbers = {**counts(report), "not run": len(report.left)}
    del numbers["ran"]
    yield from (f"{number} {status}" for status, number in numbers.items() if number)


def plain(text: str) -> str:
    r"""Return text on one line, a character that is not seen as its escape: "\x1b"."""
    return _UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def lines_of(text: str) -> list[str]:
    """Return the lines of a text, each made plain; none of a blank one."""
    kept = text.strip("\r\n") if text.strip() else ""
    return [plain(line) for line in re.split("\r\n|\r|\n", kept)] if kept else []
