"""Ratios of running times, taken in turn inside one run, so that a noisy machine cancels out."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import psutil


class Spread(NamedTuple):
    """The quartiles of some figures."""

    low: float
    median: float
    high: float


@dataclass(frozen=True)
class Claim:
    """What is said to hold: the median of `ratios` is at most `limit`; None says nothing."""

    text: str
    ratios: Sequence[float]
    limit: float | None = None

    @property
    def met(self) -> bool:
        """Whether it holds; what was not measured does not."""
        if self.limit is None:
            return True
        return bool(self.ratios) and statistics.median(self.ratios) <= self.limit

    def __str__(self) -> str:
        if not self.ratios:
            return f"{self.text:54} not measured"
        low, median, high = spread(self.ratios)
        figures = f"{self.text:54} {median:6.3f}   quartiles {low:.3f} .. {high:.3f}"
        if self.limit is None:
            return figures
        return f"{figures}   limit {self.limit}: {'met' if self.met else 'NOT MET'}"


class OtherLoad:
    """How busy the rest of the machine is, from the construction of this object on."""

    def __init__(self) -> None:
        self._since, self._all, self._own = time.perf_counter(), _all_busy(), _own_busy()

    def cores(self) -> float:
        """Return how many cores other processes used on average, children of ours not counted."""
        others = _all_busy() - self._all - (_own_busy() - self._own)
        return max(0.0, others / (time.perf_counter() - self._since))


def wait_until_quiet(cores: float, patience: float = 60.0) -> None:
    """Return once other processes use at most that many cores, or when patience (s) is at an end."""
    until = time.perf_counter() + patience
    while time.perf_counter() < until:
        load = OtherLoad()
        time.sleep(0.5)
        if load.cores() <= cores:
            return


def in_turn(
    actions: Mapping[str, Callable[[], object]], rounds: int, warm_up: int
) -> dict[str, list[float]]:
    """Return the seconds of each action in each round: A B C A B C ..., without the warm-up."""
    seconds: dict[str, list[float]] = {name: [] for name in actions}
    for number in range(warm_up + rounds):
        for name, action in actions.items():
            start = time.perf_counter()
            action()
            taken = time.perf_counter() - start
            if number >= warm_up:
                seconds[name].append(taken)
    return seconds


def ratios(over: Sequence[float], under: Sequence[float]) -> list[float]:
    """Return the ratio of each round."""
    return [a / b for a, b in zip(over, under, strict=True)]


def spread(figures: Sequence[float]) -> Spread:
    """Return median and quartiles."""
    if len(figures) == 1:
        return Spread(figures[0], figures[0], figures[0])
    return Spread(*statistics.quantiles(figures, n=4, method="inclusive"))


def exit_code(claims: Sequence[Claim], *, strict: bool) -> int:
    """Return 1 if a claim does not hold and that is to count, else 0."""
    return int(strict and not all(claim.met for claim in claims))


def conditions() -> str:
    """Return what the figures depend on besides the code. Does not import torch."""
    return (
        f"{_chip()}, {os.cpu_count()} cores | {platform.system()} {platform.release()} | "
        f"Python {platform.python_version()} | torch {version('torch')}"
    )


def _chip() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def _all_busy() -> float:
    """Return the seconds that all cores together have worked since boot."""
    times = psutil.cpu_times()
    kinds = ("user", "nice", "system", "irq", "softirq", "steal")
    return float(sum(getattr(times, kind, 0.0) for kind in kinds))


def _own_busy() -> float:
    """Return the seconds that this process and its ended children have worked."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
