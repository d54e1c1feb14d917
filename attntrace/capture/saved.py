"""What autograd keeps for backward, read off the graph after the forward."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import Tensor

from attntrace.capture.fence import checkpoint_of, kept_by, saved_tensors
from attntrace.capture.storages import Storages
from attntrace.capture.structure import tensors_in

ROWS = "attntrace rows"
"""Where a node of the autograd graph holds the rows that it made, by number of output."""


def mark_saved(outputs: Iterable[Tensor], storages: Storages, before: Iterable[Any]) -> int:
    """Mark each storage as kept for backward or not; leave all as None if there is no graph.

    Returns how many saved tensors the author's own hooks have packed: where they are, they know.
    Of a checkpoint that is counted which it keeps in order to run again, but for the random state
    of `preserve_rng_state`, which comes from no op.

    Only storages that the run has met count: a scalar that torch wrapped in a tensor does not. The
    nodes of `before` made the inputs; what lies above them is the caller's.
    """
    todo: list[Any] = [t.grad_fn for t in outputs if t.grad_fn is not None]
    if not todo:
        return 0
    packed = 0
    seen: set[Any] = set(before)
    kept: set[int] = set()
    while todo:
        node = todo.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        todo.extend(above for above, _ in node.next_functions)
        tensors = saved_tensors(node)
        if tensors is None:
            return 0
        hidden = sum(tensor is None for tensor in tensors)
        frame = checkpoint_of(node) if hidden else None
        packed += hidden if frame is None else 0
        if frame is not None and frame not in seen:
            seen.add(frame)
            tensors += tensors_in(kept_by(frame))
        for tensor in tensors:
            life = None if tensor is None else storages.find(tensor)
            if life is not None:
                kept.add(life.id)
        adopt_numbers(node, storages)
    for life in storages.lives:
        life.saved = life.id in kept
    return packed


def adopt_numbers(node: Any, storages: Storages) -> None:
    """Take in the Python numbers that torch wrapped in tensors of its own for an op, and kept.

    No mode sees one being made; it is as old as the row that its node made. Hooks for saved tensors
    do not count it either.
    """
    rows = node.metadata.get(ROWS, {})
    born = next((row.life.born for row in rows.values() if row.life is not None), None)
    for tensor in saved_tensors(node) or () if born is not None else ():
        if tensor is not None and tensor.dim() == 0 and storages.find(tensor) is None:
            life = storages.adopt(tensor, "run")
            if life is not None:
                life.born = born
