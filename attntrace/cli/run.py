"""`attntrace run`: build a block, run it once, show every tensor."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import typer

from attntrace.cli import options
from attntrace.cli.exits import exit_codes
from attntrace.cli.output import deliver, unwritable
from attntrace.errors import ForwardError, Problem, SettingsError

if TYPE_CHECKING:
    from attntrace.api import Trace
    from attntrace.render import View
    from attntrace.spec import Loaded

# Every flag that sets a field of the spec, and the field.
FIELDS = {
    "block": "block",
    "batch": "batch",
    "tokens": "tokens",
    "dim": "dim",
    "chan": "chan",
    "heads": "heads",
    "kv_heads": "kv_heads",
    "head_dim": "head_dim",
    "layers": "layers",
    "qkv_bias": "attention.qkv_bias",
    "qk_scale": "attention.qk_scale",
    "skip": "attention.skip",
    "impl": "attention.impl",
    "device": "run.device",
    "dtype": "run.dtype",
    "seed": "run.seed",
    "train": "run.mode",
    "grad": "run.grad",
}
FORMATS = ("table", "json", "csv", "markdown")


def run_command(
    context: typer.Context,
    file: options.File = None,
    block: options.Block = None,
    batch: options.Batch = None,
    tokens: options.Tokens = None,
    dim: options.Dim = None,
    chan: options.Chan = None,
    heads: options.Heads = None,
    kv_heads: options.KvHeads = None,
    head_dim: options.HeadDim = None,
    layers: options.Layers = None,
    qkv_bias: options.QkvBias = None,
    qk_scale: options.QkScale = None,
    skip: options.Skip = None,
    impl: options.Impl = None,
    sets: options.Sets = None,
    device: options.Device = None,
    dtype: options.DType = None,
    seed: options.Seed = None,
    train: options.Train = None,
    grad: options.Grad = None,
    level: options.Level = "op",
    columns: options.Columns = None,
    explain: options.Explain = False,
    format: options.Format = "table",
    output: options.Output = None,
    show_config: options.ShowConfig = False,
    debug: options.Debug = False,
) -> None:
    """Build an attention layer or a whole model, run it once on random input, show every tensor.

    Examples: attntrace run --heads 4 --chan 64; attntrace run gpt2 --device meta
    """
    with exit_codes(debug):
        if columns == "help":
            deliver(_column_help(), None)
            return
        loaded, view = _request(context.params)
        for note in loaded.notes:
            typer.echo(f"attntrace: note: {note}", err=True)
        if show_config:
            from attntrace.spec import show

            deliver(show(loaded), output)
            return
        _run(loaded, view, format, output)


def _column_help() -> str:
    from attntrace.render import COLUMNS

    return "".join(f"{column.key:10} {column.meaning}\n" for column in COLUMNS.values())


def _request(given: dict[str, Any]) -> tuple[Loaded, View]:
    """Return the spec and the view that the flags ask for; SettingsError with every problem."""
    from attntrace.render import DEFAULT, View
    from attntrace.spec import load

    columns = tuple(c.strip() for c in given["columns"].split(",")) if given["columns"] else DEFAULT
    problems = [*_bad_choices(given, columns)]
    output = given["output"]
    if output is not None and (problem := unwritable(output)):
        problems.append(problem)
    try:
        loaded = load(given["file"], sets=given["sets"] or (), flags=_spec_flags(given))
    except SettingsError as error:
        raise SettingsError([*error.problems, *problems]) from None
    if problems:
        raise SettingsError(problems)
    return loaded, View(level=given["level"], columns=columns, explain=given["explain"])


def _spec_flags(given: dict[str, Any]) -> dict[str, str]:
    """Return the text of each given flag under the path of its field."""
    texts = {}
    for name, path in FIELDS.items():
        value = given[name]
        if name == "train" and value is not None:
            value = "train" if value else "eval"
        if value is not None:
            texts[path] = str(value).lower() if isinstance(value, bool) else value
    return texts


def _bad_choices(given: dict[str, Any], columns: tuple[str, ...]) -> list[Problem]:
    from attntrace.render import COLUMNS
    from attntrace.render.sheet import Level

    problems = []
    for name, choices in (("level", get_args(Level)), ("format", FORMATS)):
        if given[name] not in choices:
            message = f"{name} must be one of {', '.join(choices)}; got {given[name]!r}"
            problems.append(Problem(name, message, f"--{name} {given[name]}"))
    unknown = [column for column in columns if column not in COLUMNS]
    if unknown:
        message = f"no column {', '.join(map(repr, unknown))}; there are {', '.join(COLUMNS)}"
        problems.append(Problem("columns", message, f"--columns {given['columns']}"))
    return problems


def _run(loaded: Loaded, view: View, format: str, output: Path | None) -> None:
    from attntrace import api

    try:
        trace = api.run(loaded.spec)
    except SettingsError as error:
        raise loaded.placed(error) from None
    except ForwardError as error:
        _show(error.trace, view, format, output)
        raise
    _show(trace, view, format, output)


def _show(trace: Trace, view: View, format: str, output: Path | None) -> None:
    from attntrace import render

    if format == "table" and output is None and sys.stdout.isatty():
        from rich.console import Console

        render.print_report(trace.facts, view, Console())
        return
    if format == "json":
        deliver(trace.to_json(), output)
        return
    write = {"table": render.to_text, "csv": render.to_csv, "markdown": render.to_markdown}[format]
    deliver(write(trace.facts, view), output)
