"""Calls that run and hardly do what was meant: one file an idea, each `Flow -> Iterator[Trap]`.

Nothing is said that the rows do not show: a warning that is wrong costs more than one that is not
given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from attntrace.analysis.traps.batch import batch_attention
from attntrace.analysis.traps.between import heads_attention
from attntrace.analysis.traps.flow import Flow
from attntrace.analysis.traps.heads import heads_view, tokens_view
from attntrace.analysis.traps.lengths import causal_offset, kv_lengths
from attntrace.analysis.traps.masks import mask_fill, mask_inverted
from attntrace.analysis.traps.outer import outer_broadcast
from attntrace.analysis.traps.single import one_key
from attntrace.analysis.traps.softmax import softmax_axis
from attntrace.record import Trace, Trap

FINDERS: tuple[Callable[[Flow], Iterator[Trap]], ...] = (
    batch_attention,
    softmax_axis,
    outer_broadcast,
    causal_offset,
    kv_lengths,
    one_key,
    heads_attention,
    heads_view,
    tokens_view,
    mask_fill,
    mask_inverted,
)


def traps_of(trace: Trace) -> tuple[Trap, ...]:
    """Return the warnings that a run deserves, in order of the rows; of one line each once."""
    flow = Flow(trace)
    found = [trap for find in FINDERS for trap in find(flow)]
    first: dict[object, Trap] = {}
    for trap in found:
        place = trap.source or (trap.path, trap.op)
        first.setdefault((trap.name, place, trap.line), trap)
    return tuple(sorted(first.values(), key=lambda trap: trap.row or 0))
