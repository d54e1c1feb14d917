"""Reading a YAML file, with the line and column of every key. YAML 1.2: `off` is a string."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from attntrace.errors import Problem, SettingsError


@dataclass(frozen=True, slots=True)
class Setting:
    """One value that the user gave, at its dotted path, with the words it was given in."""

    path: str
    value: Any
    where: str
    origin: str
    """ "flag", "--set", "file", "preset" or "python"."""
    above: str = ""
    """Where the section around it stands."""
    written: str = ""
    """The path that the user wrote, where it is another than ours."""
    empty: bool = False
    """Whether nothing at all stands where its value belongs: not even null."""

    @property
    def foreign(self) -> bool:
        """Whether it was given under another project's name."""
        return self.written not in ("", self.path)


EXPECT = "expect"
"""The section of which each entry has a place of its own, in a file with a target, too."""
_NULL = re.compile(r"(?:[&!]\S+\s+)*(?:~|null|Null|NULL)(?=[\s,}\]#]|$)")


def read_yaml(path: Path, shown: str = "") -> list[Setting]:
    """Return the leaves of a YAML file, in order; `shown` is what a preset is called in messages.

    A file with a target is about the user's own code: what stands in its sections is one value
    each, a mapping or not, but for what it expects.

    Raises:
        SettingsError: the file is missing, unreadable, not YAML, or not a mapping.

    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        text = path.read_text(encoding="utf-8")
        document = YAML().load(text)
    except OSError as error:
        raise _file_problem(path, f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise _file_problem(path, f"is not UTF-8 text (byte {error.start})") from error
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        raise _file_problem(place, f"is not YAML: {_reason(error)}") from error
    except YAMLError as error:  # a character that YAML forbids has no mark
        raise _file_problem(path, f"is not YAML: {str(error).splitlines()[0]}") from error
    if document is None:
        return []
    if not isinstance(document, Mapping):
        kind = "text" if isinstance(document, str) else "number"
        kind = "list" if isinstance(document, list) else kind
        message = f"a mapping of settings was expected, got a {kind}; write lines like 'heads: 4'"
        raise _file_problem(path, message)
    deepest = 2 if "target" in document else sys.maxsize
    file = _File(shown or str(path), text.splitlines(), deepest)
    leaves = _leaves(document, (), file, "")
    return [replace(leaf, origin="preset") for leaf in leaves] if shown else list(leaves)


def _reason(error: Any) -> str:
    """Return both halves of what a YAML parser says, on one line."""
    said = ", ".join(part for part in (error.context, error.problem) if part)
    return f"{said}; > is put in quotes: '> 0'" if "block scalar" in said else said


def parse_value(text: str) -> Any:
    """Return what the text of a `--set` means in YAML 1.2.

    Raises:
        ValueError: the text is not YAML.

    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        return YAML(typ="safe", pure=True).load(text)
    except MarkedYAMLError as error:
        raise ValueError(_reason(error)) from error
    except YAMLError as error:
        raise ValueError(str(error).splitlines()[0]) from error


def says_null(text: str) -> bool:
    """Whether a value's text is one of YAML's words for null, and not nothing at all."""
    return _NULL.match(text) is not None


@dataclass(frozen=True, slots=True)
class _File:
    name: str
    lines: list[str]
    deepest: int
    """How many keys a path has at most; what is below is a value."""

    def is_empty(self, mapping: Any, key: object) -> bool:
        """Whether a key that has no value lacks even the word null."""
        try:
            line, column = mapping.lc.value(key)
        except (KeyError, TypeError):  # a merged key stands somewhere else
            return False
        return line >= len(self.lines) or not says_null(self.lines[line][column:])


def _leaves(mapping: Any, path: tuple[str, ...], file: _File, above: str) -> Iterator[Setting]:
    for key, value in mapping.items():
        line, column = _place(mapping, key)
        where = f"{file.name}:{line + 1}:{column + 1}"
        inner = (*path, str(key))
        opened = len(inner) < file.deepest or inner[0] == EXPECT
        if isinstance(value, Mapping) and value and opened:
            yield from _leaves(value, inner, file, where)
        else:
            empty = value is None and file.is_empty(mapping, key)
            yield Setting(".".join(inner), _plain(value), where, "file", above, empty=empty)


def _place(mapping: Any, key: object) -> tuple[int, int]:
    """Return the line and column of a key, from 0; of a merged key, those in its own mapping."""
    try:
        line, column = mapping.lc.key(key)
    except (KeyError, TypeError):
        for merged in mapping.merge:
            source = merged[1] if isinstance(merged, tuple) else merged  # before ruamel.yaml 0.19
            if key in source:
                return _place(source, key)
        line, column = mapping.lc.line, mapping.lc.col
    return line, column


def _plain(value: Any) -> Any:
    """Return mappings and lists without what they know of their places."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _file_problem(where: Path | str, message: str) -> SettingsError:
    return SettingsError([Problem("file", message, str(where))])
