"""The parameters and settings of modules: how many scalars lie below each path, what is its own."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from functools import cached_property
from typing import TypeVar

from torch import Tensor, nn

from attntrace.analysis.nesting import around
from attntrace.capture.describe import dtype_name, layout_of, nested_text, plain, shape_of
from attntrace.capture.fence import unasked
from attntrace.capture.settings import settings_of
from attntrace.record.runs import Setting

_Fact = TypeVar("_Fact", str, Setting)


class Below:
    """The parameters below each path, summed up and sorted out when that is first asked."""

    def __init__(self, parameters: dict[int, tuple[str, int]]) -> None:
        self._parameters = parameters
        self._forms: dict[str, dict[str, str]] = {}
        self._settings: dict[str, dict[str, Setting]] = {}
        self.called: set[str] = set()
        """The modules that were entered."""

    def adopt(self, path: str, module: nn.Module) -> None:
        """Note the parameters that a module itself has, a tied one by each name, and its settings."""
        found = module._parameters.items()  # noqa: SLF001 - `named_parameters` takes twice as long
        with unasked():
            forms = {name: _form(parameter) for name, parameter in found if parameter is not None}
        if forms:
            self._forms[path] = forms
        if settings := settings_of(module):
            self._settings[path] = settings

    @cached_property
    def scalars(self) -> Counter[str]:
        """Scalars by path."""
        below: Counter[str] = Counter()
        for path, scalars in self._parameters.values():
            for way in around(path):
                below[way] += scalars
        return below

    @cached_property
    def own(self) -> dict[str, dict[str, str]]:
        """By path of a module that was entered, what its own parameters are, by name."""
        return self._homes(self._forms)

    @cached_property
    def settings(self) -> dict[str, dict[str, Setting]]:
        """By path of a module that was entered, how it was made, by name."""
        return self._homes(self._settings)

    def _homes(self, facts: Mapping[str, dict[str, _Fact]]) -> dict[str, dict[str, _Fact]]:
        """Return facts by the path of a module that was entered.

        What lies in a module that nobody entered, as in a list of parameters, is of the one around
        that, with the way to it before the name.
        """
        found: dict[str, dict[str, _Fact]] = defaultdict(dict)
        for path, named in facts.items():
            home = next((way for way in reversed(around(path)) if way in self.called), None)
            if home is not None:
                ahead = f"{path[len(home) :].removeprefix('.')}." if path != home else ""
                found[home] |= {f"{ahead}{name}": fact for name, fact in named.items()}
        return found


def _form(parameter: Tensor) -> str:
    """Return "float32[192, 49]"; of what has no shape "float32 uninitialized"; ", frozen" behind it."""
    dtype, shape = dtype_name(parameter.dtype), shape_of(parameter)
    sizes = plain(shape)
    frozen = "" if parameter.requires_grad else ", frozen"
    if sizes is not None:
        return f"{dtype}{list(sizes)}{frozen}"
    layout = layout_of(parameter) if shape is None else nested_text("jagged", shape)
    return f"{dtype} {layout}{frozen}"
