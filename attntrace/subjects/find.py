"""Importing the user's code as Python itself would, and finding a name in it."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from attntrace.errors import Problem, SettingsError
from attntrace.spec.target import Code, candidates
from attntrace.subjects.faults import blamed

_MANY = 8
_INSTALL = "install its package (pip install -e .)"


@contextmanager
def found(code: Code) -> Iterator[Any]:
    """Import a target's code, and yield what its name stands for.

    Within the block its folder is first on sys.path, as `python file.py` has it; a file in a
    package is imported as a part of that package, and of a module the current folder is; sys.argv
    has no arguments. Afterwards both are as before, and so is sys.modules but for what came from
    folders that were on the path anyway.

    Raises:
        SettingsError: no such module or name.
        BuildError: importing raised.

    """
    folder, module = _as_imported(code)
    with _first_on_path(folder), _without_arguments(code):
        if code.file is not None and "." not in module:
            yield _named(code, _run_file(code.file.resolve(), module))
        else:
            yield _named(code, _imported(code, module))


def _as_imported(code: Code) -> tuple[Path, str]:
    """Return the folder that has to be on the path, and the module's name below it."""
    if code.file is None:
        return Path.cwd(), code.module
    file = code.file.resolve()
    folder, parts = file.parent, [] if file.stem == "__init__" else [file.stem]
    while (folder / "__init__.py").is_file():
        folder, parts = folder.parent, [folder.name, *parts]
    return folder, ".".join(parts)


@contextmanager
def _without_arguments(code: Code) -> Iterator[None]:
    """Keep the words of our own command line from code that parses one."""
    words, sys.argv = sys.argv, [code.place]
    try:
        yield
    finally:
        sys.argv = words


@contextmanager
def _first_on_path(folder: Path) -> Iterator[None]:
    path, modules = list(sys.path), set(sys.modules)
    stays = any(Path(entry or ".").resolve() == folder for entry in path)
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path[:] = path
        new = set(sys.modules) - modules
        for name in [] if stays else [name for name in new if _lies_in(folder, name)]:
            del sys.modules[name]


def _lies_in(folder: Path, name: str) -> bool:
    """Whether a module, or the package it belongs to, is a file or a folder of `folder`."""
    top = sys.modules.get(name.partition(".")[0])
    places = [*getattr(top, "__path__", ()), getattr(top, "__file__", None)]
    return any(Path(place).resolve().parent == folder for place in places if place)


def _run_file(file: Path, name: str) -> ModuleType:
    """Return a fresh module of a file: it may have changed since the last time."""
    while name in sys.modules or name in sys.stdlib_module_names:
        name += "_"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None, "a .py file has a loader"
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    with blamed(f"{file.name} could not be imported"):
        spec.loader.exec_module(module)
    return module


def _imported(code: Code, name: str) -> ModuleType:
    with blamed(f"{code.place} could not be imported"):
        try:
            module = import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                raise
            message = f"no module {error.name!r} in this folder or installed"
            if "." not in error.name:
                file = f"src/{name.replace('.', '/')}.py:{code.name}"
                message += f"; {_INSTALL}, or name the file, such as {file}"
            raise SettingsError([Problem("target", message)]) from error
    here = getattr(module, "__file__", None)
    if code.file is not None and (here is None or Path(here).resolve() != code.file.resolve()):
        message = f"{name} is already {here}; run it where no other {name.partition('.')[0]} is"
        raise SettingsError([Problem("target", message)])
    return module


def _named(code: Code, module: ModuleType) -> Any:
    value: Any = module
    place = code.place
    for name in code.name.split("."):
        if not hasattr(value, name):
            raise SettingsError([Problem("target", _no_name(code, value, name, place))])
        value, place = getattr(value, name), name
    return value


def _no_name(code: Code, holder: Any, name: str, place: str) -> str:
    names = [other for other in vars(holder) if not other.startswith("_")]
    near = get_close_matches(name, names, n=1, cutoff=0.6)
    if near:
        return f"no {name!r} in {place}; did you mean {near[0]!r}?"
    there = candidates(code.file) if code.file and isinstance(holder, ModuleType) else []
    return f"no {name!r} in {place}" + (f"; it has {', '.join(there[:_MANY])}" if there else "")
