"""What the schema of an op says, read once for each op: it is asked of every op that runs."""

from __future__ import annotations

from typing import Any

import torch

ATEN = torch.ops.aten
SILENT = (ATEN._unsafe_view.default,)  # noqa: SLF001 - an op; its schema hides that it is a view


class Schema:
    """Which arguments are tensors, and what the op does with them."""

    __slots__ = ("fresh", "func", "mutable", "plain", "tensors")

    def __init__(self, func: Any) -> None:
        self.func = func
        """Kept, so that no other op can have its identity."""
        schema = getattr(func, "_schema", None)
        self.tensors: tuple[int, ...] = ()
        """The places of the arguments that may be tensors."""
        self.plain = self.mutable = self.fresh = False
        if schema is None:  # an op of higher order, such as `torch.cond`
            return
        kinds = [str(argument.type) for argument in schema.arguments]
        self.tensors = tuple(at for at, kind in enumerate(kinds) if "Tensor" in kind)
        self.plain = all(kinds[at] in ("Tensor", "Optional[Tensor]") for at in self.tensors)
        """Whether each of them is one tensor, and no list."""
        self.mutable = schema.is_mutable
        aliased = any(value.alias_info is not None for value in schema.returns)
        self.fresh = func.namespace == "aten" and not aliased and func not in SILENT
        """Whether nothing that it returns shares memory with what it was given."""


SCHEMAS: dict[int, Schema] = {}


def schema_of(func: Any) -> Schema:
    """Return the schema of an op; by identity, because an op's own hash is slow."""
    schema = SCHEMAS.get(id(func))
    if schema is None:
        schema = SCHEMAS[id(func)] = Schema(func)
    return schema
