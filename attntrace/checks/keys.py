"""Keys: what the baseline of a config is called, and whether that config is still there.

The key is the path of the config from the folder that the baselines' folder is in, so
`configs/gpt2.yaml` has `.attntrace/configs/gpt2.yaml.json`. A preset has its own name; code of the
user's own has its file or module and, behind "#", the name in it: `models/vit.py#Block`,
`package.module#Block`; `hf:PATH` has `hf#/PATH`. Two configs never have the same key; keys that
differ in capitals alone, such as `vit.py#block`, share a file where the file system has it so.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from itertools import accumulate
from pathlib import Path
from urllib.parse import quote, unquote

from attntrace.checks.find import YAML
from attntrace.errors import Problem, SettingsError

HF = "hf#/"
_UNSAFE = re.compile(r'[\x00-\x1f\x7f<>:"\\|?*%#\ud800-\udfff]')
"""What file systems refuse, and what keys have a meaning for: written as %3A is for a colon."""
_UNTOLD = re.compile(r"import\s+\*|\bglobals\b|\b(?:set|__get)attr")
"""Found in code that may define names which are not written in it."""
_ODD = "surrogateescape"
"""How Python keeps the bytes of a file's name that are no text."""


def key_of(target: str, root: Path) -> str:
    """Return the key of a YAML file, a preset or code of the user's own in a folder of baselines.

    Its parts have "/" between them, and it is a file's name on any system once ".json" is added.

    Raises:
        SettingsError: the file lies outside of the folder that `root` is in.

    """
    from attntrace.spec.presets import path_of
    from attntrace.spec.target import HF as OF_TRANSFORMERS
    from attntrace.spec.target import code_of

    if target.startswith(OF_TRANSFORMERS):
        return HF + _place(target, target.removeprefix(OF_TRANSFORMERS), root)
    code = code_of(target)
    if code is not None:
        where = _place(target, code.file, root) if code.file else _quoted(code.module)
        return f"{where}#{_quoted(code.name)}"
    if not Path(target).exists() and path_of(target):
        return target
    place = _place(target, target, root)
    return place if place.endswith(YAML) else f"{place}#"


def has_owner(key: str, root: Path) -> bool:
    """Whether the config or code of a key is there; True also where that cannot be told.

    No code of the user's own is run to find out.
    """
    from attntrace.spec.presets import path_of

    above = Path(_absolute(root)).parent
    if key.startswith(HF):
        return _is_there(above / unquote(key.removeprefix(HF), errors=_ODD))
    place, mark, name = (unquote(part, errors=_ODD) for part in key.partition("#"))
    if mark and name:
        file = above / place if place.endswith(".py") else _file_of_module(place, above)
        return file is not None and _is_there(file) and _may_hold(file, name)
    return bool(not mark and path_of(place)) or _is_there(above / place)


def _place(target: str, path: str | Path, root: Path) -> str:
    """Return the path of a file from the folder that holds `root`, links resolved if they must be."""
    for way in (_absolute, os.path.realpath):
        inside, above = Path(way(path)), Path(way(Path(_absolute(root)).parent))
        if inside.is_relative_to(above):
            return _quoted(inside.relative_to(above).as_posix())
    message = (
        f"lies outside of {above}, below which {root} keeps baselines by path; "
        f"use --baselines {Path(_absolute(path)).parent / root.name}"
    )
    raise SettingsError([Problem("baselines", message, target)])


def _absolute(path: str | Path) -> str:
    return os.path.abspath(path)  # noqa: PTH100 - unlike Path's, without ".."


def _quoted(text: str) -> str:
    return _UNSAFE.sub(lambda found: quote(found[0], safe="", errors=_ODD), text)


def _is_there(path: Path) -> bool:
    """Whether a path leads to something, or to where nobody may look."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    except OSError:
        return True
    return True


def _may_hold(file: Path, name: str) -> bool:
    """Whether a file of code may define a name: it is written there, or nobody can tell."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return True
    first = re.escape(name.partition(".")[0])
    return bool(re.search(rf"\b{first}\b", text) or _UNTOLD.search(text))


def _file_of_module(module: str, above: Path) -> Path | None:
    """Return the file of a module that could be imported, None where there is none."""
    importlib.invalidate_caches()
    path: Sequence[str] | None = [str(Path.cwd()), str(above), *sys.path]
    found: ModuleSpec | None = None
    for part in accumulate(module.split("."), "{}.{}".format):
        found = _spec(part, path) if path is not None else None
        path = found.submodule_search_locations if found else None
    return Path(found.origin) if found and found.origin else None


def _spec(module: str, path: Sequence[str]) -> ModuleSpec | None:
    specs = (finder.find_spec(module, path) for finder in sys.meta_path)
    return next((spec for spec in specs if spec is not None), None)
