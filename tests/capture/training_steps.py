"""A step of training as anyone would write it, and what the profiler and autograd's hooks see of it."""

from __future__ import annotations

import weakref
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.profiler import record_function

import attntrace
from attntrace.blocks import make_inputs
from attntrace.spec import Spec
from tests.capture.recorders import BACKWARD, flat, profiled


class Measured(NamedTuple):
    """Bytes, of a forward and of a whole step; without the scratch of kernels."""

    forward: int
    training: int
    saved: int
    state: int


class Step:
    """Forward, backward from ones, and a step of an optimizer, over and over."""

    def __init__(self, spec: Spec, optimizer: Any = None) -> None:
        self.block, self.inputs = attntrace.build(spec), make_inputs(spec)
        self.seed = spec.run.seed
        self.optimizer = optimizer(self.block.parameters()) if optimizer else None

    def forward(self) -> Any:
        torch.manual_seed(self.seed)
        return self.block(**self.inputs)

    def __call__(self) -> None:
        out = self.forward()
        outs = [tensor for tensor in flat(out) if tensor.grad_fn is not None]
        if not outs:
            return
        with record_function(BACKWARD):
            torch.autograd.backward(outs, [torch.ones_like(tensor) for tensor in outs])
        if self.optimizer is not None:
            self.optimizer.step()

    def zero(self) -> None:
        self.block.zero_grad(set_to_none=True)
        for tensor in flat([*self.inputs.values()]):
            tensor.grad = None


def measured(spec: Spec, optimizer: Any = None, before: int = 1) -> Measured:
    """Return what a step takes that comes after `before` others."""
    step = Step(spec, optimizer)
    for _ in range(before):
        step()
        step.zero()
    seen = profiled(step)
    step.zero()
    state = step.optimizer.state.values() if step.optimizer else ()
    kept = sum(tensor.nbytes for entry in state for tensor in flat([*entry.values()]))
    return Measured(seen.forward, seen.without_scratch, saved(step), kept)


class Packed:
    """What a node of the graph holds instead of a tensor."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


def saved(step: Step) -> int:
    """Return the bytes of the storages that the graph holds after a forward, parameters apart.

    `saved_tensors_hooks` are given each tensor that any node saves; what counts is what is still held
    when the forward is over: a branch that leads to no output is freed with what it saved.
    """
    packed: list[weakref.ref[Packed]] = []

    def pack(tensor: Tensor) -> Packed:
        held = Packed(tensor.detach())  # an output would hold the node that holds it
        packed.append(weakref.ref(held))
        return held

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda held: held.tensor):
        out = step.forward()
    parameters = {p.untyped_storage().data_ptr() for p in step.block.parameters()}
    held = [found.tensor.untyped_storage() for ref in packed if (found := ref()) is not None]
    del out
    return sum({s.data_ptr(): s.nbytes() for s in held if s.data_ptr() not in parameters}.values())
