"""What every part of a spec has in common: frozen, strict about types, no unknown keys."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Component(BaseModel):
    """A frozen section of a spec. Strict: `"4"` is not a number and `off` is not a bool."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


Size = Annotated[int, Field(ge=1, le=2**40)]
"""At most 2^40: beyond, products of a few sizes no longer fit the 64 bits of torch."""
