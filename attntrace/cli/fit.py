"""How much fits a budget: the largest size, found by runs on meta that allocate nothing."""

from __future__ import annotations

import sys
from collections.abc import Collection
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from attntrace.cli.progress import progress
from attntrace.errors import AttntraceError, BuildError, ForwardError, Problem, SettingsError

if TYPE_CHECKING:
    from attntrace.analysis.budget import Total
    from attntrace.analysis.search import Found
    from attntrace.record import Environment, Trace
    from attntrace.spec import Loaded, LoadedSubject, Spec, Subject

SIZES = ("batch", "tokens")
"""What a block of attntrace's own is searched for, and code whose inputs name it."""


def budget_from(text: str | None, problems: list[Problem]) -> int | None:
    """Return the bytes of `--budget`; None, and a problem more, where the text is no size."""
    from attntrace.notation.units import nbytes_of

    if text is None:
        return None
    try:
        return nbytes_of(text)
    except ValueError as error:
        problems.append(Problem("budget", str(error), f"--budget {text}"))
        return None


def not_searched(wanted: str, sizes: Collection[str]) -> list[Problem]:
    """Return what is wrong with `--for`, where these sizes can be searched for."""
    if wanted in sizes:
        return []
    message = f"for must be one of {', '.join(sizes)}; got {wanted!r}"
    if not sizes:
        message = (
            f"no input names a size {wanted!r}; name it, such as --input x={wanted},64 "
            f"--size {wanted}=2"
        )
    return [Problem("for", message, f"--for {wanted}")]


@dataclass(frozen=True, slots=True)
class Fit:
    """What of one size fits a budget, and the total of every size that was run."""

    name: str
    beside: str
    """The other sizes, which stayed: "tokens 100"; empty where there are none."""
    ran: Environment
    """Where and how each size was run."""
    found: Found
    totals: dict[int, Total]


