"""Which configs are to be checked: of folders, files, presets and targets."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

from attntrace.errors import Problem, SettingsError

Kind = Literal["file", "preset", "target"]
DEFAULT = "configs/"
YAML = (".yaml", ".yml")
NO_YAML = "no *.yaml or *.yml below this folder; name one that has configs"
NO_FILE = "is neither a file nor a folder"


@dataclass(frozen=True, slots=True)
class Checked:
    """One config that is to be checked."""

    name: str
    """As the user gave it, or below a folder that the user gave: "configs/gpt2.yaml"."""
    kind: Kind
    """A YAML file, a preset's name, or code of the user's own: "model.py:Block"."""


def find(arguments: Sequence[str | Path] = (), *, baselines: Path | None = None) -> list[Checked]:
    """Return the configs that folders, files, presets and targets stand for, each once, in order.

    Of a folder they are all `*.yaml` and `*.yml` below it, sorted by path, whatever is in them: one
    that is no config of ours is refused where it runs, never passed over. What is hidden (its name
    begins with a dot) is left out there, and so is the folder of the baselines. Any file that is
    named is a config. Without arguments the folder is `configs/`.

    Raises:
        SettingsError: with every argument that stands for nothing.

    """
    problems: list[Problem] = []
    found: dict[str, Checked] = {}
    for argument in arguments or (DEFAULT,):
        text = str(argument)
        for one in _meant_by(text, bool(arguments), baselines, problems):
            place = os.path.abspath(one.name) if one.kind == "file" else one.name  # noqa: PTH100
            found.setdefault(place, one)
    if problems:
        raise SettingsError(problems)
    return list(found.values())


def _meant_by(
    text: str, named: bool, baselines: Path | None, problems: list[Problem]
) -> Iterator[Checked]:
    """Yield the configs that one argument stands for; note a problem where it stands for none."""
    from attntrace.spec.presets import path_of
    from attntrace.spec.target import is_target

    path = Path(text)
    mode = _mode(path)
    if stat.S_ISDIR(mode):
        yield from _below(path, baselines, problems)
    elif is_target(text):
        yield Checked(text, "target")
    elif stat.S_ISREG(mode):
        yield Checked(str(path), "file")
    elif path_of(text):
        yield Checked(text, "preset")
    else:
        problems.append(Problem("paths", _why_nothing(text, named), text))


def _mode(path: Path) -> int:
    """Return the mode of what a path leads to, 0 where there is nothing or it cannot be seen."""
    try:
        return path.stat().st_mode
    except (OSError, ValueError):
        return 0


def _why_nothing(text: str, named: bool) -> str:
    """Return why an argument stands for nothing."""
    from attntrace.spec.presets import is_name, no_such

    path = Path(text)
    if _mode(path):
        return NO_FILE
    if not named:
        return (
            "there is no such folder here, which is what is checked where nothing is named; "
            "name a folder, a YAML file, a preset or a target, such as attntrace check models/"
        )
    try:
        path.stat()
    except PermissionError as error:
        return f"cannot be read: {error.strerror}"
    except (OSError, ValueError):
        pass
    near = get_close_matches(path.name, _names_beside(path), n=1, cutoff=0.6)
    if near:
        return f"there is no such file or folder; did you mean {str(path.with_name(near[0]))!r}?"
    return no_such(text) if is_name(text) else "there is no such file or folder"


def _names_beside(path: Path) -> list[str]:
    try:
        return [other.name for other in path.parent.iterdir()]
    except OSError:
        return []


def _below(folder: Path, baselines: Path | None, problems: list[Problem]) -> Iterator[Checked]:
    """Yield the YAML files below a folder; note as problems what in it cannot be read."""
    unread: list[OSError] = []
    files = sorted(_files(folder, baselines, unread, ()))
    for error in unread:
        message = f"the folder cannot be read: {error.strerror}"
        problems.append(Problem("paths", message, str(error.filename)))
    if not files and not unread:
        problems.append(Problem("paths", NO_YAML, str(folder)))
    for file in files:
        if stat.S_ISREG(_mode(file)) or not _mode(file):
            yield Checked(str(file), "file")
        else:
            problems.append(Problem("paths", NO_FILE, str(file)))


def _files(
    folder: Path, baselines: Path | None, unread: list[OSError], above: tuple[Path, ...]
) -> Iterator[Path]:
    """Yield the YAML files below a folder, links followed but for those that lead back up."""
    real = folder.resolve()
    if real in above or (baselines is not None and real == baselines.resolve()):
        return
    try:
        inside = list(folder.iterdir())
    except OSError as error:
        unread.append(error)
        return
    for path in inside:
        if path.name.startswith("."):
            continue
        if stat.S_ISDIR(_mode(path)):
            yield from _files(path, baselines, unread, (*above, real))
        elif path.suffix in YAML:
            yield path
