"""Which lines wrote in place into what backward needs as it was."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from attntrace.record import Step, TensorRecord

_NEEDED = re.compile(r"Tensor (\[[\d, ]*\])\](?:, which is output \d+ of (\w+?)(?:Backward\d*)?,)?")
MOST = 2


def writes(rows: Sequence[TensorRecord], message: str) -> tuple[Step, ...]:
    """Return the lines that wrote into the tensor that autograd's message tells of, the last first.

    The message alone says which one it is: by its shape, and by the op that made it.
    """
    told = _NEEDED.search(message)
    if told is None or "inplace operation" not in message:
        return ()
    found = list(_written(rows, told[1], (told[2] or "").lower()))
    return tuple(found[::-1][:MOST])


def _written(rows: Sequence[TensorRecord], shape: str, op: str) -> Iterator[Step]:
    for row in rows:
        if row.origin != "in place" or row.alias_of is None or str([*(row.shape or ())]) != shape:
            continue
        made = rows[row.alias_of]
        by = re.sub(r"^i(?=add|sub|mul|div|truediv|pow)|true", "", row.op.strip("_"))
        # what was written into is of the op that wrote, once it did
        if not op or op.strip("_").startswith((made.op.strip("_"), by)) or made.op in op:
            yield Step(
                said=f"`{row.op}` wrote in place into {made.name} of `{made.op}`.",
                source=row.source,
                line=row.line,
            )
