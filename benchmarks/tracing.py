"""What watching costs in steady state: one forward traced, against the same forward bare.

glibc's malloc decides anew in each process whether the large score tensors are mapped and faulted
in page by page or taken from memory that is already there. The bare forward then takes twice as
long or not, and every ratio moves with it. So each figure is taken in several fresh processes, with
the calls in turn inside each, and again in processes that are told to keep their memory ("warm"):
there the forward is at its fastest, and watching it looks worst.

`python -m benchmarks.tracing`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from statistics import median

from benchmarks.ratios import (
    Claim,
    OtherLoad,
    conditions,
    exit_code,
    in_turn,
    ratios,
    wait_until_quiet,
)

LIMIT = 2.0
BUSY_CORES = 0.25
PEERS = ("torchinfo", "torchview", "torchlens")
OURS = ("floor", "trace", "trace and read")
ENOUGH = "1000000000"
WARM = {"MALLOC_TRIM_THRESHOLD_": ENOUGH, "MALLOC_MMAP_THRESHOLD_": ENOUGH}
NOT_IMPORTABLE = 4


@dataclass(frozen=True)
class Process:
    """What one fresh process measured: medians of its rounds."""

    bare_ms: float
    ratio: dict[str, float]
    added_ms: dict[str, float]
    threads: int
    other_cores: float

    @property
    def quiet(self) -> bool:
        """Whether it had the machine to itself, without which two threads wait for each other."""
        return self.other_cores <= BUSY_CORES

    def row(self, title: str) -> str:
        """Return it as a line of the table."""
        cells = "".join(
            f"{ratio:9.2f} ({self.added_ms[name]:+6.2f})" for name, ratio in self.ratio.items()
        )
        note = "" if self.quiet else "   busy: not counted"
        return f"  {title:12} {self.bare_ms:7.2f}{cells}{self.other_cores:9.2f}{note}"


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--processes", type=int, default=7)
    parser.add_argument("--rounds", type=int, default=150)
    parser.add_argument("--strict", action="store_true", help="exit 1 where a limit is not met")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.inside:
        return _inside(options.inside, options.rounds)

    print(f"tracing: {conditions()}")
    print(
        "batch 13 tokens 100 dim 49 chan 64 heads 4, eager, eval, no grad, float32, cpu\n"
        f"{options.rounds} rounds in each fresh process; ratio to the bare forward of the same "
        "round, and ms added;\nfloor: two modes and global hooks that do nothing; "
        "read: every fact written down\n"
    )
    claims = _ours(options.processes, options.rounds)
    print()
    for claim in claims:
        print(claim)
    print("\npeers, on the same layer without our taps, each in fresh processes, default malloc")
    for name in PEERS:
        _peer(name, options.rounds)
    return exit_code(claims, strict=options.strict)


def _ours(processes: int, rounds: int) -> list[Claim]:
    heads = "".join(f"{name:>18}" for name in OURS)
    print(f"  {'malloc':12} {'bare ms':>7}{heads}   others' cores")
    plain = _several("default", "ours", processes, rounds, {})
    warm = _several("warm", "ours", 3, rounds, WARM)
    if plain:
        print(f"  {plain[0].threads} threads of torch in each")
    return [
        *_claims("default malloc, median over processes", plain),
        *_claims("warm malloc, median over processes", warm),
    ]


def _claims(title: str, found: list[Process]) -> list[Claim]:
    limits = {"trace": LIMIT}
    return [
        Claim(f"{title}: {name}", [one.ratio[name] for one in found], limits.get(name))
        for name in OURS
    ]


def _several(
    title: str, what: str, wanted: int, rounds: int, settings: dict[str, str]
) -> list[Process]:
    """Return that many quiet processes, or what quiet ones there are among twice as many."""
    quiet: list[Process] = []
    for _ in range(2 * wanted):
        wait_until_quiet(BUSY_CORES)
        found = _process(what, rounds, settings)
        if found is None:
            break
        print(found.row(title), flush=True)
        quiet += [found] if found.quiet else []
        if len(quiet) == wanted:
            break
    return quiet


def _process(what: str, rounds: int, settings: dict[str, str]) -> Process | None:
    """Measure in a fresh process; None where what is to be measured cannot be imported."""
    done = subprocess.run(
        (sys.executable, "-m", "benchmarks.tracing", "--inside", what, "--rounds", str(rounds)),
        env=os.environ | settings,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode == NOT_IMPORTABLE:
        return None
    done.check_returncode()
    return Process(**json.loads(done.stdout.splitlines()[-1]))


def _peer(name: str, rounds: int) -> None:
    if find_spec(name) is None:
        print(f"  {name}: not installed; pip install '.[bench]'")
        return
    print(f"  {'malloc':12} {'bare ms':>7}{'attntrace':>18}{name:>18}   others' cores")
    if not _several("default", name, 3, max(20, rounds // 5), {}):
        print(f"  {name}: not measured")


def _inside(what: str, rounds: int) -> int:
    """Measure in this process, and print the figures for the one that started it."""
    warnings.filterwarnings("ignore", category=UserWarning)  # torch without numpy
    from benchmarks.watching import ours, peer

    try:
        calls = ours() if what == "ours" else peer(what)
    except ImportError as error:
        print(f"  {what}: {error}", file=sys.stderr)
        return NOT_IMPORTABLE
    print(json.dumps(asdict(measured(calls, rounds, warm_up=max(5, rounds // 5)))))
    return 0


def measured(calls: Mapping[str, Callable[[], object]], rounds: int, warm_up: int) -> Process:
    """Return what each of the calls takes beyond the bare one, without grad."""
    import torch

    load = OtherLoad()
    with torch.no_grad():
        seconds = in_turn(calls, rounds, warm_up)
    bare = seconds.pop("bare")
    return Process(
        bare_ms=1000 * median(bare),
        ratio={name: median(ratios(taken, bare)) for name, taken in seconds.items()},
        added_ms={
            name: 1000 * median(a - b for a, b in zip(taken, bare, strict=True))
            for name, taken in seconds.items()
        },
        threads=torch.get_num_threads(),
        other_cores=load.cores(),
    )


if __name__ == "__main__":
    sys.exit(main())
