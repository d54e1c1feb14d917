"""The command line: the thin edge. Flags become a request, results go to stdout."""

from __future__ import annotations

import gc
import os
import sys
import warnings
from typing import Annotated

import typer

from attntrace.cli.check import check_command
from attntrace.cli.compare import compare_command
from attntrace.cli.diff import diff_command
from attntrace.cli.exits import EXIT_CODES, OF_CHECK, OF_DIFF, report_bug
from attntrace.cli.fields import fields_command
from attntrace.cli.max import max_command
from attntrace.cli.presets import presets_command
from attntrace.cli.run import run_command
from attntrace.cli.schema import schema_command
from attntrace.cli.stop import end_if_pressed, stoppable
from attntrace.version import __version__

SELDOM = 1000
"""Collections of the middle generation for one of the oldest; Python's default is 10."""

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=EXIT_CODES,
)
app.command("run", epilog=EXIT_CODES)(run_command)
app.command("compare", epilog=EXIT_CODES)(compare_command)
app.command("check", epilog=OF_CHECK)(check_command)
app.command("diff", epilog=OF_DIFF)(diff_command)
app.command("max", epilog=EXIT_CODES)(max_command)
app.command("presets", epilog=EXIT_CODES)(presets_command)
app.command("fields", epilog=EXIT_CODES)(fields_command)
app.command("schema", epilog=EXIT_CODES)(schema_command)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"attntrace {__version__}")
        raise typer.Exit


@app.callback()
def attntrace(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Every intermediate tensor of a PyTorch model: name, shape, axes, memory."""


def main() -> None:
    """Run the command line; the exit code is documented in `--help`."""
    # half a million objects of torch's live as long as we do: look through them all more seldom
    gc.set_threshold(*gc.get_threshold()[:2], SELDOM)
    # pydantic looks for plugins in every installed package, a tenth of our start-up; we use none
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    # torch's profiler says on stderr when it starts and stops
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    # torch warns of a missing NumPy, which attntrace does not need
    warnings.filterwarnings("ignore", message="Failed to initialize NumPy")
    with stoppable():
        try:
            app()
        except Exception as error:
            end_if_pressed()  # an import that Ctrl-C cut short fails in odd ways
            sys.exit(report_bug(error))
