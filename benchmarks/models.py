"""What watching whole models costs: GPT-2, many narrow layers, and how the cost grows.

Each figure is taken in fresh processes, the calls in turn inside each, as in `benchmarks.tracing`.
Cost per op is to stay the same from 12 layers to 192, memory per record whatever the sizes of the
tensors, and a trace is to keep no tensor alive. `python -m benchmarks.models`.
"""

from __future__ import annotations

import argparse
import gc
import json
import subprocess
import sys
import tracemalloc
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.ratios import (
    Claim,
    OtherLoad,
    conditions,
    exit_code,
    in_turn,
    wait_until_quiet,
)
from benchmarks.tracing import BUSY_CORES, NOT_IMPORTABLE, Process, measured

if TYPE_CHECKING:
    from torch import Tensor, nn

LIMITS = {"gpt2": 1.5, "narrow-48": 6.0}
"""Times the bare forward, at most."""
PEERS = ("torchinfo", "torchlens")
LAYERS = (12, 48, 192)
SAME_TIME, SAME_BYTES = 1.3, 1.05
"""How much more an op of 192 layers may take than one of 12, and a record of large tensors."""
OURS = "trace"


@dataclass(frozen=True)
class Growth:
    """What watching adds to each layer (us), by the number of layers in `LAYERS`."""

    us: list[float]
    other_cores: float


