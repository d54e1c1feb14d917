"""What names for all axes cost in steady state: run and show with them, against without.

`python -m benchmarks.axes`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.ratios import Claim, conditions, exit_code, in_turn, ratios, wait_until_quiet

LIMIT = 2.0
BUSY_CORES = 0.25
CASES: dict[str, tuple[str | None, dict[str, Any]]] = {
    "default block": (None, {"heads": 4, "chan": 64}),
    "decoder of 6 layers": (None, {"block": "decoder", "layers": 6, "heads": 4, "chan": 64}),
    "gpt2": ("gpt2", {}),
    "t2t-vit-14": ("t2t-vit-14", {}),
}
BLOCK = """
import torch
from torch import nn


class Block(nn.Module):
    def __init__(self, dim=64, heads=4):
        super().__init__()
        self.heads = heads
        self.norm, self.qkv, self.proj = nn.LayerNorm(dim), nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.up, self.down = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)

    def forward(self, x):
        B, T, C = x.shape
        q, k, v = self.qkv(self.norm(x)).view(B, T, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        probs = (q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5).softmax(-1)
        x = x + self.proj((probs @ v).transpose(1, 2).reshape(B, T, C))
        return x + self.down(self.up(x).relu())
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--strict", action="store_true", help="exit 1 where a limit is not met")
    options = parser.parse_args(argv)
    warnings.filterwarnings("ignore", category=UserWarning)  # torch without numpy
    print(f"axes: {conditions()}")
    print(
        "build, run and write the table, with axes=True against without; in turn, in one process\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        claims = [_claim(name, spec, options.rounds) for name, spec in _specs(Path(folder))]
    return exit_code(claims, strict=options.strict)


def _specs(folder: Path) -> list[tuple[str, Any]]:
    import attntrace

    file = folder / "block.py"
    file.write_text(BLOCK, encoding="utf-8")
    own = attntrace.load(f"{file}:Block", inputs={"x": [13, 100, 64]})
    return [
        *((name, attntrace.load(file, **more)) for name, (file, more) in CASES.items()),
        ("code of your own", own),
    ]


def _claim(name: str, spec: Any, rounds: int) -> Claim:
    wait_until_quiet(BUSY_CORES, patience=10)
    seconds = in_turn({"without": _shown(spec, False), "with": _shown(spec, True)}, rounds, 3)
    claim = Claim(name, ratios(seconds["with"], seconds["without"]), LIMIT)
    print(claim, flush=True)
    return claim


def _shown(spec: Any, axes: bool) -> Callable[[], object]:
    import attntrace

    return lambda: attntrace.run(spec, axes=axes).to_text()


if __name__ == "__main__":
    sys.exit(main())
