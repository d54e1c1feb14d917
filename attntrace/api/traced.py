"""One pass through a module: what was seen of it, in the hands of a user."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from attntrace import record
from attntrace.analysis.memory import MemoryReport, memory_report
from attntrace.errors import ForwardError

if TYPE_CHECKING:
    from attntrace.capture import Asked


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
    return observed(model, args, kwargs, lambda facts: facts)


def observed(
    model: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    finish: Callable[[record.Trace], record.Trace],
    asked: Asked | None = None,
) -> Trace:
    """Call `model` once; `finish` completes the facts, where they are looked at."""
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
