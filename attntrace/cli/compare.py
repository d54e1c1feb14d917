"""`attntrace compare`: one block run many ways, side by side."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import redirect_stdout
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import typer

from attntrace.cli import options, table
from attntrace.cli.exits import exit_codes
from attntrace.cli.output import deliver
from attntrace.cli.progress import progress
from attntrace.cli.request import SETTINGS, Given, with_settings
from attntrace.cli.subject import FLAGS, loaded_from
from attntrace.errors import AttntraceError, SettingsError

if TYPE_CHECKING:
    from rich.table import Table

    from attntrace.render.compare import Compared, Variant
    from attntrace.spec import Loaded, LoadedSubject

_TRAINED = {"run": {"grad": True, "mode": "train"}}


_LISTS = ("sets", "init", "sizes")
"""The parameters that hold several texts, each with several values."""


class Choice(NamedTuple):
    """One value of a flag, or of what a `--set`, an `--init` or a `--size` names."""

    parameter: str
    """The command's, which holds the flag, or a list of such texts."""
    value: str | bool
    """What the user typed: the value of a flag, `name=value` of the others."""

    @property
    def label(self) -> str:
        """What the value is called beside others."""
        from attntrace.spec.load import flag_of

        if self.parameter in _LISTS:
            return str(self.value).replace("=", " ", 1)
        return f"{flag_of(SETTINGS[self.parameter].path)} {self.value}"


class Way(NamedTuple):
    """One way to run a block, called by what sets it apart from the others."""

    label: str
    given: Given
    """What a command has where each flag has one value."""


@with_settings(files=options.Files)
def compare_command(
    given: Given,
    format: options.Format = "table",
    output: options.Output = None,
    debug: options.Debug = False,
) -> None:
    """Run a block many ways, forward and backward, and show what each takes and why.

    Any flag, --set, --init and --size may have several values, with commas; a list in brackets is one.

    Runs are in train mode and followed backward, unless --no-grad or --eval says otherwise.

    Examples: attntrace compare --heads 4 --impl eager,sdpa,torch; attntrace compare gpt2 bert-base

    Of your own code: attntrace compare model.py:Block --init heads=4,8 --input x=2,16,64
    """
    with exit_codes(debug):
        table.check(format, output, table.WITH_CSV)
        compared, failed = _run(list(ways(given)))
        _show(compared, format, output)
        if failed:
            raise typer.Exit(failed)


def ways(given: Given) -> Iterator[Way]:
    """Yield every combination of the files and of the values that the flags have.

    Where code of the user's own is beside others, what only such code takes is for that alone.
    """
    from attntrace.spec import asks_for_subject

    files = given["files"] or [None]
    own = {file for file in files if asks_for_subject(file)}
    for file in files:
        nothing = dict.fromkeys(FLAGS.values()) if own and file not in own else {}
        of_file = {**given, **nothing, "file": file}
        choices = list(_choices(of_file))
        for chosen in product(*choices):
            label = _label(file if len(files) > 1 else None, chosen, choices)
            yield Way(label or str(file or "block"), _with(of_file, chosen))


def _choices(given: Given) -> Iterator[list[Choice]]:
    """Yield the values of each flag that was given, and of each text in a list."""
    for name in SETTINGS:
        value = given[name]
        if value is not None:
            values = _values(value) if isinstance(value, str) else [value]
            yield [Choice(name, one) for one in values]
    for name in _LISTS:
        for text in given[name] or ():
            path, equals, value = text.partition("=")
            values = _split(value) if equals else [""]
            yield [Choice(name, f"{path}{equals}{one}") for one in values]


def _with(given: Given, chosen: Iterable[Choice]) -> Given:
    """Return what a command was given, with one value for each flag."""
    one = {**given, **dict.fromkeys(_LISTS, ())}
    for name, value in chosen:
        one[name] = (*one[name], value) if name in _LISTS else value
    return one


def _label(file: Path | None, chosen: Sequence[Choice], choices: list[list[Choice]]) -> str:
    apart = [str(file)] if file is not None else []
    several = (one for one, every in zip(chosen, choices, strict=True) if len(every) > 1)
    return ", ".join([*apart, *(choice.label for choice in several)])


