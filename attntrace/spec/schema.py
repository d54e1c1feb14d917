"""The JSON Schema (draft 7) of a YAML file: what editors complete and check it with."""

from __future__ import annotations

import re
from typing import Any

from attntrace.spec.aliases import BARE, COMPUTED, SWITCHES, WORDS, Alias, aliases
from attntrace.spec.fields import Field, fields, members, sections
from attntrace.spec.shapeless import SHAPELESS
from attntrace.spec.values import Schema

DRAFT = "http://json-schema.org/draft-07/schema#"


def schema() -> Schema:
    """Return the schema: settings, sections, other projects' names, and nothing else.

    What must hold between settings is no part of it: `load` judges that.
    """
    return {
        "$schema": DRAFT,
        "title": "attntrace",
        "description": "One attention block and one run of it.",
        "type": "object",
        "properties": {
            **{name: {"description": "says nothing about a shape"} for name in sorted(SHAPELESS)},
            **{name: _of_alias(Alias(name, (path,))) for name, path in BARE.items()},
            **_properties(""),
            **{name: _section(name, meaning) for name, meaning in sections().items()},
        },
        "patternProperties": _dotted(),
        "additionalProperties": False,
        "definitions": {name: _definition(name) for name in sections()},
    }


def _section(name: str, meaning: str) -> Schema:
    """Return a section as a property; with nothing below it, it sets nothing."""
    return {"description": meaning, "anyOf": [{"$ref": _place(name)}, {"type": "null"}]}


def _place(section: str) -> str:
    return f"#/definitions/{section}"


def _definition(section: str) -> Schema:
    return {
        "type": "object",
        "properties": _properties(section),
        "additionalProperties": False,
    }


def _dotted() -> Schema:
    """Return the settings of sections as dotted keys; a pattern, so that no editor proposes them."""
    return {
        f"^{section}\\.{re.escape(name)}$": {"$ref": f"{_place(section)}/properties/{name}"}
        for section in sections()
        for name in _properties(section)
    }


def _properties(section: str) -> dict[str, Schema]:
    """Return the properties of a section, or of the top level, where every alias may stand."""
    found = {field.name: _of_field(field) for field in members(section)}
    for alias in aliases().values():
        if section in ("", fields()[alias.path].section):
            found[alias.name] = _of_alias(alias)
    return found


def _of_field(field: Field) -> Schema:
    described = {"description": _sentence(field)}
    if not field.derived:
        described["default"] = _plain(field.default)
    return described | _nullable(field.kind.schema)


def _sentence(field: Field) -> str:
    parts = [field.meaning]
    parts += [f"default: {field.shown}"] if field.shown else []
    parts += [f"rule: {field.rule}"] if field.rule else []
    return ". ".join(parts)


def _of_alias(alias: Alias) -> Schema:
    field = fields()[alias.path]
    described = {"description": f"{', '.join(alias.paths)}: {field.meaning}"}
    return described | _nullable(_taken(alias, field))


def _taken(alias: Alias, field: Field) -> Schema:
    """Return what an alias accepts besides null: the setting's values, or its own words."""
    if alias.name in SWITCHES:
        return {"enum": list(SWITCHES[alias.name])}
    if alias.name in COMPUTED:
        return {"type": "number", "exclusiveMinimum": 0}
    kinds = [field.kind.schema]
    if field.path in WORDS:
        kinds.append({"enum": list(WORDS[field.path])})
    return kinds[0] if len(kinds) == 1 else {"anyOf": kinds}


def _nullable(kind: Schema) -> Schema:
    """Return what takes null, too: it is as good as not given."""
    return {"anyOf": [kind, {"type": "null"}]}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
