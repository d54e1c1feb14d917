"""The JSON Schema (draft 7) of a YAML file: what editors complete and check it with."""

from __future__ import annotations

import re
from typing import Any

from attntrace.spec.aliases import BARE, COMPUTED, SWITCHES, WORDS, Alias, aliases
from attntrace.spec.document import EXPECT
from attntrace.spec.expect.schema import DEFINITIONS
from attntrace.spec.expect.schema import SECTION as EXPECTED
from attntrace.spec.fields import Field, fields, members, sections
from attntrace.spec.shapeless import SHAPELESS
from attntrace.spec.values import Schema

DRAFT = "http://json-schema.org/draft-07/schema#"
_SIZE = {"type": ["integer", "null"], "minimum": 1}
_BELOW_TARGETS = ("init", "inputs", "sizes")
_OF_TARGETS: Schema = {
    "target": {
        "description": "code of your own: path/to/file.py:Name, package.module:Name or hf:PATH",
        "type": "string",
    },
    "init": {
        "description": "what it is made with: arguments of the constructor, or of a function that "
        "makes it",
        "type": ["object", "null"],
    },
    "inputs": {
        "description": "what goes in, by name or in order: [2, 128, 512], int64[2,128], "
        "{shape: [batch, 8], dtype: bool, fill: ones}, or any value",
        "type": ["object", "array", "null"],
    },
    "sizes": {
        "description": "sizes that inputs name",
        "type": ["object", "null"],
        "additionalProperties": _SIZE,
    },
}
_DOTTED_OF_TARGETS: Schema = {r"^(init|inputs)\..+$": {}, r"^sizes\..+$": _SIZE}


def schema() -> Schema:
    """Return the schema: settings, sections, other projects' names, and nothing else.

    What must hold between settings is no part of it: `load` judges that.
    """
    return {
        "$schema": DRAFT,
        "title": "attntrace",
        "description": "One attention block, or code of your own, and one run of it.",
        "type": "object",
        "properties": {
            **_OF_TARGETS,
            **{name: {"description": "says nothing about a shape"} for name in sorted(SHAPELESS)},
            **{name: _of_alias(Alias(name, (path,))) for name, path in BARE.items()},
            **_properties(""),
            **{name: _section(name, meaning) for name, meaning in sections().items()},
            EXPECT: EXPECTED,
        },
        "patternProperties": {**_dotted(), **_DOTTED_OF_TARGETS, **_dotted_of_expected()},
        "additionalProperties": False,
        "definitions": {name: _definition(name) for name in sections()} | DEFINITIONS,
        "if": {"required": ["target"]},
        "then": {"propertyNames": {"pattern": _of_target()}},
        "else": {"propertyNames": {"not": {"pattern": rf"^({'|'.join(_OF_TARGETS)})(\..*)?$"}}},
    }


def _of_target() -> str:
    """Return the pattern of the keys beside a target: its own, and all of the run section."""
    names = {**{alias.name: alias.path for alias in aliases().values()}, **BARE}
    own = [*_OF_TARGETS, "run", EXPECT, *(name for name in names if names[name].startswith("run."))]
    return rf"^({'|'.join(own)}|(run|{EXPECT})\..+|({'|'.join(_BELOW_TARGETS)})\..+)$"


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


def _dotted_of_expected() -> dict[str, Schema]:
    """Return what is expected as dotted keys; of a tensor's name nothing is known."""
    words = EXPECTED["properties"]
    below = {name: words[name]["additionalProperties"] for name in ("dtype", "tensors")}
    single = {rf"^{EXPECT}\.{name}$": words[name] for name in words if name not in below}
    listed = "|".join(words)
    return {
        **single,
        **{rf"^{EXPECT}\.{name}\..+$": kind for name, kind in below.items()},
        rf"^{EXPECT}\.(?!({listed})($|\.)).+$": EXPECTED["additionalProperties"],
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
