"""On a GPU: the peak that a run on meta predicts, against what CUDA's allocator says of the real run.

Both are above what is there before the run: parameters, buffers and inputs. The prediction has each
storage rounded up to 512 bytes, as the allocator rounds it. A first run takes what stays: the
workspaces of cuBLAS and cuDNN are allocated then, and printed apart. What may still differ is
scratch inside kernels, which no mode can see.

`python -m benchmarks.gpu_memory`; exit code 2 where there is no GPU.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from benchmarks.ratios import conditions

NO_GPU = "gpu_memory: this torch sees no GPU, and the figures are about one; nothing was measured"
WITHIN = 0.01
"""How far a prediction may be from the allocator's figure."""
BLOCK = {"batch": 4, "tokens": 512, "chan": 512, "dim": 512, "heads": 8}
SPECS: dict[str, dict[str, Any]] = {
    "attention": BLOCK,
    "attention causal": {**BLOCK, "mask": {"kind": "causal"}},
    "attention padding": {**BLOCK, "mask": {"kind": "padding"}},
    "attention dropout": {**BLOCK, "attention": {"dropout": 0.125}},
    "grouped rope": {**BLOCK, "kv_heads": 2, "positions": {"kind": "rope"}},
    "encoder": {**BLOCK, "block": "encoder", "layers": 2, "ff_dim": 2048},
    "decoder": {
        **BLOCK, "block": "decoder", "layers": 2, "ff_dim": 2048, "norm": {"kind": "rmsnorm"},
        "feed_forward": {"kind": "glu", "activation": "silu"},
        "stack": {"vocab": 8000, "head": "vocab"}, "positions": {"kind": "rope"},
    },
}  # fmt: skip
IMPLS = ("eager", "sdpa", "torch")
DTYPES = ("float32", "bfloat16")


class Figures(NamedTuple):
    """Peaks of one run in bytes: what was predicted, and what the allocator saw."""

    predicted: int
    allocated: int
    workspace: int
    """What a first run leaves allocated."""

    @property
    def off(self) -> float:
        """How far the prediction is off, as a fraction of what was allocated."""
        return self.predicted / self.allocated - 1


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--strict", action="store_true", help="exit 1 where a figure is not met")
    options = parser.parse_args(argv)
    import torch

    if not torch.cuda.is_available():
        sys.stderr.write(NO_GPU + "\n")
        return 2
    print(f"gpu_memory: {conditions()}, {torch.cuda.get_device_name()}, CUDA {torch.version.cuda}")
    print("peak bytes above parameters and inputs; forward alone, and with backward\n")
    print(
        f"  {'block':18} {'impl':6} {'dtype':9} {'pass':8} {'meta as cuda':>14} "
        f"{'allocator':>14} {'off':>8} {'workspace':>12}"
    )
    missed = 0
    for name, impl, dtype, grad in cases():
        figures = measured(spec_of(name, impl, dtype, grad=grad))
        met = abs(figures.off) <= WITHIN
        missed += not met
        print(
            f"  {name:18} {impl:6} {dtype:9} {'training' if grad else 'forward':8} "
            f"{figures.predicted:14,} {figures.allocated:14,} {figures.off:+8.2%} "
            f"{figures.workspace:12,}{'' if met else '   NOT WITHIN 1 %'}"
        )
    print(f"\n{missed or 'no'} figures beyond {WITHIN:.0%}: {'NOT ' * bool(missed)}met")
    return int(options.strict and missed > 0)


def cases() -> Iterator[tuple[str, str, str, bool]]:
    """Yield block, implementation, dtype, and whether backward is followed."""
    for name, impl, dtype, grad in itertools.product(SPECS, IMPLS, DTYPES, (False, True)):
        if not (impl == "torch" and "kv_heads" in SPECS[name]) and not (
            impl == "torch" and "positions" in SPECS[name]
        ):
            yield name, impl, dtype, grad


def spec_of(name: str, impl: str, dtype: str, *, grad: bool) -> dict[str, Any]:
    """Return the settings of one case, for the GPU."""
    spec = SPECS[name]
    attention = {**spec.get("attention", {}), "impl": impl}
    mode = "train" if "dropout" in name else "eval"
    run = {"device": "cuda", "dtype": dtype, "grad": grad, "mode": mode}
    return {**spec, "attention": attention, "run": run}


def predicted(settings: dict[str, Any]) -> int:
    """Return the peak that the same run on meta predicts for a GPU."""
    import attntrace

    run = {**settings["run"], "device": "meta", "as_device": "cuda"}
    memory = attntrace.run({**settings, "run": run}).memory
    training = memory.training_peak_nbytes
    return memory.peak_nbytes if training is None else training


def measured(settings: dict[str, Any]) -> Figures:
    """Return the figures of one case; it is run twice on the GPU, unwatched."""
    import torch

    import attntrace
    from attntrace.blocks import make_inputs
    from attntrace.spec import load

    spec = load(None, **settings).spec
    block, inputs = attntrace.build(spec), make_inputs(spec)
    start = torch.cuda.memory_allocated()
    _run(block, inputs, grad=spec.run.grad)
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    _run(block, inputs, grad=spec.run.grad)
    most = torch.cuda.max_memory_allocated()
    return Figures(predicted(settings), most - before, before - start)


def _run(block: Any, inputs: dict[str, Any], *, grad: bool) -> None:
    """Run a block forward, and backward from ones, and drop all that came of it."""
    import torch

    from attntrace.capture.structure import tensors_in

    with torch.set_grad_enabled(grad):
        outputs = list(tensors_in(block(**inputs)))
        if grad:
            outputs = [tensor for tensor in outputs if tensor.grad_fn is not None]
            torch.autograd.backward(outputs, [torch.ones_like(tensor) for tensor in outputs])
    block.zero_grad(set_to_none=True)
    torch.cuda.synchronize()


if __name__ == "__main__":
    raise SystemExit(main())
