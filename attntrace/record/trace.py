"""The facts of one run together, and their JSON form."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

from attntrace.errors import TraceFileError, nearest
from attntrace.record.diagnosis import Diagnosis, Trap
from attntrace.record.runs import AttentionRecord, Environment, ModuleRecord, StorageRecord
from attntrace.record.tensors import OpRecord, Phase, TensorRecord

SCHEMA_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Trace:
    """One pass through a module or a function: every fact, in execution order."""

    subject: str
    tensors: tuple[TensorRecord, ...]
    ops: tuple[OpRecord, ...]
    modules: tuple[ModuleRecord, ...]
    storages: tuple[StorageRecord, ...]
    outputs: tuple[int, ...]
    environment: Environment
    parameters: int
    spec: dict[str, Any] | None = None
    sizes: dict[str, int] = field(default_factory=dict)
    """What the symbols in `axes` stand for."""
    diagnosis: Diagnosis | None = None
    """Where and why the forward stopped, None where it did not."""
    warnings: tuple[Trap, ...] = ()
    """What ran and is hardly meant so, as a warning says it."""
    notes: tuple[str, ...] = ()
    attention: tuple[AttentionRecord, ...] = ()
    began: dict[Phase, int] = field(default_factory=dict)
    """When backward and the optimizer's step first began, on the clock of births and deaths."""
    schema_version: int = SCHEMA_VERSION

    def __getitem__(self, name: str) -> TensorRecord:
        """Return the last row of that name. Raises KeyError with the names that come near."""
        for row in reversed(self.tensors):
            if row.name == name:
                return row
        others = nearest(name, dict.fromkeys(row.name for row in self.tensors))
        raise KeyError(f"no tensor {name!r}; {others}")

    def to_dict(self) -> dict[str, Any]:
        """Return the facts as plain dicts, lists, strings and ints."""
        return {item.name: _plain(getattr(self, item.name)) for item in fields(Trace)}

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read what `render.to_json` wrote; what it adds to the facts is passed over.

        Raises:
            TraceFileError: not JSON, not a trace, or written by a newer attntrace.

        """
        document = _document(text)
        from pydantic import TypeAdapter, ValidationError  # 50 ms that only readers pay

        known = {name: document[name] for name in _names(Trace) if name in document}
        try:
            facts = TypeAdapter(Trace).validate_python(known)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise TraceFileError(f"not a trace: {where}: {first['msg']}") from error
        return cls(**{name: getattr(facts, name) for name in _names(Trace)})


def _names(record: type[Any]) -> list[str]:
    return [item.name for item in fields(record)]


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return asdict(value) if hasattr(value, "__dataclass_fields__") else value


def _document(text: str | bytes) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except ValueError as error:
        raise TraceFileError(f"not a trace: not JSON: {error}") from error
    if not isinstance(document, dict) or "schema_version" not in document:
        raise TraceFileError("not a trace: a JSON object with schema_version was expected")
    version = document["schema_version"]
    if type(version) is not int:
        raise TraceFileError(f"not a trace: schema_version must be a whole number, got {version!r}")
    if version > SCHEMA_VERSION:
        raise TraceFileError(
            f"schema_version {version} is newer than the {SCHEMA_VERSION} that this attntrace "
            "reads; install a newer attntrace"
        )
    return document
