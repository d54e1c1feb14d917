"""What a reader of the figures must know: each sentence once, with the places it is true of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from attntrace.analysis.kernel import keeps_scores
from attntrace.analysis.memory import CUDA_BLOCK
from attntrace.record import AttentionRecord, Trace

ONES = "backward starts from ones as large as the output: a loss would need more"
BLOCKS = f"the peaks are sums of blocks of {CUDA_BLOCK} bytes, as CUDA's allocator hands out memory"
_NAMED = 3
"""Places that a sentence names; the others are counted."""


def notes(trace: Trace) -> list[str]:
    """Return all notes: on kernels, on modules, on memory, and those of the run itself."""
    of_modules = ((call.path or call.type, call.note) for call in trace.modules if call.note)
    return [*attention_notes(trace), *_placed(of_modules), *_of_memory(trace), *trace.notes]


def attention_notes(trace: Trace) -> list[str]:
    """Return what is to be known of the attention kernels that ran, and of those that did not."""
    calls = trace.attention
    return _placed((call.path or call.call, said) for call in calls for said in _of_attention(call))


def _of_attention(call: AttentionRecord) -> Iterator[str]:
    if call.refused:
        yield f"{call.kernel} ran; {'; '.join(call.refused)}"
    if call.unobserved is not None:
        yield f"{call.unobserved} runs when nobody watches; watched, {call.kernel} did"
    if keeps_scores(call.kernel):
        yield f"{call.kernel} holds q, k, v and all scores in scratch of its own"
    elif call.scores is not None:
        yield f"the scores were never a tensor: {call.kernel} computes them piece by piece inside"


def _of_memory(trace: Trace) -> Iterator[str]:
    where = trace.environment
    if any(row.kind == "gradient" and row.op == "ones_like" for row in trace.tensors):
        yield ONES
    if "cuda" in (where.as_device, where.device.partition(":")[0]):
        yield BLOCKS


def _placed(said: Iterable[tuple[str, str]]) -> list[str]:
    """Return each sentence behind its places, the first few by name."""
    found: dict[str, dict[str, None]] = {}
    for place, sentence in said:
        found.setdefault(sentence, {})[place] = None
    return [f"{_named(list(places))}: {sentence}" for sentence, places in found.items()]


def _named(places: list[str]) -> str:
    more = f" and {len(places) - _NAMED} more" if len(places) > _NAMED else ""
    return ", ".join(places[:_NAMED]) + more
