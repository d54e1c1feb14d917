"""The axes of every row: the same run once more on meta, with other sizes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from attntrace.analysis.axes import Derived, Deriver
from attntrace.analysis.probing import Probe, Probes, Run, Sketch, Turns
from attntrace.analysis.resizing import axes_of_code
from attntrace.errors import BuildError
from attntrace.spec import Spec
from attntrace.spec.probes import Knobs

if TYPE_CHECKING:
    from attntrace.capture.twin import Call
    from attntrace.subjects import Resizable

NO_COPY = "axes are numbers: a copy of the model could not be made"
Naming = Callable[[Sketch], Derived]
"""Finds the axes of a run from its rows."""


def block_naming(spec: Spec) -> Naming:
    """Return what finds the axes of a block of ours."""
    return lambda base: _of_block(spec, base)


def code_naming(code: Resizable) -> Naming:
    """Return what finds the axes of code of the user's own."""
    return lambda base: axes_of_code(base, code.sizes, code.run)


def call_naming(call: Call, named: Mapping[str, tuple[str, ...]]) -> Naming:
    """Return what finds the axes of a call; `named` has words for the dimensions of its inputs."""
    from attntrace.subjects import of_call

    try:
        code = of_call(call, named)
    except Exception as error:  # noqa: BLE001 - whatever a model's own copying raises
        said = f"{NO_COPY} ({type(error).__name__}: {error})"
        return lambda _: Derived(notes=(said,))
    return code_naming(code)


def _of_block(spec: Spec, base: Sketch) -> Derived:
    for knobs in (Knobs(spec), Knobs(spec, free=False)):
        probes = Probes(Probe(spec.sizes, base), _runs(knobs))
        if probes.try_all(dict.fromkeys(knobs.names, 0)):
            break
    else:
        probes.halve(knobs.names)
    if spec.feed_forward.kind == "moe" and spec.run.device != "meta":
        probes.again({})  # how many tokens an expert gets depends on their values
    probes.unrolled += [name for name in knobs.unrolled if name in spec.sizes]
    return _told_apart(probes, knobs.order)


def _told_apart(probes: Probes, order: Sequence[str]) -> Derived:
    """Return the axes that the probes show; of one more probe, where a formula takes that."""
    deriver = Deriver(probes, order)
    if probes.turns and deriver.unknown():
        probes.again({name: turn + 1 for name, turn in probes.turns.items()})
        deriver = Deriver(probes, order)
    return deriver.derived()


def _runs(knobs: Knobs) -> Run:
    import torch

    from attntrace import blocks
    from attntrace.capture import Uninitialized, sketch

    def run(turns: Turns) -> Probe | None:
        spec = knobs.changed(knobs.factors(turns))
        if spec is None:
            return None
        try:
            with Uninitialized():
                block = blocks.build(spec)
            inputs = blocks.make_inputs(spec)
        except BuildError:
            return None
        device = spec.run.as_device
        assert device is not None, "a probe is made on meta"
        with torch.set_grad_enabled(spec.run.grad):
            return Probe(spec.sizes, sketch(block, (), inputs, device))

    return run
