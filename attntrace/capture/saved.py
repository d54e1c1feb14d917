"""What autograd keeps for backward, read off the graph after the forward."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import Tensor

from attntrace.capture.fence import saved_tensors
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
        lives = (storages.find(tensor) for tensor in tensors if tensor is not None)
        kept.update(life.id for life in lives if life is not None)
    for life in storages.lives:
        life.saved = life.id in kept
    return packed
