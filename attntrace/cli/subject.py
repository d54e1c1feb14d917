"""The flags of a target, code of the user's own; and what they ask for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import typer

from attntrace.cli.request import Given, flags_of
from attntrace.errors import Problem, SettingsError

if TYPE_CHECKING:
    from attntrace.spec import Loaded, LoadedSubject

FLAGS = {"init": "init", "input": "inputs", "size": "sizes"}
"""The flags that only a target takes, each with the parameter that has its values."""


def asked_for(given: Given, problems: Sequence[Problem], **defaults: Any) -> Loaded | LoadedSubject:
    """Return what `loaded_from` does; say on stderr what of it is left out.

    Raises:
        SettingsError: with every problem of the settings, then `problems`, those of other flags.

    """
    try:
        loaded = loaded_from(given, **defaults)
    except SettingsError as error:
        raise SettingsError([*error.problems, *problems]) from None
    if problems:
        raise SettingsError(list(problems))
    for note in loaded.notes:
        typer.echo(f"attntrace: note: {note}", err=True)
    return loaded


def loaded_from(given: Given, **defaults: Any) -> Loaded | LoadedSubject:
    """Return what a target, a file or a preset, `--set` and the flags ask for.

    `defaults` are settings where nobody says more.

    Raises:
        SettingsError: with every problem of the settings.

    """
    from attntrace.spec import Typed, asks_for_subject, load, load_subject

    file, sets, flags = given["file"], given["sets"] or (), flags_of(given)
    if asks_for_subject(file):
        typed = Typed(*(given[name] or () for name in FLAGS.values()))
        return load_subject(file, sets=sets, flags=flags, typed=typed, defaults=defaults)
    wrong = list(_only_of_targets(given))
    try:
        loaded = load(file, sets=sets, flags=flags, defaults=defaults)
    except SettingsError as error:
        raise SettingsError([*error.problems, *wrong]) from None
    if wrong:
        raise SettingsError(wrong)
    return loaded


def _only_of_targets(given: Given) -> Iterator[Problem]:
    """Yield a problem for each flag that means nothing without a target."""
    for flag, name in FLAGS.items():
        for text in given[name] or ():
            message = (
                f"--{flag} is for code of your own, such as attntrace run file.py:Name; "
                "a block of attntrace's has flags of its own"
            )
            yield Problem(flag, message, f"--{flag} {text}", alone=True)
