"""Where a wrong size came from: back through the rows, then to the line of a constructor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import nn

from attntrace.analysis.diagnosis import Culprit, FailedCall, Given
from attntrace.analysis.lineage import Trail, became, came_from, made, writes
from attntrace.analysis.lineage.kinds import Kind
from attntrace.capture.failed.origin.attributes import left_behind, size_on, sizes_of
from attntrace.capture.failed.origin.constructors import made_by, parameter_set_by, set_by
from attntrace.record import Step, StorageRecord, TensorRecord

MOST_CULPRITS = 2
WHOLE = ("bool", "uint8", "int8", "int16", "int32", "int64")


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What is known of a failed run besides its call."""

    path: str = ""
    """The module whose forward was running."""
    rows: Sequence[TensorRecord] = ()
    storages: Sequence[StorageRecord] = ()
    root: nn.Module | None = None
    """The outermost module, in which parameters have their paths."""


def origin(call: FailedCall, culprits: Sequence[Culprit], around: Around) -> tuple[Step, ...]:
    """Return the steps of each culprit in turn, each step once.

    Where no size is to blame: how tensors of several devices or number formats got their own, and
    what wrote in place into what backward needs.
    """
    steps = [*call.origin]
    steps += [step for one in _likeliest(culprits) for step in _steps(one, around)]
    steps += sizes_of(call, around.root, around.path)
    steps = steps or [*_kinds(call, around), *writes(around.rows, call.message)]
    return tuple(dict.fromkeys(steps))


def _likeliest(culprits: Sequence[Culprit]) -> list[Culprit]:
    """Return the culprits to follow: of several tensors one each before a second of one."""
    first = {one.tensor.name: one for one in reversed(culprits)}
    chosen = [one for one in culprits if first[one.tensor.name] is one]
    return [*chosen, *(one for one in culprits if one not in chosen)][:MOST_CULPRITS]


def _kinds(call: FailedCall, around: Around) -> Iterator[Step]:
    tensors = [tensor for _, tensor in call.tensors()]
    kinds: tuple[Kind, ...] = ("device", "dtype")
    for kind in kinds:
        if len({getattr(tensor, kind) for tensor in tensors}) > 1:
            floats = [tensor for tensor in tensors if tensor.dtype not in WHOLE]
            if kind == "dtype" and len({tensor.dtype for tensor in floats}) > 1:
                tensors = floats  # an index among them is none of it
            shown = [tensor.row for tensor in tensors if tensor.row is not None]
            steps = [step for row in shown for step in became(around.rows, row, kind)]
            yield from steps
            for path in _kept(tensors, around):
                yield from made_by(around.root, path) if around.root is not None else ()
            if kind == "device":
                for line in dict.fromkeys([call.text, *(step.line or "" for step in steps)]):
                    yield from left_behind(line, around.root, around.path)
            return


def _kept(tensors: Sequence[Given], around: Around) -> Iterator[str]:
    """Yield the paths of the parameters and buffers that tensors are, or are views of."""
    owners = {one.id: one.name for one in around.storages if one.owner in ("parameter", "buffer")}
    for tensor in tensors:
        row = around.rows[tensor.row] if tensor.row is not None else None
        kept = row.storage_id if row is not None else None
        path = tensor.path or (owners.get(kept) if kept is not None else None)
        if path is not None:
            yield path


def _steps(culprit: Culprit, around: Around) -> Iterator[Step]:
    tensor, dim = culprit.tensor, culprit.dim
    if dim is None:
        if tensor.row is not None:
            yield made(around.rows, tensor.row)
        return
    if tensor.path is not None and tensor.shape:
        value = tensor.shape[dim]
        yield from _built(around.root, tensor.path, culprit.setting, dim, value)
    elif tensor.row is not None:
        trail = came_from(around.rows, tensor.row, dim, around.storages)
        yield from trail.steps
        yield from _before(trail, around.root)


def _before(trail: Trail, root: nn.Module | None) -> Iterator[Step]:
    """Yield what set a size before the rows know of it: constructors, attributes of the module."""
    found: tuple[Step, ...] = ()
    if root is not None and trail.setting is not None:
        found = set_by(root, trail.module_path or "", trail.setting, trail.value)
    elif trail.parameter is not None:
        found = _built(root, trail.parameter, None, trail.dim, trail.value)
    if found or trail.setting is not None or not trail.steps:
        yield from found
    else:
        yield from size_on(trail.steps[-1].line or "", trail.value, root, trail.path)


def _built(
    root: nn.Module | None, path: str, setting: str | None, dim: int, value: int
) -> tuple[Step, ...]:
    """Return the lines that set a size of a parameter, by the argument of its module if known."""
    if root is None:
        return ()
    if setting is not None:
        return set_by(root, path.rpartition(".")[0], setting, value)
    return parameter_set_by(root, path, dim, value)
