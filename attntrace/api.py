"""The whole program: a spec becomes a block, the block runs once, the run becomes a trace.

Rooms are entered where they are needed: `--help` must wait neither for torch nor for pydantic.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from attntrace import record
from attntrace.analysis.estimate import least_nbytes
from attntrace.analysis.memory import MemoryReport, memory_report
from attntrace.errors import ForwardError, Problem, SettingsError, TooLargeError

if TYPE_CHECKING:
    from torch import nn

    from attntrace.capture import Asked
    from attntrace.spec import Spec

FITS_ANYWHERE = 2**26
"""Bytes that a process which could import torch has left."""
NOTHING_TO_MEASURE = "--measure needs a run that allocates: device cpu or cuda"


class Trace:
    """One pass through a module: its tensors, modules, memory and output.

    The facts are written down when they are first looked at. `print(trace)` shows the table, a
    notebook shows it as HTML.
    """

    def __init__(self, facts: Callable[[], record.Trace], output: Any = None) -> None:
        self._write: Callable[[], record.Trace] | None = facts
        self.output = output
        """What the module returned; None where its forward raised, or read back from JSON."""

    @cached_property
    def facts(self) -> record.Trace:
        """Everything that was seen, as frozen records without tensors."""
        assert self._write is not None, "a trace that was copied has its facts"
        facts, self._write = self._write(), None
        return facts

    @property
    def tensors(self) -> tuple[record.TensorRecord, ...]:
        """The rows, in execution order: inputs, and what each Python-level call returned."""
        return self.facts.tensors

    @property
    def ops(self) -> tuple[record.OpRecord, ...]:
        """What the dispatcher ran, in order."""
        return self.facts.ops

    @property
    def modules(self) -> tuple[record.ModuleRecord, ...]:
        """The modules, in the order of being called."""
        return self.facts.modules

    @property
    def failure(self) -> record.Failure | None:
        """Where the forward stopped, None where it did not."""
        return self.facts.failure

    @cached_property
    def memory(self) -> MemoryReport:
        """Bytes of parameters, inputs, new storages and copies; the peak; with grad, of training."""
        return memory_report(self.facts)

    def __getitem__(self, name: str) -> record.TensorRecord:
        """Return the last row of that name; KeyError with the names that there are."""
        return self.facts[name]

    def __contains__(self, name: object) -> bool:
        return any(row.name == name for row in self.tensors)

    def __iter__(self) -> Iterator[record.TensorRecord]:
        return iter(self.tensors)

    def __len__(self) -> int:
        return len(self.tensors)

    def __repr__(self) -> str:
        return f"<Trace of {self.facts.subject}: {len(self)} tensors, {len(self.ops)} ops>"

    def __getstate__(self) -> dict[str, Any]:
        """Copies and pickles hold the facts, not the output."""
        return {"facts": self.facts, "output": None, "_write": None}

    def __str__(self) -> str:
        from attntrace.render import View, to_text

        return to_text(self.facts, View())

    def _repr_html_(self) -> str:
        return self.to_html()

    def to_json(self) -> str:
        """Return the full record, as `docs/trace-json.md` describes it."""
        from attntrace.render import to_json

        return to_json(self.facts)

    def to_markdown(self) -> str:
        """Return the table in Markdown."""
        from attntrace.render import View, to_markdown

        return to_markdown(self.facts, View())

    def to_csv(self) -> str:
        """Return the rows as CSV, bytes as plain numbers."""
        from attntrace.render import View, to_csv

        return to_csv(self.facts, View())

    def to_html(self) -> str:
        """Return the table as a fragment of HTML."""
        from attntrace.render import View, to_html

        return to_html(self.facts, View())

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read back what `to_json` wrote, without the output. Raises TraceFileError."""
        facts = record.Trace.from_json(text)
        return cls(lambda: facts)


