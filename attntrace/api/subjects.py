"""From a subject, code of the user's own, to a trace."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from attntrace import record
from attntrace.api.traced import Then, Trace, observed
from attntrace.errors import TooLargeError

if TYPE_CHECKING:
    from attntrace.capture import Meter
    from attntrace.spec import Subject

_WHOLE = ("int", "uint", "bool")


def run_subject(subject: Subject, meter: Meter | None, axes: bool = False) -> Trace:
    """Build a module or take a function of the user's own, run it once, and return the trace.

    Raises:
        SettingsError: no such code, or arguments that do not fit it.
        TooLargeError: the device has less memory than the inputs take.
        BuildError, ForwardError: the user's code could not be built or run.

    """
    import torch
    from torch import nn

    from attntrace import blocks, subjects
    from attntrace.api.axes import code_naming
    from attntrace.capture import Asked, Training

    run = subject.run
    _refuse_what_cannot_fit(subject)
    with subjects.opened(subject) as ready, torch.set_grad_enabled(run.grad):
        module = ready.call if isinstance(ready.call, nn.Module) else nn.Module()
        training = Training(blocks.optimizer(subject, module)) if run.grad else None
        words, dtype = ready.axes, ready.dtype
        naming = code_naming(ready.resizable) if axes else None
        with subjects.blamed(f"{subject.target} could not be run", (SystemExit,)):
            return observed(
                ready.call,
                ready.args,
                ready.kwargs,
                Then(lambda facts: _of_subject(facts, subject, words, dtype), naming),
                Asked(training, meter, run.as_device),
            )


def _of_subject(
    facts: record.Trace, subject: Subject, axes: Iterable[tuple[str, ...] | None], dtype: str
) -> record.Trace:
    inputs = iter(axes)
    rows = tuple(
        replace(row, axes=next(inputs, None)) if row.kind == "input" else row
        for row in facts.tensors
    )
    seen = facts.environment.dtype or ""
    if not seen or seen.startswith(_WHOLE):  # ids and masks say nothing of the numbers
        environment = replace(facts.environment, dtype=dtype)
    else:
        environment = facts.environment
    return replace(
        facts,
        tensors=rows,
        environment=environment,
        spec=subject.settings(),
        sizes=dict(subject.sizes),
        warnings=unallowed(facts, subject.run.allow),
    )


def unallowed(facts: record.Trace, allow: Iterable[str]) -> tuple[record.Trap, ...]:
    """Return the warnings but for those that the settings allow."""
    names = frozenset(allow)
    return tuple(trap for trap in facts.warnings if trap.name not in names)


def _refuse_what_cannot_fit(subject: Subject) -> None:
    from attntrace.capture import available_nbytes
    from attntrace.render.units import nbytes_text
    from attntrace.subjects import input_nbytes

    need, left = input_nbytes(subject), available_nbytes(subject.run.device)
    if left is not None and need > left:
        raise TooLargeError(
            f"the inputs take {nbytes_text(need)}, and {subject.run.device} has "
            f"{nbytes_text(left)} left; use --device meta, which allocates nothing, or make them "
            "smaller"
        )
