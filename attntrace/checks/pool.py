"""Many configs at once, each in a process that may die of it."""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Generator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Protocol

from attntrace.checks.crew import FORKS, SIGNAL, Crew
from attntrace.checks.find import Checked
from attntrace.checks.glance import Glance, glance
from attntrace.checks.one import outcome_of
from attntrace.checks.options import Options
from attntrace.record.outcomes import RUNS, Outcome

_QUOTA = Path("/sys/fs/cgroup/cpu.max")
_KILLED = f"{SIGNAL} 9"
GPUS = ("cuda", "mps")


class Watch(Protocol):
    """Somebody who is told which config begins and which is over."""

    def begin(self, what: str) -> None:
        """Hear of one that begins."""

    def end(self, what: str) -> None:
        """Hear of one that is over."""


def outcomes(
    checked: Sequence[Checked],
    options: Options,
    *,
    jobs: int | None = None,
    fail_fast: bool = False,
    watch: Watch | None = None,
) -> Generator[Outcome]:
    """Yield what came of each config, in the order given, as soon as the next is there.

    `jobs` processes share the work: where it is None as many as there are cores, or 1 if a config
    runs on a GPU. With one, the configs run in this process. With `fail_fast` the first that does not
    pass ends it all: configs that still run then, or wait, have no outcome. Close the iterator where
    it is left early.
    """
    glances = {one: glance(one) for one in checked}
    on_gpu = (options.device or "").startswith(GPUS) or any(g.on_gpu for g in glances.values())
    count = min(jobs or (1 if on_gpu else cores()), len(checked))
    if count <= 1:
        found = _here(checked, options, watch)
    else:
        forks = FORKS and not on_gpu  # CUDA cannot begin in a copy of a process that has begun it
        found = _in_crew(glances, Crew(options, forks=forks), count, watch)
    yield from _in_order(checked, found, watch, fail_fast=fail_fast)


def cores() -> int:
    """Return how many cores this process may use, at least 1."""
    try:
        mine = len(os.sched_getaffinity(0))
    except AttributeError:  # not on this system
        mine = os.cpu_count() or 1
    try:
        quota, period = _QUOTA.read_text(encoding="ascii").split()
        return max(1, min(mine, math.ceil(int(quota) / int(period))))
    except (OSError, ValueError):  # no container, or "max"
        return mine


def _in_order(
    checked: Sequence[Checked],
    found: Generator[tuple[Checked, Outcome]],
    watch: Watch | None,
    *,
    fail_fast: bool,
) -> Generator[Outcome]:
    """Yield outcomes in the order of the configs, each as soon as those before it are there."""
    waiting, there = deque(checked), dict[Checked, Outcome]()
    with closing(found):
        for one, outcome in found:
            if watch:
                watch.end(one.name)
            there[one] = outcome
            if fail_fast and outcome.exit_code:
                break
            while waiting and waiting[0] in there:
                yield there[waiting.popleft()]
    yield from (there[one] for one in waiting if one in there)


def _here(
    checked: Sequence[Checked], options: Options, watch: Watch | None
) -> Generator[tuple[Checked, Outcome]]:
    for one in checked:
        if watch:
            watch.begin(one.name)
        yield one, outcome_of(one, options)


def _in_crew(
    glances: dict[Checked, Glance], crew: Crew, jobs: int, watch: Watch | None
) -> Generator[tuple[Checked, Outcome]]:
    """Yield each outcome as it comes; the configs that may take longest are begun first.

    A config that had too little memory beside others runs again by itself, after all others.
    """
    waiting = deque(sorted(glances, key=lambda one: -glances[one].layers))
    alone, beside = deque[Checked](), set[Checked]()
    with crew:
        while waiting or alone or crew.running:
            while len(crew.running) < jobs and waiting:
                if watch:
                    watch.begin(waiting[0].name)
                crew.give(waiting.popleft())
            if len(crew.running) > 1:
                beside.update(crew.running)
            if not crew.running:
                beside.discard(alone[0])
                crew.give(alone.popleft())
            for one, answer in crew.answers():
                if glances[one].is_own and crew.forks:
                    crew.dismiss()
                if one in beside and _lacked_memory(answer.outcome):
                    alone.append(one)
                else:
                    yield one, answer.outcome


def _lacked_memory(outcome: Outcome) -> bool:
    """Whether a config was refused for its size, or the system ended it, as it does for that."""
    failed = [one for one in outcome.verdicts if one.contract == RUNS and not one.holds]
    return any(outcome.status == "refused" or _KILLED in one.said for one in failed)
