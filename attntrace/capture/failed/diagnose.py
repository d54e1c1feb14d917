"""From a call that raised to its diagnosis. It never raises, and never hides what was raised."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from attntrace.analysis.diagnosis import Explained, FailedCall, Given
from attntrace.capture.failed.origin.trail import Around, origin
from attntrace.capture.failed.stack.frames import Place
from attntrace.capture.failed.trial import Trial
from attntrace.errors import said
from attntrace.record import Diagnosis, Fix, Operand, Step, TensorRecord

MOST_OPERANDS = 8


@dataclass(frozen=True, slots=True)
class Candidate:
    """A call that may be what failed, as one witness has it."""

    call: FailedCall
    function: Callable[..., Any] | None = None


@dataclass(frozen=True, slots=True)
class _Known:
    """What the explainers, the trial and the lineage say of a call."""

    rule: str | None = None
    origin: tuple[Step, ...] = ()
    fixes: tuple[Fix, ...] = ()


def diagnosis(
    error: BaseException, candidates: Iterable[Candidate], place: Place, around: Around
) -> Diagnosis:
    """Return where and why a forward stopped: the first candidate that somebody can explain.

    No more candidates are asked for than that takes; the first is shown where nobody can.
    """
    asked = list[FailedCall]()
    known = None
    for one in candidates:
        call = replace(one.call, error=type(error).__name__, message=said(error))
        known = _known(Candidate(call, one.function), around)
        asked.append(call)
        if known is not None:
            break
    if known is None:  # then the first that says which call it was
        asked.sort(key=lambda call: not (call.op and call.tensors()))
        asked.append(FailedCall(op=""))
    call = asked[0 if known is None else -1]
    known = known or _Known()
    return Diagnosis(
        error=type(error).__name__,
        message=said(error),
        op=call.op or None,
        path=around.path,
        source=place.source,
        line=place.line,
        mark=place.mark,
        called_from=place.called_from,
        operands=_operands(call, around.rows),
        rule=known.rule,
        origin=known.origin,
        fixes=known.fixes,
    )


def _known(one: Candidate, around: Around) -> _Known | None:
    """Return what is known of a call; None where no explainer knows it."""
    from attntrace.analysis.diagnosis.families import explained  # what does not fail, needs none

    with suppress(Exception):
        found = explained(one.call)
        if found is not None:
            return _Known(found.rule, _origin(one.call, found, around), _fixes(found, one))
    return None


def _origin(call: FailedCall, found: Explained, around: Around) -> tuple[Step, ...]:
    with suppress(Exception):
        return origin(call, found.culprits, around)
    return ()


def _fixes(found: Explained, one: Candidate) -> tuple[Fix, ...]:
    with suppress(Exception):
        return Trial.of(one.call, one.function).fixes(found.proposals)
    return ()


def _operands(call: FailedCall, rows: Sequence[TensorRecord]) -> tuple[Operand, ...]:
    """Return the tensors of a call, each once."""
    found: dict[tuple[Any, ...], Operand] = {}
    for _, tensor in call.tensors():
        one = _operand(tensor, rows)
        found.setdefault((one.name, one.shape, one.row), one)
    return tuple(found.values())[:MOST_OPERANDS]


def _operand(tensor: Given, rows: Sequence[TensorRecord]) -> Operand:
    row = rows[tensor.row] if tensor.row is not None and tensor.row < len(rows) else None
    holds = None
    if tensor.least is not None:
        same = tensor.least == tensor.most
        holds = f"{tensor.least}" if same else f"{tensor.least} to {tensor.most}"
    return Operand(
        name=tensor.name,
        shape=tensor.shape,
        dtype=tensor.dtype,
        device=tensor.device,
        row=tensor.row,
        source=row.source if row else None,
        holds=holds,
    )