def trace(model: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Trace:
    """Call `model(*args, **kwargs)` once, as it stands, and return every tensor that it touched.

    `model` is any module or callable. Its mode, the grad mode and the random state are the
    caller's, and are not changed.

    Raises:
        ForwardError: if the call raised; `.trace` holds every tensor up to there, and the
            original error is the cause.

    """
    return _observe(model, args, kwargs, lambda facts: facts)


def load(file: str | Path | None = None, **settings: Any) -> Spec:
    """Return the spec of a YAML file or a preset, of settings such as `heads=4`, or of both.

    A setting of another project's config that means nothing here is left out, with a warning.

    Raises:
        SettingsError: with every problem at once.

    """
    from attntrace.spec import load as load_spec

    loaded = load_spec(file, **settings)
    for note in loaded.notes:
        warnings.warn(note, stacklevel=2)
    return loaded.spec


def build(spec: Spec | Mapping[str, Any] | str | Path) -> nn.Module:
    """Return the block that a spec describes, with seeded weights on the spec's device.

    Raises:
        SettingsError: a mapping that is no spec, or a device that is not there.
        BuildError: torch could not build it.

    """
    from attntrace import blocks

    spec = _ready(spec)
    return blocks.build(spec)


def run(spec: Spec | Mapping[str, Any] | str | Path, *, measure: bool = False) -> Trace:
    """Build the block of a spec, of settings or of a YAML file, run it once, and return the trace.

    The input is random and seeded. With `measure`, what each kernel allocates for itself is
    measured, too, which takes several times as long.

    Raises:
        SettingsError: a mapping that is no spec, a device that is not there, or one that allocates
            nothing where that is to be measured.
        TooLargeError: the device has less memory than the run is sure to need.
        BuildError, ForwardError: torch could not build or run it.

    """
    import torch

    from attntrace import blocks
    from attntrace.capture import Asked, Training, meter_for

    spec = _ready(spec)
    if measure and spec.run.device == "meta":
        raise SettingsError([Problem("run.device", NOTHING_TO_MEASURE)])
    meter = meter_for(spec.run.device) if measure else None
    _refuse_what_cannot_fit(spec)
    block, inputs = blocks.build(spec), blocks.make_inputs(spec)
    training = Training(blocks.optimizer(spec, block)) if spec.run.grad else None
    asked = Asked(training, meter, spec.run.target)
    with torch.set_grad_enabled(spec.run.grad):
        return _observe(block, (), inputs, lambda facts: _of_spec(facts, spec), asked)


def _observe(
    model: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    finish: Callable[[record.Trace], record.Trace],
    asked: Asked | None = None,
) -> Trace:
    from attntrace.capture import Asked, observe

    seen = observe(model, args, kwargs, asked or Asked())
    notes = seen.notes  # not the output, nor the model
    result = Trace(lambda: finish(notes.facts()), seen.output)
    error = seen.error
    if error is None:
        return result
    try:
        raise ForwardError(result) from error
    finally:  # the error's traceback leads to this frame
        del seen, error


def _ready(spec: Spec | Mapping[str, Any] | str | Path) -> Spec:
    from attntrace.capture import missing_device
    from attntrace.spec import Spec

    if isinstance(spec, (str, Path)):
        spec = load(spec)
    elif not isinstance(spec, Spec):
        spec = load(None, **spec)
    missing = missing_device(spec.run.device)
    if missing:
        raise SettingsError([Problem("run.device", missing)])
    return spec


def _refuse_what_cannot_fit(spec: Spec) -> None:
    need = least_nbytes(spec)
    if need < FITS_ANYWHERE:
        return
    from attntrace.capture import available_nbytes
    from attntrace.render.units import nbytes_text

    left = available_nbytes(spec.run.device)
    if left is not None and need > left:
        raise TooLargeError(
            f"this run holds at least {nbytes_text(need)} at once, and {spec.run.device} has "
            f"{nbytes_text(left)} left; use --device meta, which allocates nothing, or make "
            "batch or tokens smaller"
        )


def _of_spec(facts: record.Trace, spec: Spec) -> record.Trace:
    environment = replace(facts.environment, dtype=spec.run.dtype)  # ids are whole numbers
    settings = spec.model_dump(mode="json")
    return replace(facts, environment=environment, spec=settings, sizes=spec.sizes)
