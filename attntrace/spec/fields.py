"""Every setting there is, by its dotted path: what messages, tables and the schema are made from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from attntrace.spec.block import Spec
from attntrace.spec.values import Kind, kind_of


@dataclass(frozen=True, slots=True)
class Field:
    """One setting, as its section describes it."""

    path: str
    kind: Kind
    nullable: bool
    """Whether null means "not given"."""
    derived: bool
    """Whether its default follows from other settings."""
    default: Any
    """None where it is derived, too."""
    meaning: str
    shown: str
    """What the default comes to, in words; empty where the value says it."""
    rule: str
    aliases: tuple[str, ...]

    @property
    def section(self) -> str:
        """Its section, empty for a size."""
        return self.path.rpartition(".")[0]

    @property
    def name(self) -> str:
        """Its name in its section."""
        return self.path.rpartition(".")[2]


@cache
def fields() -> Mapping[str, Field]:
    """Return every setting by its dotted path: the sizes, then section by section."""
    return {field.path: field for field in sorted(_opened(Spec, ""), key=lambda f: "." in f.path)}


@cache
def sections() -> Mapping[str, str]:
    """Return the sections, each with what it is about."""
    return {
        name: _first_line(info.annotation)
        for name, info in Spec.model_fields.items()
        if _is_section(info)
    }


def members(section: str) -> list[Field]:
    """Return the settings of a section, those of the top level for an empty name."""
    return [field for field in fields().values() if field.section == section]


def _opened(model: type[BaseModel], above: str) -> Iterator[Field]:
    for name, info in model.model_fields.items():
        if _is_section(info):
            section: Any = info.annotation
            yield from _opened(section, f"{name}.")
        else:
            yield _field(above + name, info)


def _is_section(info: FieldInfo) -> bool:
    return isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel)


def _field(path: str, info: FieldInfo) -> Field:
    kind, nullable = kind_of(info)
    derived = info.default_factory is not None
    extra: Any = info.json_schema_extra
    return Field(
        path=path,
        kind=kind,
        nullable=nullable,
        derived=derived,
        default=None if derived else info.default,
        meaning=info.description or "",
        shown=extra["shown"],
        rule=extra["rule"],
        aliases=tuple(extra["aliases"]),
    )


def _first_line(model: Any) -> str:
    return str(model.__doc__).splitlines()[0]
