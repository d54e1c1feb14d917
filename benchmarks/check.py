"""How long `attntrace check` takes for all configs, against running them bare.

Both are fresh processes and run in turn. The check reads, builds, runs and traces every config,
derives axes, and compares each with its baseline. Bare is one process that imports torch, then
builds each block and calls it, backward where the config trains, and looks at nothing.
`python -m benchmarks.check`.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmarks.ratios import (
    Claim,
    OtherLoad,
    conditions,
    exit_code,
    in_turn,
    ratios,
    wait_until_quiet,
)

ATTNTRACE = str(Path(sysconfig.get_path("scripts")) / "attntrace")
ROOT = Path(__file__).parents[1]
LIMIT = 2.0
BUSY_CORES, PATIENCE = 0.25, 20.0
CHECK, BARE = "attntrace check", "bare"


class Bare(NamedTuple):
    """The seconds of one bare process, by what it did."""

    torch: float
    """`import torch`."""
    built: float
    """Building every block and its input, and calling it."""
    called: float
    """Calling alone."""


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--jobs", type=int, help="processes of the check; else its own choice")
    parser.add_argument("--strict", action="store_true", help="exit 1 where a limit is not met")
    parser.add_argument("--inside", nargs="+", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.inside:
        print(json.dumps(_bare(options.inside)))
        return 0

    print(f"check: {conditions()}")
    with tempfile.TemporaryDirectory() as name:
        claims = _claims(Path(name), options.rounds, options.jobs)
    print()
    for claim in claims:
        print(claim)
    return exit_code(claims, strict=options.strict)


def _claims(folder: Path, rounds: int, jobs: int | None) -> list[Claim]:
    """Check a copy of the configs in turn with bare runs of them, and return what is claimed."""
    shutil.copytree(ROOT / "configs", folder / "configs")
    files = sorted(map(str, (folder / "configs").glob("*.yaml")))
    command = [sys.executable, ATTNTRACE, "check", *(["--jobs", str(jobs)] if jobs else [])]
    bare: list[Bare] = []

    def check(*more: str) -> None:
        subprocess.run([*command, *more], cwd=folder, stdout=subprocess.DEVNULL, check=True)

    def run_bare() -> None:
        wanted = (sys.executable, "-m", "benchmarks.check", "--inside", *files)
        done = subprocess.run(wanted, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
        bare.append(Bare(*json.loads(done.stdout.splitlines()[-1])))

    check("--update")
    wait_until_quiet(BUSY_CORES, PATIENCE)
    load = OtherLoad()
    seconds = in_turn({BARE: run_bare, CHECK: check}, rounds, warm_up=0)[CHECK]
    print(
        f"{len(files)} configs; {rounds} rounds in turn; meanwhile other processes used "
        f"{load.cores():.2f} cores\n"
    )
    torch, built, called = (median(each) for each in zip(*bare, strict=True))
    print(f"  {'import torch':44} {torch:7.2f} s")
    print(f"  {'all blocks built and called':44} {built:7.2f} s")
    print(f"  {'all blocks called, alone':44} {called:7.2f} s")
    print(f"  {'attntrace check':44} {median(seconds):7.2f} s")
    return [
        Claim("check / (built and called + torch)", _over(seconds, bare, "built"), LIMIT),
        Claim("check / (called alone + torch)", _over(seconds, bare, "called")),
    ]


def _over(seconds: Sequence[float], bare: Sequence[Bare], part: str) -> list[float]:
    return ratios(seconds, [one.torch + getattr(one, part) for one in bare])


def _bare(files: Sequence[Path]) -> Bare:
    """Build and call every block in this process, as plain torch does."""
    warnings.filterwarnings("ignore", category=UserWarning)  # torch without numpy
    start = time.perf_counter()
    import torch

    imported = time.perf_counter() - start
    from attntrace import blocks
    from attntrace.spec import load

    built = called = 0.0
    for file in files:
        spec = load(file).spec
        start = time.perf_counter()
        block, inputs = blocks.build(spec), blocks.make_inputs(spec)
        ready = time.perf_counter()
        with torch.set_grad_enabled(spec.run.grad):
            output = block(**inputs)
        if spec.run.grad:
            torch.autograd.backward(output, torch.ones_like(output))
        end = time.perf_counter()
        built, called = built + end - start, called + end - ready
        del block, inputs, output
    return Bare(imported, built, called)


if __name__ == "__main__":
    sys.exit(main())
