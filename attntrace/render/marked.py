"""Text in Markdown that means only itself."""

from __future__ import annotations

import re
from collections.abc import Sequence


def escaped(text: str) -> str:
    """Return text on one line and in one cell of a table, in which no character means anything."""
    return re.sub(r"([\\`*_\[\]<>&|~$])", r"\\\1", " ".join(text.splitlines()))


def fenced(lines: Sequence[str], language: str = "text") -> list[str]:
    """Return lines as they are, between more backticks than they have in a row themselves."""
    longest = max((len(run) for line in lines for run in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}{language}", *lines, fence]
