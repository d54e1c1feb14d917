"""How much fits a budget: the largest size, found by runs on meta that allocate nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from attntrace.cli.progress import progress
from attntrace.errors import Problem, SettingsError

if TYPE_CHECKING:
    from attntrace.analysis.budget import Total
    from attntrace.analysis.search import Found
    from attntrace.record import Trace
    from attntrace.spec import Loaded, LoadedSubject, Spec

SIZES = ("batch", "tokens")


def budget_from(text: str | None, problems: list[Problem]) -> int | None:
    """Return the bytes of `--budget`; None, and a problem more, where the text is no size."""
    from attntrace.analysis.budget import nbytes_of

    if text is None:
        return None
    try:
        return nbytes_of(text)
    except ValueError as error:
        problems.append(Problem("budget", str(error), f"--budget {text}"))
        return None


@dataclass(frozen=True, slots=True)
class Fit:
    """What of one size fits a budget, and the total of every size that was run."""

    name: str
    beside: str
    """The other size, which stayed: "tokens 100"."""
    found: Found
    totals: dict[int, Total]


class Predictions:
    """Runs of one block on meta, with one size changed."""

    def __init__(self, loaded: Loaded, name: str) -> None:
        self.loaded, self.name = loaded, name
        self.totals: dict[int, Total] = {}

    def spec(self, size: int) -> Spec:
        """Return the spec of that size on meta, for the device that the run is on. SettingsError."""
        return self.loaded.changed({self.name: size, **on_meta(self.loaded.spec)})

    def refused(self, size: int) -> str | None:
        """Return why the rules refuse a size, None if they do not."""
        try:
            self.spec(size)
        except SettingsError as error:
            return "; ".join(problem.message for problem in error.problems)
        return None

    def measure(self, size: int) -> int:
        """Return what a run of that size takes of its device."""
        from attntrace import api
        from attntrace.analysis.budget import total_of

        try:
            self.totals[size] = total_of(api.run(self.spec(size)).facts)
        except SettingsError as error:
            raise self.loaded.placed(error) from None
        return self.totals[size].nbytes


def on_meta(spec: Spec) -> dict[str, str]:
    """Return the settings that make a run on meta speak for the device of a spec."""
    kind = spec.run.device.partition(":")[0]
    if kind == "meta":
        return {}
    spoken_for = {"run.as_device": kind} if kind in ("cpu", "cuda") else {}
    return {"run.device": "meta", **spoken_for}


def largest_that_fits(loaded: Loaded, name: str, budget: int) -> Fit:
    """Return the largest batch or tokens whose total is within a budget in bytes.

    Raises:
        SettingsError: the block cannot run on meta.

    """
    from attntrace.analysis.search import Search
    from attntrace.render.units import nbytes_text

    runs = Predictions(loaded, name)
    start = getattr(loaded.spec, name)
    runs.spec(start)  # here, where the error is one of the block's and not of a size
    with progress() as say:

        def measure(size: int) -> int:
            say(f"{name} {size:,} on meta")
            nbytes = runs.measure(size)
            say(f"{name} {size:,}: {nbytes_text(nbytes)}")
            return nbytes

        found = Search(measure, runs.refused, budget).largest(start)
    other = next(size for size in SIZES if size != name)
    return Fit(name, f"{other} {getattr(loaded.spec, other):,}", found, runs.totals)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a run takes of a budget, and the largest batch and tokens that the budget holds."""

    total: Total
    budget: int
    fits: tuple[Fit, ...]

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
        largest = "; ".join(_largest(fit) for fit in self.fits)
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
    if found.fits is None:
        return f"no {fit.name} with {fit.beside}"
    end = f" ({found.beyond.refusal})" if found.beyond and found.beyond.refusal else ""
    return f"{fit.name} {found.fits.size:,} with {fit.beside}{end}"


def verdict(loaded: Loaded | LoadedSubject, trace: Trace, budget: int) -> Verdict:
    """Return whether a run was within a budget in bytes, and of a spec what would be.

    Raises:
        SettingsError: the block cannot run on meta.

    """
    from attntrace.analysis.budget import total_of
    from attntrace.spec import Loaded

    fits: tuple[Fit, ...] = ()
    if isinstance(loaded, Loaded):
        fits = tuple(largest_that_fits(loaded, name, budget) for name in SIZES)
    return Verdict(total_of(trace), budget, fits)
