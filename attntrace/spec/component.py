"""What every part of a spec has in common: frozen, strict about types, no unknown keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field


class Component(BaseModel):
    """A frozen section of a spec. Strict: `"4"` is not a number and `off` is not a bool."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    def settings(self) -> dict[str, Any]:
        """Return all of it as JSON has it."""
        return self.model_dump(mode="json")


MOST = 2**40
"""The largest size: beyond, products of a few sizes no longer fit the 64 bits of torch."""
Size = Annotated[int, Field(ge=1, le=MOST)]
Count = Annotated[int, Field(ge=0, le=MOST)]
Share = Annotated[float, Field(ge=0, lt=1)]
"""A probability that is not one, such as of dropout."""
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


def setting(
    default: Any,
    meaning: str,
    *,
    aliases: tuple[str, ...] = (),
    rule: str = "",
    shown: str = "",
) -> Any:
    """Return a field that explains itself in `attntrace fields` and in the JSON Schema.

    `default` is a value, or a function of the fields above this one; `shown` says in words what
    such a function or an "auto" comes to. `aliases` are the names that other projects' configs
    use; YAML may use them too, here or at the top level. `rule` is what `rules()` enforces.
    """
    extra: dict[str, Any] = {"aliases": list(aliases), "rule": rule, "shown": shown}
    if isinstance(default, Callable):  # type: ignore[arg-type]  # a runtime check of a protocol
        return Field(default_factory=default, description=meaning, json_schema_extra=extra)
    return Field(default=default, description=meaning, json_schema_extra=extra)
