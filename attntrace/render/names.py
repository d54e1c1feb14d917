"""Names that are expressions, shortened by the rows that they are made of."""

from __future__ import annotations

import re

from attntrace.record import TensorRecord, Trace

_LONG = 40
"""Letters up to which a name is shown as it stands."""


def short_name(row: TensorRecord, trace: Trace) -> str:
    """Return the name of a row; in a long expression, "#7" for the expression that row 7 is of.

    "self.down(self.up(self.norm(x)).relu())" is "self.down(#7)".
    """
    name = row.name
    if len(name) <= _LONG:
        return name
    for index in sorted(set(row.inputs), key=lambda of: len(trace.tensors[of].name), reverse=True):
        inner = trace.tensors[index].name
        if not inner.replace(".", "_").isidentifier() and inner != name:
            name = re.sub(rf"(?<![\w.]){re.escape(inner)}(?!\w)", f"#{index}", name)
    return name
