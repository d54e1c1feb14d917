"""What became of a module's own parameters, by name and then by what they are, and settings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator
from typing import Literal, TypeVar

from attntrace.analysis.difference.tree import Tree
from attntrace.record.difference import ParameterChange, SettingChange
from attntrace.record.snapshot import SnapshotModule

_Named = TypeVar("_Named", bound=tuple[str, Hashable])
Field = Literal["own", "settings"]

_Parameters = Iterable[tuple[str, str]]
"""Of each its name, and its dtype and shape."""
_Held = frozenset[tuple[str, Hashable]]


def own_changes(
    before: SnapshotModule, after: SnapshotModule, held: tuple[_Held, _Held]
) -> tuple[ParameterChange, ...]:
    """Return which parameters of a module's own were removed, renamed, changed or inserted.

    `held` are all that both runs have, as `all_held` tells: one that another module has in the other
    run is the same, and only that module is called in one run alone.
    """
    was, now = dict(before.own), dict(after.own)
    gone = _lone(before.own, after, "own", held[1])
    new = _lone(after.own, before, "own", held[0])
    both = [name for name in was if name in now and was[name] != now[name]]
    changed = [((name, was[name]), (name, now[name])) for name in both]
    return (
        *(ParameterChange(what="changed", before=one, after=two) for one, two in changed),
        *_others(gone, new),
    )


def setting_changes(
    before: SnapshotModule, after: SnapshotModule, held: tuple[_Held, _Held]
) -> tuple[SettingChange, ...]:
    """Return which settings of a module are others, by name; `held` is as of parameters.

    Of another type, only those that both types have.
    """
    was, now = dict(before.settings), dict(after.settings)
    names = [name for name in was if name in now and was[name] != now[name]]
    if before.type == after.type:
        names += [name for name, _ in _lone(before.settings, after, "settings", held[1])]
        names += [name for name, _ in _lone(after.settings, before, "settings", held[0])]
    return tuple(
        SettingChange(name=name, before=was.get(name), after=now.get(name))
        for name in sorted(names)
    )


def all_held(tree: Tree, field: Field) -> _Held:
    """Return the parameters, or settings, of all modules of a run by whole names."""
    modules = (calls[0] for calls in tree.calls.values())
    return frozenset(_whole(module.path, *one) for module in modules for one in _of(module, field))


def _lone(
    facts: Iterable[_Named], other: SnapshotModule, field: Field, held: _Held
) -> list[_Named]:
    """Return the facts that neither the same module of the other run has, nor any of its others."""
    names = dict(_of(other, field))
    return [one for one in facts if one[0] not in names and _whole(other.path, *one) not in held]


def _of(module: SnapshotModule, field: Field) -> tuple[tuple[str, Hashable], ...]:
    return module.own if field == "own" else module.settings


def _whole(path: str, name: str, fact: Hashable) -> tuple[str, Hashable]:
    return f"{path}.{name}".removeprefix("."), fact


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
