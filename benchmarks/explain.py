"""What `attntrace.explain` costs until something crashes: steps of training with and without it.

The steps are run in turn inside one process, and it is entered anew for each, which is the most that
it can cost. Nothing is watched, so the ratio must be 1.0 within the noise, which a third kind of
step, bare like the first, shows; what it costs by itself is timed around nothing.

`python -m benchmarks.explain`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from statistics import median
from timeit import timeit

import torch

import attntrace
from benchmarks.plain_layer import PlainAttention, seeded_input
from benchmarks.ratios import Claim, conditions, exit_code, in_turn, ratios, wait_until_quiet

LIMIT = 1.02
AROUND_NOTHING = 10_000
BARE = "bare"


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=600)
    parser.add_argument("--strict", action="store_true", help="exit 1 if the claim does not hold")
    asked = parser.parse_args(argv)
    torch.set_num_threads(1)
    wait_until_quiet(cores=0.25)
    seconds = in_turn(steps(trainer()), asked.rounds, warm_up=20)
    claims = [
        Claim(
            f"a step of training, {name} / {BARE}",
            ratios(taken, seconds[BARE]),
            None if name == "bare again" else LIMIT,
        )
        for name, taken in seconds.items()
        if name != BARE
    ]
    print(conditions())
    print(*claims, sep="\n")
    alone = timeit(entered, number=AROUND_NOTHING) / AROUND_NOTHING
    print(f"around nothing {alone * 1e6:.2f} us, a step {median(seconds[BARE]) * 1e6:.0f} us")
    return exit_code(claims, strict=asked.strict)


def trainer() -> Callable[[], None]:
    """Return one step of training of a small attention layer."""
    layer, x = PlainAttention().train(), seeded_input()
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.0)

    def step() -> None:
        optimizer.zero_grad()
        layer(x).square().mean().backward()
        optimizer.step()

    return step


def steps(step: Callable[[], None]) -> dict[str, Callable[[], object]]:
    """Return the ways to take a step: bare, in a `with` block, wrapped, and bare once more."""

    def within() -> None:
        with attntrace.explain():
            step()

    return {BARE: step, "within": within, "wrapped": attntrace.explain(step), "bare again": step}


def entered() -> None:
    """Do nothing, and have it explained."""
    with attntrace.explain():
        pass


if __name__ == "__main__":
    raise SystemExit(main())
