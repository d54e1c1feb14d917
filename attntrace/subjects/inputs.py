"""What goes in: arguments for forward, drawn as the user asks for them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from inspect import Parameter, Signature
from typing import Any

import torch
from torch import Tensor, nn

from attntrace.errors import Problem, SettingsError
from attntrace.spec import Subject
from attntrace.spec.subject.tensors import TensorOf, tensors_of
from attntrace.subjects.faults import blamed
from attntrace.subjects.make import Made
from attntrace.subjects.signatures import (
    in_order,
    name_of,
    required,
    signature_of,
    takes_more,
    unknown_names,
    written,
)
from attntrace.subjects.suggest import init_for, inputs_for

Axes = dict[int, tuple[str, ...]]
"""What the user calls the dimensions of a tensor, by its identity."""


def arguments(made: Made, subject: Subject) -> tuple[tuple[Any, ...], dict[str, Any], Axes]:
    """Return what the call takes: what was made with it, and over that what the user asks for.

    Raises:
        SettingsError: forward does not take it, or needs more; with its signature.
        BuildError: torch could not make it.

    """
    signature = signature_of(made.call)
    names = in_order(signature) if signature else []
    problems = list(_misfits(made, subject, signature)) if signature else []
    if problems:
        raise SettingsError(problems)
    asked = _by_name(subject.wanted(), names)
    draw = Draw(made, subject)
    with blamed("the input could not be made"):
        drawn = {name: draw(name, value) for name, value in asked.items()}
    more = [drawn.pop(name) for name in sorted(filter(str.isdigit, asked), key=int)]
    values = {**dict(zip(names, made.args, strict=False)), **made.kwargs, **drawn}
    by_place = {
        names[int(name)] for name in subject.inputs if name.isdigit() and int(name) < len(names)
    }
    missing = list(_missing(made, subject, signature, set(values))) if signature else []
    if missing:
        raise SettingsError(missing)
    args = []
    for at, name in enumerate(names):
        if name not in values or not (at < len(made.args) or name in by_place or more):
            break
        args.append(values.pop(name))
    rest = [*more, *made.args[len(names) + len(more) :]]
    return (*args, *rest), values, draw.axes


def _by_name(asked: dict[str, Any], names: list[str]) -> dict[str, Any]:
    """Return what is asked for under the names of the parameters; the later wins."""
    found: dict[str, Any] = {}
    for key, value in asked.items():
        place = int(key) if key.isdigit() else len(names)
        found[names[place] if place < len(names) else key] = value
    return found


def _called(made: Made) -> str:
    return "forward" if isinstance(made.call, nn.Module) else name_of(made.call)


def _misfits(made: Made, subject: Subject, signature: Signature) -> Iterator[Problem]:
    """Yield what is asked for and not taken."""
    named = [name for name in subject.inputs if not name.isdigit()]
    for name, message in unknown_names(named, _called(made), signature):
        yield Problem(f"inputs.{name}", message)
    most = len(in_order(signature))
    if not takes_more(signature, Parameter.VAR_POSITIONAL):
        for number in filter(str.isdigit, subject.inputs):
            if int(number) >= most:
                message = f"{written(_called(made), signature)} takes {most} in order"
                yield Problem(f"inputs.{number}", message)


def _missing(
    made: Made, subject: Subject, signature: Signature, given: set[str]
) -> Iterator[Problem]:
    missing = [p for p in required(signature) if p.name not in given]
    if not missing:
        return
    what = f"{written(_called(made), signature)} needs {', '.join(p.name for p in missing)}"
    message = (
        f"{what}; say what goes in, such as\n"
        f"        {subject.command(*inputs_for(made.call, missing))}"
    )
    if not isinstance(made.call, nn.Module) and not subject.inputs:
        message += (
            "\n    or, where it makes a module, what it is made with, such as\n"
            f"        {subject.command(*init_for(made.call, missing))}"
        )
    yield Problem("target", message)


class Draw:
    """Seeded tensors on the device of a run, drawn on the CPU; no random state is touched."""

    def __init__(self, made: Made, subject: Subject) -> None:
        self.sizes, self.device = subject.sizes, _device_of(made, subject)
        self.generator = torch.Generator().manual_seed(subject.run.seed)
        self.floating = floating_of(made, subject)
        self.below = _below(made.call)
        self.wants_grad = subject.run.grad and not _has_parameters(made.call)
        self.axes: Axes = {}

    def __call__(self, name: str, value: Any) -> Any:
        """Return what an input is to be."""
        if isinstance(value, TensorOf):
            return self.tensor(name, value)
        if isinstance(value, dict):
            return {key: self(str(key), item) for key, item in value.items()}
        return [self(name, item) for item in value] if isinstance(value, list) else value

    def tensor(self, name: str, asked: TensorOf) -> Tensor:
        """Return a tensor: normal numbers, ids below the smallest vocabulary, ones for a mask."""
        shape, usual = asked.shape(self.sizes), self.floating
        if asked.dtype is None and asked.fill == "arange":
            usual = torch.int64
        dtype: torch.dtype = getattr(torch, asked.dtype) if asked.dtype else usual
        if self.device.type == "meta":
            drawn = torch.empty(shape, dtype=dtype, device="meta")
        else:
            drawn = self._filled(name, asked.fill, shape, dtype).to(self.device)
        if asked.axes:
            self.axes[id(drawn)] = asked.axes
        return drawn.requires_grad_() if self.wants_grad and _has_gradients(dtype) else drawn

    def _filled(self, name: str, fill: str, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        if fill == "arange":
            return torch.arange(shape[-1] if shape else 1).expand(shape).to(dtype).contiguous()
        whole = not (dtype.is_floating_point or dtype.is_complex)
        if fill == "random" and name.endswith("mask") and whole and dtype != torch.bool:
            fill = "ones"
        if fill != "random":
            return torch.full(shape, fill == "ones").to(dtype)
        if not whole:
            kind = torch.complex64 if dtype.is_complex else torch.float32
            return torch.randn(shape, generator=self.generator, dtype=kind).to(dtype)
        below = 2 if dtype == torch.bool else min(self.below, torch.iinfo(dtype).max)
        return torch.randint(below, shape, generator=self.generator).to(dtype)


def floating_of(made: Made, subject: Subject) -> torch.dtype:
    """Return the format of random numbers: the one that was said, else that of the weights."""
    weights = made.call.parameters() if isinstance(made.call, nn.Module) else ()
    own = (p.dtype for p in weights if p.dtype.is_floating_point and p.dtype.itemsize > 1)
    said: torch.dtype = getattr(torch, subject.run.dtype)
    return said if subject.says("dtype") else next(own, said)


def _device_of(made: Made, subject: Subject) -> torch.device:
    """Return the device that was said, else that of the weights."""
    weights = made.call.parameters() if isinstance(made.call, nn.Module) else iter(())
    said = torch.device(subject.run.device)
    return said if subject.says("device") else next((w.device for w in weights), said)


def _below(call: Any) -> int:
    modules = call.modules() if isinstance(call, nn.Module) else ()
    return min((m.num_embeddings for m in modules if isinstance(m, nn.Embedding)), default=2)


def _has_parameters(call: Any) -> bool:
    return isinstance(call, nn.Module) and next(call.parameters(), None) is not None


def _has_gradients(dtype: torch.dtype) -> bool:
    return dtype.is_floating_point or dtype.is_complex


def input_nbytes(subject: Subject) -> int:
    """Return the bytes of the tensors that a user asks for."""
    return sum(
        math.prod(asked.shape(subject.sizes)) * getattr(torch, asked.dtype or "float32").itemsize
        for value in subject.wanted().values()
        for asked in tensors_of(value)
    )
