"""The flags of a target, code of the user's own; and what they ask for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from attntrace.cli.request import Given, flags_of, loaded_from
from attntrace.errors import Problem, SettingsError

if TYPE_CHECKING:
    from attntrace.spec import Loaded, LoadedSubject

FLAGS = {"init": "init", "input": "inputs", "size": "sizes"}
"""The flags that only a target takes, each with the parameter that has its values."""


def asked_for(given: Given, problems: Sequence[Problem]) -> Loaded | LoadedSubject:
    """Return what a target, a file or a preset, `--set` and the flags ask for.

    Raises:
        SettingsError: with every problem of the settings, then `problems`, those of other flags.

    """
    from attntrace.spec import Typed, asks_for_subject, load_subject

    if not asks_for_subject(given["file"]):
        return loaded_from(given, [*_only_of_targets(given), *problems])
    texts = Typed(*(given[name] or () for name in FLAGS.values()))
    try:
        loaded = load_subject(
            given["file"], sets=given["sets"] or (), flags=flags_of(given), typed=texts
        )
    except SettingsError as error:
        raise SettingsError([*error.problems, *problems]) from None
    if problems:
        raise SettingsError(list(problems))
    return loaded


def _only_of_targets(given: Given) -> Iterator[Problem]:
    """Yield a problem for each flag that means nothing without a target."""
    for flag, name in FLAGS.items():
        for text in given[name] or ():
            message = (
                f"--{flag} is for code of your own, such as attntrace run file.py:Name; "
                "a block of attntrace's has flags of its own"
            )
            yield Problem(flag, message, f"--{flag} {text}")
