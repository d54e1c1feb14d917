"""One pass over a running module: put the witnesses in place, run it once, write down the facts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from attntrace.capture.compiled import compiled_notes
from attntrace.capture.environment import environment
from attntrace.capture.inputs import named_inputs
from attntrace.capture.measure import Meter
from attntrace.capture.process import seldom_whole
from attntrace.capture.recording import Notes, Recording
from attntrace.capture.structure import tensors_in
from attntrace.capture.training import Training
from attntrace.record import Device


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of a pass besides its forward."""

    training: Training | None = None
    """Follows it backward, too."""
    meter: Meter | None = None
    """Measures the scratch of each op."""
    as_device: Device | None = None
    """What a run on meta speaks for, a CPU if None."""


FORWARD = Asked()


@dataclass(frozen=True, slots=True)
class Observed:
    """One pass that is over: `output` is None where the forward raised `error`."""

    notes: Notes
    output: Any
    error: Exception | None


@seldom_whole()
def observe(
    subject: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    asked: Asked = FORWARD,
) -> Observed:
    """Call `subject(*args, **kwargs)` once, and note every tensor that the call touched.

    `subject` is a module or any callable. Nothing of the observation is left behind: no hook, no
    mode, no change to flags, random state or autograd graph; nor if it raises. An error of a
    witness itself is raised as it is, and so is the AttntraceError of a thread that is watched
    already.
    """
    recording = Recording(asked.meter)
    recording.remarks += compiled_notes((subject,))
    owner = subject if isinstance(subject, nn.Module) else getattr(subject, "__self__", None)
    if isinstance(owner, nn.Module):  # `model` of `model.generate`
        recording.modules.adopt(owner)
    if asked.training is not None:
        asked.training.adopt(recording.ledger, recording.modules.parameters)
        recording.ledger.marks_graph = True
    made_before = recording.enter_inputs(named_inputs(subject, args, kwargs))
    where = environment(owner, recording.ledger.rows, asked.as_device)
    attached = recording.attached(where.as_device, where.grad)
    output, error = None, None
    with attached:
        try:
            output = subject(*args, **kwargs)
            _follow(recording, output, made_before if where.grad else None, asked.training)
        except Exception as raised:
            error = raised
    try:
        recording.ledger.storages.close()
        bug = recording.stopped.bug_behind(error)
        if bug is not None:
            raise bug
        outputs = recording.ledger.rows_of(list(tensors_in(output)))
        notes = recording.notes(name_of(subject), where, outputs, error)
        return Observed(notes, output, error)
    finally:  # the error's traceback has this frame, so nothing here may lead back to the error
        recording.stopped.error = None
        del recording, error, attached


def _follow(
    recording: Recording, output: Any, made_before: list[Any] | None, training: Training | None
) -> None:
    """Note what came out, with grad what autograd keeps, and run backward where that is asked."""
    tensors = list(tensors_in(output))
    recording.enter_outputs(tensors)
    if made_before is not None:
        recording.enter_saved(tensors, made_before)
    del tensors
    if training is not None:
        note = training.follow(output, recording.ledger, recording.calls)
        recording.remarks += [note] if note else []


def name_of(subject: Callable[..., Any]) -> str:
    """Return what a subject is called: a function by its name, anything else by its type."""
    named = not isinstance(subject, nn.Module) and hasattr(subject, "__name__")
    return str(subject.__name__) if named else type(subject).__name__
