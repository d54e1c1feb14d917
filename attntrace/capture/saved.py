"""What autograd keeps for backward, read off the graph after the forward."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import Tensor

from attntrace.capture.fence import saved_tensors
from attntrace.capture.ledger import ROWS
from attntrace.capture.storages import Storages


def mark_saved(outputs: Iterable[Tensor], storages: Storages, before: Iterable[Any]) -> int:
    """Mark each storage as kept for backward or not; leave all as None if there is no graph.

    Returns how many saved tensors the author's own hooks have packed: where they are, they know.

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
        packed += sum(tensor is None for tensor in tensors)
        for tensor in tensors:
            life = None if tensor is None else storages.find(tensor)
            if life is not None:
                kept.add(life.id)
            elif tensor is not None:
                _adopt_number(tensor, node, storages)
    for life in storages.lives:
        life.saved = life.id in kept
    return packed


def _adopt_number(tensor: Tensor, node: Any, storages: Storages) -> None:
    """Take in a Python number that torch wrapped in a tensor of its own for an op, and kept.

    No mode sees it being made; it is as old as the row that its node made. Hooks for saved tensors
    do not count it either.
    """
    rows = node.metadata.get(ROWS, {})
    born = next((row.life.born for row in rows.values() if row.life is not None), None)
    if born is not None and tensor.dim() == 0:
        life = storages.adopt(tensor, "run")
        if life is not None:
            life.born = born
