"""`attntrace fields`: every setting, with what it takes and what it means."""

from __future__ import annotations

import json
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from attntrace.cli import options, table
from attntrace.cli.exits import exit_codes
from attntrace.cli.output import deliver
from attntrace.errors import AttntraceError

if TYPE_CHECKING:
    from attntrace.spec.fields import Field

HEAD = ("name", "type", "default", "choices", "aliases", "rule", "meaning")
SIZES = "sizes"


def fields_command(
    component: options.Component = None,
    format: options.TableFormat = "table",
    output: options.Output = None,
) -> None:
    """List the settings of a component, or of all: type, default, choices, aliases, rule, meaning.

    Example: attntrace fields attention
    """
    with exit_codes(debug=False):
        table.check(format, output)
        shown = _components(component)
        if format == "json":
            deliver(
                json.dumps({n: [_facts(f) for f in shown[n]] for n in shown}, indent=2) + "\n",
                output,
            )
        elif format == "table" and table.on_terminal(output):
            _print(shown)
        else:
            deliver("\n".join(_page(name, shown[name], format) for name in shown), output)


def _components(wanted: str | None) -> dict[str, list[Field]]:
    """Return the settings of one component, or of all; AttntraceError where there is none such."""
    from attntrace.spec.fields import members, sections

    names = [SIZES, *sections()]
    if wanted is not None and wanted not in names:
        near = get_close_matches(wanted, names, n=1, cutoff=0.6)
        meant = f"did you mean {near[0]!r}? " if near else ""
        raise AttntraceError(f"no component {wanted!r}; {meant}There are {', '.join(names)}")
    chosen = names if wanted is None else [wanted]
    return {name: members("" if name == SIZES else name) for name in chosen}


def _meaning(name: str) -> str:
    from attntrace.spec.fields import sections

    return sections().get(name, "The block, and its sizes: the keys at the top level.")


def _default(field: Field) -> str:
    """Return the default as YAML has it, or in words where it is derived."""
    if field.shown:
        return field.shown
    if field.default is None:
        return "null"
    if isinstance(field.default, tuple):
        return f"[{', '.join(map(str, field.default))}]"
    return str(field.default).lower() if isinstance(field.default, bool) else str(field.default)


def _type(field: Field) -> str:
    return f"{field.kind.type} or null" if field.nullable else field.kind.type


def _row(field: Field) -> list[str]:
    from attntrace.spec.aliases import names_of

    choices = ", ".join(map(str, field.kind.choices))
    others = ", ".join(names_of(field.path))
    return [field.name, _type(field), _default(field), choices, others, field.rule, field.meaning]


def _facts(field: Field) -> dict[str, Any]:
    from attntrace.spec.aliases import names_of

    return {
        "name": field.name,
        "path": field.path,
        "type": _type(field),
        "default": list(field.default) if isinstance(field.default, tuple) else field.default,
        "shown": field.shown,
        "choices": list(field.kind.choices),
        "aliases": list(names_of(field.path)),
        "rule": field.rule,
        "meaning": field.meaning,
    }


def _page(name: str, found: list[Field], format: str) -> str:
    rows = [_row(field) for field in found]
    if format == "markdown":
        return f"## {name}\n\n{_meaning(name)}\n\n{table.markdown(HEAD, rows)}"
    return f"{name}: {_meaning(name)}\n{table.plain(HEAD, rows)}"


def _print(shown: dict[str, list[Field]]) -> None:
    """Print to a terminal: what a setting takes beside what it means, wrapped."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    for name, found in shown.items():
        console.print(Text(f"{name}: {_meaning(name)}", style="bold"))
        rows = [_cells(_row(field)) for field in found]
        console.print(table.wrapped(("name", "takes", "meaning"), rows))


def _cells(row: list[str]) -> list[str]:
    name, kind, default, choices, others, rule, meaning = row
    takes = [choices or kind, f"default: {default}"]
    means = [meaning, f"rule: {rule}" if rule else "", f"also: {others}" if others else ""]
    return [name, "\n".join(takes), "\n".join(line for line in means if line)]
