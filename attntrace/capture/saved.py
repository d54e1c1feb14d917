"""What autograd keeps for backward, read off the graph after the forward."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from torch import Tensor

from attntrace.capture.fence import checkpoint_of, kept_by, node_of, saved_tensors
from attntrace.capture.storages import Storages
from attntrace.capture.structure import tensors_in

if TYPE_CHECKING:
    from attntrace.capture.drafts import Row

    Rows = dict[int, Row]

ROWS = "attntrace rows"
"""Where a node of the autograd graph holds the rows that it made, by number of output."""


def saved_below(
    outputs: Iterable[Tensor], storages: Storages, before: Iterable[Any]
) -> tuple[set[int], int] | None:
    """Return the ids of the storages that autograd keeps for backward; None if there is no graph.

    With it how many saved tensors the author's own hooks have packed: where they are, they know.
    Of a checkpoint that is counted which it keeps in order to run again, but for the random state
    of `preserve_rng_state`, which comes from no op.

    Only storages that the run has met count: a scalar that torch wrapped in a tensor does not. The
    nodes of `before` made the inputs; what lies above them is the caller's.
    """
    outputs = [tensor for tensor in outputs if node_of(tensor) is not None]
    if not outputs:
        return None
    packed = 0
    seen: set[Any] = set()
    kept: set[int] = set()
    for node, rows in graph(outputs, before):
        tensors = saved_tensors(node)
        if tensors is None:
            return None
        hidden = sum(tensor is None for tensor in tensors)
        frame = checkpoint_of(node) if hidden else None
        packed += hidden if frame is None else 0
        if frame is not None and frame not in seen:
            seen.add(frame)
            tensors += tensors_in(kept_by(frame))
        for tensor in tensors:
            life = None if tensor is None else storages.find(tensor)
            if life is not None and not life.is_number:
                kept.add(life.id)
        adopt_numbers(node, storages, rows)
    return kept, packed


def unmark(outputs: Iterable[Tensor]) -> None:
    """Take every row off the graph below these tensors."""
    for node, _ in graph(tensor for tensor in outputs if node_of(tensor) is not None):
        node.metadata.pop(ROWS, None)


def graph(outputs: Iterable[Tensor], before: Iterable[Any] = ()) -> Iterator[tuple[Any, Rows]]:
    """Yield each node below the outputs once, but for `before` and what is below that.

    With it the rows that it made; where it ran inside a call, those that the call returned.
    """
    todo: list[tuple[Any, Rows]] = [(node_of(tensor), {}) for tensor in outputs]
    seen = {None, *before}
    while todo:
        node, rows = todo.pop()
        if node not in seen:
            seen.add(node)
            rows = node.metadata.get(ROWS) or rows
            yield node, rows
            todo.extend((above, rows) for above, _ in node.next_functions)


def adopt_numbers(node: Any, storages: Storages, born: int | Rows) -> None:
    """Take in the Python numbers that torch wrapped in tensors of its own for an op, and kept.

    No mode sees one being made. `born` says when that was, or which rows came of the call: then it
    is as old as what the op made. Hooks for saved tensors do not count it either.
    """
    for tensor in saved_tensors(node) or ():
        if tensor is not None and tensor.dim() == 0 and storages.find(tensor) is None:
            when = born if isinstance(born, int) else _born(node, born, storages)
            life = storages.adopt(tensor, "run") if when is not None else None
            if life is not None:
                life.born = when


def _born(node: Any, rows: Rows, storages: Storages) -> int | None:
    name = node.name().partition("Backward")[0].lower()
    indices = [row.index for row in rows.values()]
    made = (life for op in storages.ops if op.row in indices for life in op.made(name))
    return next((life.born for life in made), None)
