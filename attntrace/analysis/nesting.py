"""How modules lie in each other, read off their paths."""

from __future__ import annotations

from attntrace.record import Trace


def last_part(path: str) -> str:
    """Return the last part of a path: what a module is called by the one that holds it."""
    return path.rpartition(".")[2]


def around(path: str) -> list[str]:
    """Return the paths of the modules around a path, itself included, outermost ("") first."""
    parts = path.split(".") if path else []
    return [".".join(parts[:n]) for n in range(len(parts) + 1)]


class Nesting:
    """How deep the modules of a trace lie in each other: lists, which nobody calls, do not count."""

    def __init__(self, trace: Trace) -> None:
        self._called = {module.path for module in trace.modules} - {""}
        self._known: dict[str, int] = {}

    def depth(self, path: str) -> int:
        """Return how many modules are around one, the outermost apart: that one lies 0 deep."""
        known = self._known.get(path)
        if known is None:
            known = self._known[path] = sum(way in self._called for way in around(path))
        return known
