"""`attntrace presets`: the configs that come with attntrace, to run by name."""

from __future__ import annotations

import json

from attntrace.cli import options, table
from attntrace.cli.exits import exit_codes
from attntrace.cli.output import deliver

HEAD = ("name", "block", "parameters", "meaning")
NUMBERS = ("parameters",)


def presets_command(format: options.TableFormat = "table", output: options.Output = None) -> None:
    """List the presets that `attntrace run NAME` takes: block, parameters and one line each."""
    with exit_codes(debug=False):
        table.check(format, output)
        from attntrace.spec.presets import presets

        found = presets()
        rows = [
            (p.name, p.block, "" if p.parameters is None else f"{p.parameters:,}", p.meaning)
            for p in found
        ]
        if format == "json":
            facts = [
                {"name": p.name, "block": p.block, "parameters": p.parameters, "meaning": p.meaning}
                for p in found
            ]
            deliver(json.dumps(facts, indent=2) + "\n", output)
        elif format == "table" and table.on_terminal(output):
            from rich.console import Console

            Console(highlight=False).print(table.wrapped(("name", "what it is"), _narrow(rows)))
        else:
            write = table.markdown if format == "markdown" else table.plain
            deliver(write(HEAD, rows, NUMBERS), output)


def _narrow(rows: table.Rows) -> list[tuple[str, str]]:
    """Return the rows in two columns: beside a long name there is room for one more."""
    counts = [f"{count} parameters" if count else "" for _, _, count, _ in rows]
    return [
        (name, f"{meaning}\n{', '.join(part for part in (block, count) if part)}")
        for (name, block, _, meaning), count in zip(rows, counts, strict=True)
    ]
