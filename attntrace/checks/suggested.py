"""What an error suggests to run, in the words of the command that the user gave."""

from __future__ import annotations

import re
import shlex
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace

from attntrace.errors import SettingsError

_RUN = re.compile(r"\bsuch as\n(?P<indent> *)attntrace run (?P<words>.+)$", re.MULTILINE)
_SHAPE = re.compile(r"[\w+*/-]+(?:,[\w+*/-]+)+")
_SECTIONS = {"--init": "init", "--input": "inputs", "--size": "sizes"}


def as_diff(error: SettingsError, sides: Sequence[str]) -> SettingsError:
    """Return an error that suggests the same flags for `attntrace diff` of these sides."""

    def command(found: re.Match[str]) -> str:
        flags = shlex.split(found["words"])[1:]
        return f"such as\n{found['indent']}{shlex.join(['attntrace', 'diff', *sides, *flags])}"

    return _said_anew(error, command)


def as_yaml(error: SettingsError) -> SettingsError:
    """Return an error that suggests the lines of a YAML file: a check takes no such flags."""

    def lines(found: re.Match[str]) -> str:
        target, *words = shlex.split(found["words"])
        sections = defaultdict[str, list[str]](list)
        for flag, text in zip(words[::2], words[1::2], strict=True):
            sections[_SECTIONS[flag]].append(_entry(text))
        told = [f"{name}: {{{', '.join(entries)}}}" for name, entries in sections.items()]
        file = [f"{found['indent']}{line}" for line in (f"target: {target}", *told)]
        return "\n".join(["such as in this YAML file:", *file])

    return _said_anew(error, lines)


def _said_anew(error: SettingsError, words: Callable[[re.Match[str]], str]) -> SettingsError:
    return SettingsError([
        replace(one, message=_RUN.sub(words, one.message))
        for one in error.problems
    ])  # fmt: skip


def _entry(text: str) -> str:
    """Return `name=value` of a command line as an entry of a mapping in YAML."""
    name, _, value = text.partition("=")
    if _SHAPE.fullmatch(value):
        value = f"[{value.replace(',', ', ')}]"
    elif "[" in value and value[0] not in "[{":  # int64[2,16]
        value = f"'{value}'"
    return f"{name}: {value}"