def _split(text: str) -> list[str]:
    """Return the values of a text: parts between the commas that are in no bracket."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter in "[{(") - (letter in "]})")
        if letter == "," and depth <= 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]


def _values(text: str) -> list[str]:
    """Return the values of a flag, of which [a,b] is one."""
    return [part.strip("[]") for part in _split(text)]


def _loaded(way: Way) -> Loaded | LoadedSubject:
    """Return the settings of one way, followed backward in train mode where nobody says more."""
    trained = loaded_from(way.given, **_TRAINED)
    return trained if trained.spec.run.grad else loaded_from(way.given)


def _run(found: list[Way]) -> tuple[Compared, int]:
    """Return the runs side by side, and the exit code that a failed one asks for.

    Raises:
        SettingsError: a value is wrong in any company.
        AttntraceError: not one of them could run.

    """
    from attntrace.render.compare import Compared, Refused

    errors: list[tuple[Way, AttntraceError]] = []
    variants: list[Variant] = []
    with progress(len(found)) as say:
        for way in found:
            say(way.label)
            try:
                variants.append(_variant(way))
            except AttntraceError as error:
                errors.append((way, error))
    mistaken = [error for _, error in errors if _is_mistake(error)]
    if mistaken or not variants:
        raise _together(mistaken or [error for _, error in errors])
    failed = max((e.exit_code for _, e in errors if not isinstance(e, SettingsError)), default=0)
    refused = [Refused(way.label, _on_one_line(error)) for way, error in errors]
    return Compared(variants, refused), failed


def _on_one_line(error: AttntraceError) -> str:
    return "; ".join(line.strip() for line in error.brief.splitlines())


def _variant(way: Way) -> Variant:
    from attntrace.render.compare import Variant

    loaded = _loaded(way)
    from attntrace import api

    try:
        with redirect_stdout(sys.stderr):  # what code of the user's own prints is no result
            return Variant(way.label, api.run(loaded.spec).facts)
    except SettingsError as error:
        raise loaded.placed(error) from None


def _is_mistake(error: AttntraceError) -> bool:
    """Return whether a value is no value of its setting, or a setting none that there is."""
    return isinstance(error, SettingsError) and any(p.alone for p in error.problems)


def _together(errors: list[AttntraceError]) -> AttntraceError:
    """Return one error that says what is wrong with all ways."""
    if not all(isinstance(error, SettingsError) for error in errors):
        return next(error for error in errors if not isinstance(error, SettingsError))
    problems = (p for error in errors if isinstance(error, SettingsError) for p in error.problems)
    return SettingsError(list(dict.fromkeys(problems)))


def _show(compared: Compared, format: str, output: Path | None) -> None:
    from attntrace.render.compare import to_csv, to_json

    if format == "table" and table.on_terminal(output):
        _print(compared)
    elif format in ("json", "csv"):
        deliver((to_json if format == "json" else to_csv)(compared), output)
    else:
        deliver(_text(compared, format), output)


def _text(compared: Compared, format: str) -> str:
    """Return the table and the sentences, plain or in Markdown."""
    mark, write = ("*{}", table.plain) if format == "table" else ("**{}**", table.markdown)
    rows = [[mark.format(c.text) if c.best else c.text for c in row] for row in compared.rows()]
    parts = [compared.heading, write(compared.head, rows, compared.numbers).rstrip("\n")]
    for title, lines in compared.lines():
        parts.append("\n".join([title, *(f"- {line}" for line in lines)]))
    return ("\n\n" if format == "markdown" else "\n").join(parts) + "\n"


def _print(compared: Compared) -> None:
    """Print to a terminal: the best of each column bold; the table is never cut."""
    from rich.console import Console
    from rich.measure import Measurement
    from rich.text import Text

    console = Console(highlight=False)
    shown = _table(compared)
    least = Measurement.get(console, console.options.update(width=10_000), shown).minimum
    console.print(Text(compared.heading, style="bold"), soft_wrap=True)
    console.print(shown, width=max(console.width, least), crop=False, soft_wrap=True)
    for title, lines in compared.lines():
        console.print(Text(title, style="bold"))
        for line in lines:
            console.print(Text(f"- {line}"))


def _table(compared: Compared) -> Table:
    from rich.text import Text

    shown = table.wrapped(compared.head, [], compared.numbers)
    for row in compared.rows():
        shown.add_row(*(Text(cell.text, style="bold green" if cell.best else "") for cell in row))
    return shown
