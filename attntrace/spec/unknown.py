"""What to say of a key that no setting has: which one was probably meant."""

from __future__ import annotations

from difflib import get_close_matches

from attntrace.spec.aliases import aliases
from attntrace.spec.document import EXPECT
from attntrace.spec.fields import fields, members, sections

MANY = 12
"""Settings of a section from which on they are not all listed in a message."""
_OF_TARGETS = ("init", "inputs", "sizes")


def unknown(path: str) -> str:
    """Return what is wrong with a key, and the one that was meant, or those that there are."""
    if path.partition(".")[0] in _OF_TARGETS:
        return f"{path!r} is for code of your own, and there is no target; add target: file.py:Name"
    near = _meant(path)
    if near:
        meant = " or ".join(map(repr, near))
        return f"unknown key {path!r}; did you mean {meant}?"
    section = path.rpartition(".")[0]
    if section not in sections():
        return f"unknown key {path!r}; there are {', '.join([*_names(''), *sections(), EXPECT])}"
    if len(_names(section)) > MANY:
        return f"unknown key {path!r}; `attntrace fields {section}` lists what there is"
    return f"unknown key {path!r}; there are {', '.join(_names(section))}"


def _names(section: str) -> list[str]:
    return [field.path for field in members(section)]


def settings_named(name: str) -> list[str]:
    """Return the paths of the settings that a path, a bare name or another project's name means."""
    if name in fields():
        return [name]
    same = [field.path for field in fields().values() if field.name == name]
    alias = aliases().get(name)
    return list(dict.fromkeys([*same, *(alias.paths if alias else ())]))


def _meant(path: str) -> list[str]:
    """Return the key of the same name elsewhere, else the nearest one, else none."""
    name = path.rpartition(".")[2].lower()
    same = [field.path for field in fields().values() if field.name == name]
    if same:
        return same
    if name in aliases():
        return [aliases()[name].path]
    section = path.rpartition(".")[0]
    here = {field.name: field.path for field in members(section)}
    anywhere = {key.rpartition(".")[2]: key for key in (*fields(), *sections(), EXPECT)}
    for names in (here, anywhere):
        near = get_close_matches(name, names, n=1, cutoff=0.7)
        if near:
            return [names[near[0]]]
    return get_close_matches(name, aliases(), n=1, cutoff=0.75)
