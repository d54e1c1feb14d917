"""WHAT to run of the user's own: a target, what it is made with, what goes in."""

from __future__ import annotations

import math
import shlex
from typing import Any

from pydantic import Field

from attntrace.spec.component import Component, Size
from attntrace.spec.document import parse_value
from attntrace.spec.run import RunSpec
from attntrace.spec.subject.tensors import TensorOf, wanted

AS_LEFT = ("device", "mode", "dtype")
"""What the user's own code decides where nobody else does."""


class Subject(Component):
    """A module or a function of the user's own, and how to run it once."""

    target: str
    """`path/to/file.py:Name`, `package.module:Name` or `hf:PATH`."""
    init: dict[str, Any] = Field(default_factory=dict)
    """Arguments of the constructor, or of the function that makes the module."""
    inputs: dict[str, Any] = Field(default_factory=dict)
    """Values of YAML, as `attntrace.spec.subject.tensors` reads them; "0", "1" are in order."""
    sizes: dict[str, Size] = Field(default_factory=dict)
    """The sizes that inputs name."""
    run: RunSpec = Field(default_factory=RunSpec)
    """Where and how; what is not set in it is as the user's own code leaves it."""

    def wanted(self) -> dict[str, Any]:
        """Return what each input is to be: TensorOf, plain values, and structures of both."""
        return {
            name: self.sizes.get(value, value) if isinstance(value, str) else value
            for name, value in ((name, wanted(value)) for name, value in self.inputs.items())
        }

    def says(self, name: str) -> bool:
        """Whether a setting of the run section was given."""
        return name in self.run.model_fields_set

    def settings(self) -> dict[str, Any]:
        """Return all of it as JSON has it; what the user's own code decides is not there.

        A value that JSON has no word for is the text that YAML has for it, else its type's name.
        """
        run = self.run.model_dump(mode="json")
        left = [name for name in run if name == "checkpoint" or self._is_left(name)]
        said = {name: value for name, value in run.items() if name not in left}
        parts = {name: plain(getattr(self, name)) for name in ("target", "init", "inputs", "sizes")}
        return {**parts, "run": said}

    def _is_left(self, name: str) -> bool:
        """Whether a setting of the run section is as the user's own code leaves it."""
        return name in AS_LEFT and not self.says(name)

    def command(self, *more: str) -> str:
        """Return a command line that runs the same target, with more arguments."""
        parts = {"--init": self.init, "--input": self.inputs, "--size": self.sizes}
        given = [
            word
            for flag, values in parts.items()
            for name, value in values.items()
            for word in (flag, flow(value) if name.isdigit() else f"{name}={flow(value)}")
        ]
        return shlex.join(["attntrace", "run", self.target, *given, *more])


def plain(value: Any) -> Any:
    """Return a value of a setting as JSON has it."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else flow(value)
    return value if value is None or isinstance(value, str | int) else type(value).__name__


def flow(value: Any) -> str:
    """Return a value as YAML on one line."""
    if isinstance(value, TensorOf):
        return str(value)
    if isinstance(value, str):
        return value if _is_plain(value) else _quoted(value)
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_inside(k)}: {_inside(v)}' for k, v in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_inside, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return {"None": "null", "inf": ".inf", "-inf": "-.inf", "nan": ".nan"}.get(
        str(value), str(value)
    )


def _inside(value: Any) -> str:
    """Return a value as it stands between brackets, where a text ends at a comma."""
    text = flow(value)
    safe = not isinstance(value, str) or text != value or not set(text) & set("[]{},")
    return text if safe else _quoted(value)


def _is_plain(text: str) -> bool:
    try:
        return text == text.strip() and len(text.splitlines()) == 1 and parse_value(text) == text
    except ValueError:
        return False


def _quoted(text: str) -> str:
    import json

    return json.dumps(text, ensure_ascii=False)