@dataclass(frozen=True)
class Kept:
    """What one trace leaves in memory: bytes of Python objects, records, and tensors alive."""

    nbytes: int
    records: int
    tensors: int

    @property
    def per_record(self) -> float:
        """Bytes per row, op, module and storage."""
        return self.nbytes / self.records


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--processes", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--strict", action="store_true", help="exit 1 where a limit is not met")
    parser.add_argument("--inside", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    warnings.filterwarnings("ignore", category=UserWarning)  # torch without numpy
    if options.inside:
        name, what = options.inside
        return _inside(name, what, options.rounds)

    print(f"models: {conditions()}")
    print(
        "gpt2: 12 layers, 64 tokens; narrow: layers of width 32, 2 x 16 tokens; eval, no grad\n"
        f"{options.rounds} rounds in each fresh process; ratio to the bare forward of the same "
        "round, and ms added;\nread: every fact written down\n"
    )
    claims = [
        *_against_bare(options.processes, options.rounds),
        *_growth(min(3, options.processes), options.rounds),
        *_memory(),
    ]
    print()
    for claim in claims:
        print(claim)
    return exit_code(claims, strict=options.strict)


def _against_bare(processes: int, rounds: int) -> list[Claim]:
    claims = []
    for name, limit in LIMITS.items():
        print(f"  {name:12} {'bare ms':>7}{OURS:>18}{'trace and read':>18}   others' cores")
        found = _several(name, "ours", processes, rounds)
        claims.append(Claim(f"{name}: {OURS} / bare", [p.ratio[OURS] for p in found], limit))
        for peer in PEERS:
            few = max(3, rounds // 10)
            ratios = [p.ratio[peer] for p in _several(name, peer, min(2, processes), few)]
            claims.append(Claim(f"{name}: {peer} / bare", ratios))
    return claims


def _growth(processes: int, rounds: int) -> list[Claim]:
    """Claim that a layer costs the same, however many there are."""
    found = []
    print(f"\n  us that watching adds to a layer: {'':11} {LAYERS}   others' cores")
    for _ in range(processes):
        wait_until_quiet(BUSY_CORES)
        text = _output_of("narrow", "growth", max(3, rounds // 3))
        if text is not None:
            one = Growth(**json.loads(text))
            print(f"  {'':45} {[round(us) for us in one.us]} {one.other_cores:9.2f}", flush=True)
            found.append(one.us)
    return [
        Claim(
            f"cost of a layer among {layers} / among {LAYERS[0]}",
            [us[number] / us[0] for us in found],
            SAME_TIME,
        )
        for number, layers in enumerate(LAYERS[1:], start=1)
    ]


def _memory() -> list[Claim]:
    """Claim that memory follows the number of records, and that no tensor is in it."""
    kept = {
        name: Kept(**json.loads(text))
        for name in ("narrow-12", "narrow-12-large", "narrow-192", "gpt2")
        if (text := _output_of(name, "memory", 1)) is not None
    }
    print(f"\n  {'':16} {'records':>9} {'KiB kept':>9} {'bytes a record':>15} {'tensors':>8}")
    for name, one in kept.items():
        kib = one.nbytes / 1024
        print(f"  {name:16} {one.records:9,} {kib:9,.0f} {one.per_record:15.0f} {one.tensors:8}")
    usual = kept["narrow-12"].per_record
    return [
        Claim(
            "bytes a record, batch 64 / batch 2",
            [kept["narrow-12-large"].per_record / usual],
            SAME_BYTES,
        ),
        Claim(
            "bytes a record, 192 layers / 12", [kept["narrow-192"].per_record / usual], SAME_BYTES
        ),
        Claim("tensors that a trace keeps alive", [one.tensors for one in kept.values()], 0),
    ]


def _several(name: str, what: str, wanted: int, rounds: int) -> list[Process]:
    """Return that many quiet processes, or what quiet ones there are among twice as many."""
    if what != "ours" and find_spec(what) is None:
        print(f"  {what}: not installed; pip install '.[bench]'")
        return []
    quiet: list[Process] = []
    for _ in range(2 * wanted):
        wait_until_quiet(BUSY_CORES)
        text = _output_of(name, what, rounds)
        if text is None:
            break
        found = Process(**json.loads(text))
        print(found.row(name if what == "ours" else what), flush=True)
        quiet += [found] if found.quiet else []
        if len(quiet) == wanted:
            break
    return quiet


def _output_of(name: str, what: str, rounds: int) -> str | None:
    """Return what a fresh process printed last; None where it cannot be had, or a peer fails."""
    done = subprocess.run(
        (
            sys.executable,
            "-m",
            "benchmarks.models",
            "--inside",
            name,
            what,
            "--rounds",
            str(rounds),
        ),
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode == NOT_IMPORTABLE or (done.returncode and what in PEERS):
        print(f"  {what}: not measured")
        return None
    done.check_returncode()
    return done.stdout.splitlines()[-1]


def _inside(name: str, what: str, rounds: int) -> int:
    """Measure in this process, and print the figures for the one that started it."""
    try:
        if what == "growth":
            found: Growth | Kept | Process = _grown(rounds)
        elif what == "memory":
            found = _kept(*_model(name))
        else:
            calls = _ours(*_model(name)) if what == "ours" else _peer(what, *_model(name))
            found = measured(calls, rounds, warm_up=3 if what == "ours" else 1)
    except ImportError as error:
        print(f"  {name}, {what}: {error}", file=sys.stderr)
        return NOT_IMPORTABLE
    print(json.dumps(asdict(found)))
    return 0


def _model(name: str) -> tuple[nn.Module, Tensor]:
    from benchmarks import plain_model

    if name == "gpt2":
        return plain_model.gpt2()
    layers = int(name.split("-")[1])
    return plain_model.narrow(layers, 64 if name.endswith("-large") else plain_model.BATCH)


def _ours(model: nn.Module, x: Tensor) -> dict[str, Callable[[], object]]:
    import attntrace

    return {
        "bare": lambda: model(x),
        OURS: lambda: attntrace.trace(model, x),
        "trace and read": lambda: attntrace.trace(model, x).facts,
    }


def _peer(name: str, model: nn.Module, x: Tensor) -> dict[str, Callable[[], object]]:
    package: Any = import_module(name)
    watch: dict[str, Callable[[], object]] = {
        "torchinfo": lambda: package.summary(model, input_data=x, verbose=0),
        "torchlens": lambda: package.trace(model, x),
    }
    return {"bare": lambda: model(x), name: watch[name]}


def _grown(rounds: int) -> Growth:
    """Trace models of each depth in turn."""
    import torch

    import attntrace

    calls: dict[str, Callable[[], object]] = {}
    for layers in LAYERS:
        model, x = _model(f"narrow-{layers}")
        calls[f"bare {layers}"] = partial(model, x)
        calls[f"traced {layers}"] = partial(attntrace.trace, model, x)
    load = OtherLoad()
    with torch.no_grad():
        seconds = in_turn(calls, rounds, warm_up=2)
    added = {
        n: [t - b for t, b in zip(seconds[f"traced {n}"], seconds[f"bare {n}"], strict=True)]
        for n in LAYERS
    }
    return Growth([1e6 * median(added[layers]) / layers for layers in LAYERS], load.cores())


def _kept(model: nn.Module, x: Tensor) -> Kept:
    """Trace once, let go of the output, and return what is left of it."""
    import torch

    import attntrace

    with torch.no_grad():
        len(attntrace.trace(model, x))  # what a first call sets up is not of this one
        before = _alive()
        tracemalloc.start()
        trace = attntrace.trace(model, x)
        trace.output = None
        facts = trace.facts
        after = _alive()
    nbytes, _ = tracemalloc.get_traced_memory()
    records = len(facts.tensors) + len(facts.ops) + len(facts.modules) + len(facts.storages)
    return Kept(nbytes, records, after - before)


def _alive() -> int:
    """Return how many tensors there are in this process."""
    from torch import Tensor

    gc.collect()
    return sum(issubclass(type(thing), Tensor) for thing in gc.get_objects())


if __name__ == "__main__":
    sys.exit(main())
