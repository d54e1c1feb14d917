"""What became of each module: nothing, or one change, told where it begins."""

from __future__ import annotations

from collections.abc import Iterator

from attntrace.analysis.difference.order import in_order, together
from attntrace.analysis.difference.own import all_held, own_changes, setting_changes
from attntrace.analysis.difference.pairs import Pairs
from attntrace.analysis.difference.tree import Tree
from attntrace.analysis.nesting import around
from attntrace.record.difference import ModuleChange


def module_changes(pairs: Pairs) -> tuple[ModuleChange, ...]:
    """Return which modules were inserted, removed, renamed, changed or moved.

    Of a module whose path, or how often it is called, changed with that of a module around it, that
    one is told; of one whose parameters changed with those of a module below it, that one.
    """
    return together(_Modules(pairs).changes())


class _Modules:
    """The modules of two runs, each once, in the order of entering."""

    def __init__(self, pairs: Pairs) -> None:
        self.paths, self.gone, self.new = pairs.paths, pairs.gone, pairs.new
        self.before, self.after = pairs.before, pairs.after
        self.held = all_held(self.before, "own"), all_held(self.after, "own")
        self.set = all_held(self.before, "settings"), all_held(self.after, "settings")
        rows = (*self.before.rows, *self.after.rows) if pairs.moved else ()
        told = {way for path in rows for way in around(path)}  # by the rows that were moved
        both = pairs.moved_paths.items()
        self.moved = {path for path, other in both if path not in told and other not in told}

    def changes(self) -> Iterator[ModuleChange]:
        """Yield what became of each."""
        paths, others = list(self.before.calls), list(self.after.calls)
        places = {other: j for j, other in enumerate(others)}
        both = [(i, self.paths[path]) for i, path in enumerate(paths) if path not in self.gone]
        pairs = [(i, places[other]) for i, other in both]
        for i, j in in_order((len(paths), len(others)), pairs):
            if i is None:
                yield from self._inserted(others[j or 0])
            elif j is None:
                yield from self._removed(paths[i])
            else:
                yield from self._kept(paths[i], others[j])

    def _inserted(self, path: str) -> Iterator[ModuleChange]:
        calls = self.after.calls[path]
        yield ModuleChange(
            what="inserted",
            before=None,
            after=calls[0],
            places=(),
            calls=(0, len(calls)),
            implied=self.after.above(path) in self.new - {path},
        )

    def _removed(self, path: str) -> Iterator[ModuleChange]:
        calls = self.before.calls[path]
        yield ModuleChange(
            what="removed",
            before=calls[0],
            after=None,
            places=(),
            calls=(len(calls), 0),
            implied=self.before.above(path) in self.gone - {path},
        )

    def _kept(self, path: str, other: str) -> Iterator[ModuleChange]:
        calls, called = self.before.calls[path], self.after.calls[other]
        outer = _around(path, self.before, self.gone), _around(other, self.after, self.new)
        along = self.paths.get(outer[0]) == outer[1]
        renamed = not along or path[len(outer[0]) :] != other[len(outer[1]) :]
        times = len(calls), len(called)
        again = times[0] != times[1] and not (path and along and times == self._times(*outer))
        own = own_changes(calls[0], called[0], self.held)
        made = setting_changes(calls[0], called[0], self.set)
        changed = calls[0].type != called[0].type or again or own or made or self._grew(path, other)
        moved = path in self.moved
        if renamed or changed or moved:
            yield ModuleChange(
                what="renamed" if renamed else "changed" if changed else "moved",
                before=calls[0],
                after=called[0],
                places=(),
                calls=times,
                moved=moved,
                own=own,
                settings=made,
            )

    def _times(self, path: str, other: str) -> tuple[int, int]:
        return len(self.before.calls.get(path, ())), len(self.after.calls.get(other, ()))

    def _grew(self, path: str, other: str) -> bool:
        """Return whether scalars of a module's own came or went, whatever they are called.

        Where modules below it share theirs, its own come to less than 0 and change with what is
        shared; that is told below it. Where it has as many as before, only other modules below it
        are called.
        """
        if self.before.calls[path][0].parameters == self.after.calls[other][0].parameters:
            return False
        own = self.before.own(path), self.after.own(other)
        shared = max(own) < 0 and _sizes(self.before, path) != _sizes(self.after, other)
        return own[0] != own[1] and not shared


def _around(path: str, tree: Tree, lone: frozenset[str]) -> str:
    """Return the nearest module around one that both runs have; "" where there is none."""
    ways = around(path)[-2::-1]
    return next((way for way in ways if way in tree.calls and way not in lone), "")


def _sizes(tree: Tree, path: str) -> list[int]:
    """Return the parameters of each module below one, in order of size."""
    ways = (way for way in tree.below(path) if way in tree.calls and way != path)
    return sorted(tree.calls[way][0].parameters for way in ways)
