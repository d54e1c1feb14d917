"""Whole published models on meta: what watching costs there, in time and in resident memory.

The forward of Llama-3.1-405B, all 126 layers over 8,192 tokens, is run bare and traced in turn. A
trace is read to the end; and it is shown as well, as the command does it. Then each model in prefill, one step of decoding and
training, once in a fresh process each: the figures that a trace gives, and how long it took against
the same steps bare. `python -m benchmarks.large`.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import sysconfig
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from attntrace.cli import SELDOM
from benchmarks.ratios import (
    Claim,
    OtherLoad,
    conditions,
    exit_code,
    in_turn,
    ratios,
    wait_until_quiet,
)

if TYPE_CHECKING:
    from attntrace.spec import Spec

ATTNTRACE = str(Path(sysconfig.get_path("scripts")) / "attntrace")
LIMIT = 3.0
LIMIT_GIB = 2.0
LARGEST = "llama3-405b"
MODELS = ("llama3-8b", LARGEST, "mixtral-8x7b", "deepseek-v3")
STEPS: dict[str, dict[str, Any]] = {
    "prefill": {"tokens": 8192},
    "decode": {"tokens": 1, "cache": {"past": 8191}},
    "training": {"tokens": 8192, "run": {"grad": True, "mode": "train"}},
}
BARE = "bare"
BUSY_CORES, PATIENCE = 0.25, 20.0
GIB = 2**30


@dataclass(frozen=True)
class Figures:
    """What one fresh process found out about one model and step."""

    rows: int
    parameters: int
    cache_nbytes: int | None
    peak_nbytes: int
    training_peak_nbytes: int | None
    seconds: float
    bare_seconds: float

    def row(self, model: str, step: str) -> str:
        """Return it as a line of the table."""
        cells = [
            f"  {model:14} {step:9} {self.rows:7,} {self.parameters:16,}",
            *(_gib(n) for n in (self.cache_nbytes, self.peak_nbytes, self.training_peak_nbytes)),
            f"{self.seconds:8.2f} {self.seconds / self.bare_seconds:8.2f}",
        ]
        return " ".join(cells)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--strict", action="store_true", help="exit 1 where a limit is not met")
    parser.add_argument("--inside", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    warnings.filterwarnings("ignore", category=UserWarning)  # torch without numpy
    if options.inside:
        print(json.dumps(vars(_figures(*options.inside))))
        return 0

    print(f"large: {conditions()}")
    print(f"{LARGEST}, 126 layers, 8,192 tokens, bfloat16, meta; {options.rounds} rounds in turn\n")
    claims = [*_command(), *_forward("eager", options.rounds), *_forward("sdpa", options.rounds)]
    print()
    for claim in claims:
        print(claim)
    _table()
    return exit_code(claims, strict=options.strict)


def _command() -> list[Claim]:
    """Run the command in a fresh process, and return what is claimed of its memory."""
    start = time.perf_counter()
    process = subprocess.Popen(
        (sys.executable, ATTNTRACE, "run", LARGEST),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)  # it has been waited for
    taken = time.perf_counter() - start
    if process.returncode:
        raise RuntimeError(f"attntrace run {LARGEST} ended with {process.returncode}")
    unit = 1 if sys.platform == "darwin" else 1024
    print(f"  attntrace run {LARGEST}, start to end: {taken:.1f} s")
    return [Claim("most resident memory of it, GiB", [used.ru_maxrss * unit / GIB], LIMIT_GIB)]


def _forward(impl: str, rounds: int) -> Iterator[Claim]:
    """Time the forward of the largest model: traced and read, and as the command does it."""
    import torch

    import attntrace
    from attntrace.blocks import make_inputs
    from attntrace.spec import load as load_spec

    spec = load_spec(LARGEST, attention={"impl": impl}).spec
    block, inputs = attntrace.build(spec), make_inputs(spec)
    usual = gc.get_threshold()
    ways: dict[str, tuple[int, Callable[[], object]]] = {
        "traced and read": (usual[2], lambda: len(attntrace.trace(block, **inputs).tensors)),
        "and shown, by the command": (SELDOM, lambda: str(attntrace.trace(block, **inputs))),
    }
    for name, (full, action) in ways.items():
        gc.collect()
        gc.set_threshold(*usual[:2], full)
        wait_until_quiet(BUSY_CORES, PATIENCE)
        load = OtherLoad()
        with torch.no_grad():
            seconds = in_turn({BARE: lambda: block(**inputs), name: action}, rounds, warm_up=1)
        gc.set_threshold(*usual)
        print(
            f"  {impl:5} {name:26} bare {median(seconds[BARE]):5.2f} s, {median(seconds[name]):5.2f} s"
            f"; others used {load.cores():.2f} cores"
        )
        yield Claim(f"{impl}, {name} / bare", ratios(seconds[name], seconds[BARE]), LIMIT)


def _table() -> None:
    print("\nbatch 1, bfloat16, eager; prefill and training of 8,192 tokens, decode after 8,191;")
    print(
        "built, run, traced and read once; seconds, and their ratio to building and running bare\n"
    )
    print(
        f"  {'model':14} {'step':9} {'rows':>7} {'parameters':>16} {'cache':>12} {'peak':>12} "
        f"{'training':>12} {'seconds':>8} {'ratio':>8}"
    )
    for model in MODELS:
        for step in STEPS:
            done = subprocess.run(
                (sys.executable, "-m", "benchmarks.large", "--inside", model, step),
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
            print(Figures(**json.loads(done.stdout.splitlines()[-1])).row(model, step), flush=True)


def _figures(model: str, step: str) -> Figures:
    """Run and trace one step of a model, each a second time, when everything is imported."""
    import attntrace
    from attntrace.analysis.cache import cache_report
    from attntrace.spec import load

    spec = load(model, batch=1, **STEPS[step]).spec
    actions: dict[str, Callable[[], object]] = {
        BARE: lambda: _bare(spec),
        "trace": lambda: attntrace.run(spec).facts,
    }
    seconds = in_turn(actions, rounds=1, warm_up=1)
    trace = attntrace.run(spec)
    cache = cache_report(trace.facts)
    return Figures(
        rows=len(trace),
        parameters=trace.memory.parameters,
        cache_nbytes=cache.nbytes if cache else None,
        peak_nbytes=trace.memory.peak_nbytes,
        training_peak_nbytes=trace.memory.training_peak_nbytes,
        seconds=seconds["trace"][0],
        bare_seconds=seconds[BARE][0],
    )


def _bare(spec: Spec) -> None:
    """Build a block and run it, in training backward as well, unwatched."""
    import torch

    import attntrace
    from attntrace.blocks import make_inputs

    block = attntrace.build(spec)
    with torch.set_grad_enabled(spec.run.grad):
        output = block(**make_inputs(spec))
    if spec.run.grad:
        torch.autograd.backward(output, torch.ones_like(output))


def _gib(nbytes: int | None) -> str:
    return f"{'':>12}" if nbytes is None else f"{nbytes / GIB:8.2f} GiB"


if __name__ == "__main__":
    sys.exit(main())
