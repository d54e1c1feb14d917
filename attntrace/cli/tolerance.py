"""`--tolerance`: the part by which a measured number may differ."""

from __future__ import annotations

import math
import re

from attntrace.errors import Problem

_PART = re.compile(r"(?P<number>\d+(?:\.\d*)?|\.\d+)\s*(?P<percent>%?)")


def tolerance_from(text: str | None, problems: list[Problem]) -> float:
    """Return the part that "1%" or "0.01" stands for, below 1; a problem more where it is none."""
    from attntrace.record.difference import TOLERANCE  # 10 ms that only these commands pay

    if text is None:
        return TOLERANCE
    found = _PART.fullmatch(text.strip())
    number = float(found["number"]) if found else math.inf
    part = number / 100 if found and found["percent"] else number
    if part < 1:
        return part
    hint = f"; did you mean {number:g}%?" if number < 100 else ""
    message = f"a part was expected, such as 1% or 0.01; got {text!r}{hint}"
    problems.append(Problem("tolerance", message, f"--tolerance {text}"))
    return TOLERANCE
