"""Where code of the user's own is: `path/to/file.py:Name`, `package.module:Name`, `hf:PATH`."""

from __future__ import annotations

import ast
import re
import warnings
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

HF = "hf:"
_MANY = 8
_DOTTED = r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*"
_CODE = re.compile(
    rf"(?P<file>.*\.py)(?::(?P<name>.*))?|(?P<module>{_DOTTED}):(?P<inside>{_DOTTED})"
)


@dataclass(frozen=True, slots=True)
class Code:
    """A name in a file, or in a module that can be imported."""

    file: Path | None
    module: str
    """Empty where it is a file."""
    name: str
    """May be dotted; empty where it was left out."""

    @property
    def place(self) -> str:
        """The file or the module as the user wrote it."""
        return self.module or str(self.file)


def is_target(text: str) -> bool:
    """Whether a text means code of the user's own, rather than a preset or a YAML file."""
    return text.startswith(HF) or _CODE.fullmatch(text) is not None


def code_of(target: str) -> Code | None:
    """Return where a target's code is, None where it is no such target."""
    found = None if target.startswith(HF) else _CODE.fullmatch(target)
    if found is None:
        return None
    if found["file"] is None:
        return Code(None, found["module"], found["inside"])
    return Code(Path(found["file"]), "", (found["name"] or "").strip())


def missing_part(target: str) -> str | None:
    """Return what a target lacks that can be said without running it, None where it lacks nothing."""
    code = code_of(target)
    if code is None or code.file is None:
        if code is None and not target.startswith(HF):
            return f"no target {target!r}; write file.py:Name, package.module:Name or hf:PATH"
        return None
    if not code.file.is_file():
        return _no_file(code.file)
    return _unreadable(code.file) or (None if code.name else _which(code.file))


def _no_file(file: Path) -> str:
    here = [path.name for path in file.parent.glob("*.py")]
    near = get_close_matches(file.name, here, n=1, cutoff=0.6)
    end = f"; did you mean {str(file.with_name(near[0]))!r}?" if near else ""
    return f"no file {str(file)!r}{end}"


def _unreadable(file: Path) -> str | None:
    """Return why a file is no Python, as importing it would find out, once torch is there."""
    try:
        _parsed(file)
    except SyntaxError as error:
        text = (error.text or "").strip()
        return f"{file}:{error.lineno} is no Python: {error.msg}: {text}".removesuffix(": ")
    except (OSError, ValueError) as error:
        return f"{file} cannot be read: {error}"
    return None


def _parsed(file: Path) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of "\d" and the like: said when it is imported
        return ast.parse(file.read_bytes(), filename=str(file))


def _which(file: Path) -> str:
    found = candidates(file)
    if not found:
        return f"which? Name a module, or a function of {file}, as in {file}:Name"
    listed = ", ".join(found[:_MANY]) + (f" and {len(found) - _MANY} more" if found[_MANY:] else "")
    return f"which? {file.name} has {listed}; such as attntrace run {file}:{found[0]}"


def candidates(file: Path) -> list[str]:
    """Return the names in a file that may be what is to be run, in order, without running it.

    Classes that inherit, functions, and what a class was called for: no name that begins with _.
    """
    try:
        tree = _parsed(file)
    except (SyntaxError, ValueError, OSError):
        return []
    return [name for node in tree.body for name in _named(node) if not name.startswith("_")]


def _named(node: ast.stmt) -> list[str]:
    match node:
        case ast.ClassDef(name=name, bases=bases):
            return [name] if bases else []
        case ast.FunctionDef(name=name):
            return [name]
        case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=called)):
            return [name] if ast.unparse(called).rpartition(".")[2][:1].isupper() else []
        case _:
            return []
