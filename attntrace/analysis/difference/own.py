"""What became of the parameters that a module itself has: by name, then by what they are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from attntrace.analysis.difference.tree import Tree
from attntrace.record.difference import ParameterChange
from attntrace.record.snapshot import SnapshotModule

_Parameters = Iterable[tuple[str, str]]
"""Of each its name, and its dtype and shape."""
_Held = frozenset[tuple[str, str]]


def own_changes(
    before: SnapshotModule, after: SnapshotModule, held: tuple[_Held, _Held]
) -> tuple[ParameterChange, ...]:
    """Return which parameters of a module's own were removed, renamed, changed or inserted.

    `held` are all that both runs have, as `all_held` tells: one that another module has in the other
    run is the same, and only that module is called in one run alone.
    """
    was, now = dict(before.own), dict(after.own)
    gone = [
        one for one in before.own if one[0] not in now and _whole(after.path, *one) not in held[1]
    ]
    new = [
        one for one in after.own if one[0] not in was and _whole(before.path, *one) not in held[0]
    ]
    both = [name for name in was if name in now and was[name] != now[name]]
    changed = [((name, was[name]), (name, now[name])) for name in both]
    return (
        *(ParameterChange(what="changed", before=one, after=two) for one, two in changed),
        *_others(gone, new),
    )


def all_held(tree: Tree) -> _Held:
    """Return the parameters of all modules of a run by whole names, with dtype and shape."""
    modules = (calls[0] for calls in tree.calls.values())
    return frozenset(_whole(module.path, *one) for module in modules for one in module.own)


def _whole(path: str, name: str, form: str) -> tuple[str, str]:
    return f"{path}.{name}".removeprefix("."), form


def _others(gone: _Parameters, new: _Parameters) -> Iterator[ParameterChange]:
    """Yield what became of parameters without a namesake: the same dtype and shape was renamed."""
    alike = defaultdict(list)
    for one in reversed([*new]):
        alike[one[1]].append(one)
    for one in gone:
        if alike[one[1]]:
            yield ParameterChange(what="renamed", before=one, after=alike[one[1]].pop())
        else:
            yield ParameterChange(what="removed", before=one, after=None)
    left = {one for ones in alike.values() for one in ones}
    yield from (
        ParameterChange(what="inserted", before=None, after=one) for one in new if one in left
    )
