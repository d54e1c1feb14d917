"""How long a command keeps one waiting, against `import torch` and against a plain torch script.

Each program is a fresh process, and they run in turn. `python -m benchmarks.startup`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import sysconfig
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks.ratios import Claim, OtherLoad, conditions, exit_code, in_turn, ratios

ATTNTRACE = str(Path(sysconfig.get_path("scripts")) / "attntrace")
PLAIN = str(Path(__file__).with_name("plain_layer.py"))
SHOWN = 8


@dataclass(frozen=True)
class Program:
    """What to start, and the exit code that shows that it did its work."""

    name: str
    argv: tuple[str, ...]
    code: int = 0

    def run(self) -> None:
        """Run it to its end, its output thrown away. Raises where it ends otherwise."""
        quiet = subprocess.DEVNULL
        done = subprocess.run(self.argv, stdout=quiet, stderr=quiet, check=False)
        if done.returncode != self.code:
            raise RuntimeError(f"{self.name} ended with {done.returncode}, not with {self.code}")


EMPTY = Program("an empty Python", (sys.executable, "-c", "pass"))
TORCH = Program('python -c "import torch"', (sys.executable, "-c", "import torch"))
HELP = Program("attntrace --help", (sys.executable, ATTNTRACE, "--help"))
ERROR = Program(
    "attntrace run --heads 3 (an error)", (sys.executable, ATTNTRACE, "run", "--heads", "3"), 2
)
SCRIPT = Program("the plain torch script", (sys.executable, PLAIN))
RUN = Program(
    "attntrace run --heads 4 --chan 64",
    (sys.executable, ATTNTRACE, "run", "--heads", "4", "--chan", "64"),
)
PROGRAMS = (EMPTY, TORCH, HELP, ERROR, SCRIPT, RUN)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--strict", action="store_true", help="exit 1 where a limit is not met")
    options = parser.parse_args(argv)

    print(f"startup: {conditions()}")
    load = OtherLoad()
    actions = {program.name: program.run for program in PROGRAMS}
    seconds = in_turn(actions, options.rounds, warm_up=1)
    print(
        f"{options.rounds} rounds, each program once a round; meanwhile other processes used "
        f"{load.cores():.2f} cores\n"
    )
    for name, taken in seconds.items():
        print(f"  {name:44} {1000 * median(taken):7.0f} ms")
    print()
    compared = partial(_claim, seconds)
    claims = [
        compared(HELP, TORCH, 0.25),
        compared(ERROR, TORCH, None),
        compared(RUN, SCRIPT, 1.3),
    ]
    for claim in claims:
        print(claim)
    for program in (HELP, ERROR, RUN):
        print(f"\n{import_times(program)}")
    return exit_code(claims, strict=options.strict)


def _claim(
    seconds: dict[str, list[float]], over: Program, under: Program, limit: float | None
) -> Claim:
    text = f"{over.name.removesuffix(' (an error)')} / {'torch' if under is TORCH else 'script'}"
    return Claim(text, ratios(seconds[over.name], seconds[under.name]), limit)


def import_times(program: Program) -> str:
    """Return which packages a program spends its imports on, those most that cost most."""
    python, *rest = program.argv
    done = subprocess.run(
        (python, "-X", "importtime", *rest), capture_output=True, text=True, check=False
    )
    costs: Counter[str] = Counter()
    for line in done.stderr.splitlines():
        own, _, name = line.removeprefix("import time:").partition("|")
        if line.startswith("import time:") and own.strip().isdigit():
            package = name.rpartition("|")[2].strip().partition(".")[0]
            costs["the standard library" if package in sys.stdlib_module_names else package] += int(
                own
            )
    shown = ", ".join(f"{name} {cost / 1000:.0f}" for name, cost in costs.most_common(SHOWN))
    total = sum(costs.values()) / 1000
    return f"imports of {program.name}: {total:.0f} ms under -X importtime\n  {shown}"


if __name__ == "__main__":
    sys.exit(main())
