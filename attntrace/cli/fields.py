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

    A setting's own name, its path, or what another project calls it shows that one.

    Examples: attntrace fields attention; attntrace fields hidden_size
    """
    with exit_codes(debug=False):
        table.check(format, output)
        shown, one_by_one = _asked_for(component)
        if format == "json":
            facts = {name: [_facts(field) for field in found] for name, found in shown.items()}
            deliver(json.dumps(facts, indent=2) + "\n", output)
        elif one_by_one:
            found = [field for fields in shown.values() for field in fields]
            deliver("\n".join(_card(field, format) for field in found), output)
        elif format == "table" and table.on_terminal(output):
            _print(shown)
        else:
            deliver("\n".join(_page(name, shown[name], format) for name in shown), output)


def _asked_for(wanted: str | None) -> tuple[dict[str, list[Field]], bool]:
    """Return settings by component, and whether they are single ones rather than components.

    Raises:
        AttntraceError: there is no such component, and no such setting.

    """
    from attntrace.spec.fields import fields, members, sections
    from attntrace.spec.unknown import settings_named

    names = [SIZES, *sections()]
    if wanted is None or wanted in names:
        chosen = names if wanted is None else [wanted]
        return {name: members("" if name == SIZES else name) for name in chosen}, False
    found: dict[str, list[Field]] = {}
    for path in settings_named(wanted):
        field = fields()[path]
        found.setdefault(field.section or SIZES, []).append(field)
    if not found:
        raise AttntraceError(_no_such(wanted, names))
    return found, True


def _no_such(wanted: str, components: list[str]) -> str:
    from attntrace.spec.aliases import aliases
    from attntrace.spec.fields import fields

    bare = [field.name for field in fields().values()]
    without_dot = (components, bare, list(aliases()))
    for known in (list(fields()),) if "." in wanted else without_dot:
        near = get_close_matches(wanted.lower(), known, n=1, cutoff=0.6)
        if near:
            return f"no component or setting {wanted!r}; did you mean {near[0]!r}?"
    return f"no component or setting {wanted!r}; the components are {', '.join(components)}"


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


def _row(field: Field) -> list[str]:
    from attntrace.spec.aliases import names_of

    choices = ", ".join(map(str, field.kind.choices))
    others = ", ".join(names_of(field.path))
    default, kind = _default(field), field.kind.type
    return [field.name, kind, default, choices, others, field.rule, field.meaning]


def _facts(field: Field) -> dict[str, Any]:
    from attntrace.spec.aliases import names_of

    return {
        "name": field.name,
        "path": field.path,
        "type": field.kind.type,
        "default": list(field.default) if isinstance(field.default, tuple) else field.default,
        "shown": field.shown,
        "choices": list(field.kind.choices),
        "aliases": list(names_of(field.path)),
        "rule": field.rule,
        "meaning": field.meaning,
    }


def _card(field: Field, format: str) -> str:
    """Return one setting as a list of what is known of it, under its path."""
    known = {name: said for name, said in zip(HEAD, _row(field), strict=True) if said}
    known["name"] = field.path
    if format == "markdown":
        del known["name"]
        return f"## {field.path}\n\n" + "".join(
            f"- {name}: {said}\n" for name, said in known.items()
        )
    return "".join(f"{name:8} {said}\n" for name, said in known.items())


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