class Predictions:
    """Runs of one block, or of code of the user's own, on meta, with one size changed."""

    def __init__(self, loaded: Loaded | LoadedSubject, name: str) -> None:
        self.loaded, self.name = loaded, name
        self.totals: dict[int, Total] = {}
        self.ran: Environment | None = None
        self.step = 1
        """What code is seen to want multiples of, such as of a window or a patch."""
        self.failure = ""
        """The first failure after a run that worked."""

    def spec(self, size: int) -> Spec | Subject:
        """Return the spec of that size on meta, for the device that the run is on. SettingsError."""
        return self.loaded.changed({self.name: size, **on_meta(self.loaded.spec)})

    def refused(self, size: int) -> str | None:
        """Return why the rules, or the code's own, refuse a size, None if they do not."""
        if size % self.step:
            return f"no multiple of {self.step}, and {self.failure}"
        try:
            self.spec(size)
        except SettingsError as error:
            return "; ".join(problem.message for problem in error.problems)
        return None

    def measure(self, size: int) -> int | str:
        """Return what a run of that size takes of its device, or why it fails where others ran.

        Raises:
            BuildError, ForwardError: the first one fails.

        """
        from attntrace.analysis.budget import total_of

        try:
            trace = self.run(size)
        except (BuildError, ForwardError) as error:
            if self.ran is None:
                raise
            why = " ".join(error.brief.split())
            if not self.failure:
                self.failure = f"{self.name} {size:,} fails: {why}"
                self.step = self.step_from(next(iter(self.totals)))
            return why
        self.ran, self.totals[size] = trace.environment, total_of(trace)
        return self.totals[size].nbytes

    def run(self, size: int) -> Trace:
        """Return the trace of a run of that size."""
        from attntrace import api

        try:
            with redirect_stdout(sys.stderr):  # what code of the user's own prints is no result
                return api.run(self.spec(size)).facts
        except SettingsError as error:
            raise self.loaded.placed(error) from None

    def step_from(self, size: int) -> int:
        """Return what sizes must be multiples of, judged by runs beside one that works: 1 if any."""
        if self.works_beside(size, 1):
            return 1
        step = size
        for factor in range(2, size + 1):
            while step % factor == 0 and self.works_beside(size, step // factor):
                step //= factor
        return step

    def works_beside(self, size: int, by: int) -> bool:
        """Whether the code runs at a size that is larger or smaller by so much."""
        for near in (size - by, size + by):
            try:
                self.run(near)
            except AttntraceError:
                continue
            return True
        return False


def on_meta(spec: Spec | Subject) -> dict[str, str]:
    """Return the settings that make a run on meta speak for the device of a spec."""
    kind = spec.run.device.partition(":")[0]
    if kind == "meta":
        return {}
    spoken_for = {"run.as_device": kind} if kind in ("cpu", "cuda") else {}
    return {"run.device": "meta", **spoken_for}


def largest_that_fits(loaded: Loaded | LoadedSubject, name: str, budget: int) -> Fit:
    """Return the largest of one of the `input_sizes` whose total is within a budget in bytes.

    Raises:
        SettingsError, BuildError, ForwardError: it cannot run on meta at the size that it has.

    """
    from attntrace.analysis.search import Search
    from attntrace.render.units import nbytes_text

    runs = Predictions(loaded, name)
    sizes = dict(loaded.input_sizes)
    start = sizes.pop(name)
    runs.spec(start)  # here, where the error is one of the block's and not of a size
    with progress() as say:

        def measure(size: int) -> int | str:
            say(f"{name} {size:,} on meta")
            found = runs.measure(size)
            say(f"{name} {size:,}: {found if isinstance(found, str) else nbytes_text(found)}")
            return found

        found = Search(measure, runs.refused, budget).largest(start)
    beside = ", ".join(f"{other} {size:,}" for other, size in sizes.items())
    assert runs.ran is not None, "the first size ran, or its error was raised"
    return Fit(name, beside, runs.ran, found, runs.totals)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a run takes of a budget, and the largest batch and tokens that the budget holds."""

    total: Total
    budget: int
    fits: tuple[Fit, ...]
    unknown: str = ""
    """Why nobody knows what the budget holds, where code does not run on meta."""

    @property
    def over(self) -> bool:
        """Whether the run takes more than the budget."""
        return self.total.nbytes > self.budget

    def lines(self) -> tuple[tuple[str, str], ...]:
        """Return what stands below the table."""
        from attntrace.render.units import exact, nbytes_text

        made_of = " + ".join(f"{name} {nbytes_text(n)}" for name, n in self.total.parts.items())
        word = "does not fit" if self.over else "fits"
        said = f"{word}: {exact(self.total.nbytes)} of {exact(self.budget)} = {made_of}"
        largest = self.unknown or "; ".join(_largest(fit) for fit in self.fits)
        return (("budget", said), ("largest", largest)) if largest else (("budget", said),)

    def facts(self) -> dict[str, Any]:
        """Return the same as plain values, for JSON."""
        return {
            "budget_nbytes": self.budget,
            "nbytes": self.total.nbytes,
            "parts": self.total.parts,
            "fits": not self.over,
            "largest": {
                fit.name: fit.found.fits.size if fit.found.fits else None for fit in self.fits
            },
        }


def _largest(fit: Fit) -> str:
    found = fit.found
    beside = f" with {fit.beside}" if fit.beside else ""
    if found.fits is None:
        return f"no {fit.name}{beside}"
    end = f" ({found.beyond.refusal})" if found.beyond and found.beyond.refusal else ""
    return f"{fit.name} {found.fits.size:,}{beside}{end}"


def verdict(loaded: Loaded | LoadedSubject, trace: Trace, budget: int) -> Verdict:
    """Return whether a run was within a budget in bytes, and which batch and tokens would be."""
    from attntrace.analysis.budget import total_of

    total, sizes = total_of(trace), loaded.input_sizes
    try:
        fits = tuple(largest_that_fits(loaded, name, budget) for name in SIZES if name in sizes)
    except AttntraceError as error:
        why = " ".join(error.brief.split())
        return Verdict(total, budget, (), f"not known, as this cannot run on meta: {why}")
    return Verdict(total, budget, fits)
