"""One pass through a module: what was seen of it, in the hands of a user."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self, overload

from attntrace import record
from attntrace.analysis.memory import MemoryReport, memory_report
from attntrace.api.shown import view_of
from attntrace.errors import ForwardError

if TYPE_CHECKING:
    from pandas import DataFrame
    from rich.console import Console, ConsoleOptions, RenderResult

    from attntrace.api.axes import Naming
    from attntrace.capture import Asked, Observed

Finish = Callable[[record.Trace], record.Trace]


@dataclass(frozen=True, slots=True)
class Then:
    """What is done with a run that is over."""

    finish: Finish = lambda facts: facts
    """Completes the facts, where they are looked at."""
    naming: Naming | None = None
    """Finds the axes of the rows, at once."""


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
    def diagnosis(self) -> record.Diagnosis | None:
        """Where the forward stopped, None where it did not."""
        return self.facts.diagnosis

    @property
    def warnings(self) -> tuple[record.Trap, ...]:
        """The calls that ran and hardly do what was meant, in order; () for a clean model."""
        return self.facts.warnings

    def panel(self) -> str:
        """Return what is said of a forward that failed, as the table ends with it; else ""."""
        from attntrace.render import finding_lines

        return "\n".join(finding_lines(self.diagnosis)) if self.diagnosis else ""

    @cached_property
    def memory(self) -> MemoryReport:
        """Bytes of parameters, inputs, new storages and copies; the peak; with grad, of training."""
        return memory_report(self.facts)

    @overload
    def __getitem__(self, which: str | int) -> record.TensorRecord: ...
    @overload
    def __getitem__(self, which: slice) -> tuple[record.TensorRecord, ...]: ...
    def __getitem__(
        self, which: str | int | slice
    ) -> record.TensorRecord | tuple[record.TensorRecord, ...]:
        """Return the last row of a name, the row of a number, or the rows of a slice.

        Raises:
            KeyError: no row has that name; the message has those that come near.
            IndexError: there are not so many rows.

        """
        if isinstance(which, str):
            return self.facts[which]
        try:
            return self.tensors[which]
        except IndexError:
            raise IndexError(f"no row {which}; there are {len(self)}") from None

    def find(
        self, where: Callable[[record.TensorRecord], bool] | None = None, /, **wanted: Any
    ) -> tuple[record.TensorRecord, ...]:
        """Return the rows whose fields are what is wanted, in order.

        `find(op="softmax")`, `find(path="*.attn*", dtype="float32")`, `find(shape=(None, 4, ...))`.
        In a text `*` stands for any letters and `?` for one, in a shape None for any size and `...`
        for any number of sizes. `where` is any question about a row: `find(lambda row:
        row.allocated_nbytes > 2**20)`.

        Raises:
            TypeError: a row has no such field.

        """
        from attntrace.api.find import find

        return tuple(find(self.tensors, where, wanted))

    def assert_matches(self, expect: Mapping[str, Any] | None = None, /, **more: Any) -> None:
        """Raise AssertionError with all that is not as expected, in the words of a YAML's `expect:`.

        `assert_matches(q="batch heads tokens 16", peak_memory="<= 6 MiB")`. Raises SettingsError
        where what is expected cannot be read.
        """
        from attntrace.api.matching import assert_matches

        __tracebackhide__ = True
        assert_matches(self.facts, expect or {}, more)

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
        return self.to_text()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from attntrace.render import View
        from attntrace.render.terminal import report

        yield from report(self.facts, View(), console, options)

    def _repr_html_(self) -> str:
        from attntrace.render.html import STYLE

        return STYLE + self.to_html()

    def to_json(self) -> str:
        """Return the full record, as `docs/trace-json.md` describes it."""
        from attntrace.render import to_json

        return to_json(self.facts)

    def to_text(self, **view: Any) -> str:
        """Return the table as plain text.

        The options of this and of the other tables are those of `render.View`: `fold=False` shows
        every layer, `depth`, `only` and `min_nbytes` hide rows, `columns` has the columns.

        Raises:
            TypeError: there is no such option.
            ValueError: there is no such column or level.

        """
        from attntrace.render import to_text

        return to_text(self.facts, view_of(view))

    def to_markdown(self, **view: Any) -> str:
        """Return the table in Markdown; options and errors as of `to_text`."""
        from attntrace.render import to_markdown

        return to_markdown(self.facts, view_of(view))

    def to_csv(self, **view: Any) -> str:
        """Return the rows as CSV, bytes as plain numbers; options and errors as of `to_text`."""
        from attntrace.render import to_csv

        return to_csv(self.facts, view_of(view))

    def to_html(self, **view: Any) -> str:
        """Return the table as a fragment of HTML; options and errors as of `to_text`."""
        from attntrace.render import to_html

        return to_html(self.facts, view_of(view))

    def to_pandas(self) -> DataFrame:
        """Return a DataFrame: a line a row, a column a field of `TensorRecord`.

        Raises:
            ImportError: pandas is not installed.

        """
        from attntrace.api.frame import frame_of

        return frame_of(self.tensors)

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read back what `to_json` wrote, without the output. Raises TraceFileError."""
        facts = record.Trace.from_json(text)
        return cls(lambda: facts)


def trace(
    model: Callable[..., Any],
    /,
    *args: Any,
    axes: bool | Mapping[str, Sequence[str]] = False,
    **kwargs: Any,
) -> Trace:
    """Call `model(*args, **kwargs)` once, as it stands, and return every tensor that it touched.

    `model` is any module or callable. Its mode, the grad mode and the random state are the
    caller's, and are not changed.

    With `axes`, rows have axes: `{"x": ("batch", "tokens", "dim")}` says what the dimensions of an
    input are called, `True` leaves that to the forward's own `B, T, C = x.shape`, else they are
    `x.0`, `x.1`. A copy of the model on meta, which allocates nothing, then runs with inputs of
    other sizes.

    Raises:
        ForwardError: if the call raised; `.trace` holds every tensor up to there, and the
            original error is the cause.

    """
    then = Then()
    if axes is not False:
        from attntrace.api.axes import call_naming

        named = (
            {}
            if axes is True
            else {
                name: tuple(words.split() if isinstance(words, str) else words)
                for name, words in axes.items()
            }
        )
        then = Then(naming=call_naming((model, args, kwargs), named))
    return observed(model, args, kwargs, then)


def observed(
    model: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    then: Then,
    asked: Asked | None = None,
) -> Trace:
    """Call `model` once, and find the axes at once where that is asked for."""
    from attntrace.capture import Asked, observe

    seen = observe(model, args, kwargs, asked or Asked())
    notes = seen.notes  # not the output, nor the model
    finish = then.finish
    if then.naming is not None:
        finish = _named(seen, model, then.naming, finish)
    result = Trace(lambda: finish(notes.facts()), seen.output)
    error = seen.error
    if error is None:
        return result
    try:
        raise ForwardError(result) from error
    finally:  # the error's traceback leads to this frame
        del seen, error


def _named(seen: Observed, model: Callable[..., Any], naming: Naming, finish: Finish) -> Finish:
    """Return what completes the facts and names the axes of their rows."""
    from attntrace.analysis.axes import with_axes
    from attntrace.analysis.probing import Sketch
    from attntrace.capture import parameters_of, strokes_of

    rows = [row for row in seen.notes.ledger.rows if row.phase == "forward"]
    declared = tuple([None if row.tap is None else row.tap.axes for row in rows])
    failed = seen.error is not None
    derived = naming(Sketch(strokes_of(rows), parameters_of(model), failed, declared))
    return lambda facts: with_axes(finish(facts), derived)
