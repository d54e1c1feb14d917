"""The parameters of modules: how many scalars lie below each path, and what is each module's own."""

from __future__ import annotations

from collections import Counter, defaultdict
from functools import cached_property

from torch import Tensor, nn

from attntrace.analysis.nesting import around
from attntrace.capture.describe import dtype_name, layout_of, nested_text, plain, shape_of
from attntrace.capture.fence import unasked


class Below:
    """The parameters below each path, summed up and sorted out when that is first asked."""

    def __init__(self, parameters: dict[int, tuple[str, int]]) -> None:
        self._parameters = parameters
        self._forms: dict[str, dict[str, str]] = {}
        self.called: set[str] = set()
        """The modules that were entered."""

    def adopt(self, path: str, module: nn.Module) -> None:
        """Note what the parameters are that a module itself has; a tied one is there by each name."""
        found = module._parameters.items()  # noqa: SLF001 - `named_parameters` takes twice as long
        with unasked():
            forms = {name: _form(parameter) for name, parameter in found if parameter is not None}
        if forms:
            self._forms[path] = forms

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
        """By path of a module that was entered, what its own parameters are, by name.

        What lies in a module that nobody entered, as in a list of parameters, is its own of the one
        around that.
        """
        found: dict[str, dict[str, str]] = defaultdict(dict)
        for path, forms in self._forms.items():
            if path in self.called:
                found[path] |= forms
                continue
            home = next((way for way in reversed(around(path)) if way in self.called), None)
            if home is not None:
                ahead = path[len(home) :].removeprefix(".")
                found[home] |= {f"{ahead}.{name}": form for name, form in forms.items()}
        return found


def _form(parameter: Tensor) -> str:
    """Return "float32[192, 49]"; of what has no shape "float32 uninitialized"."""
    dtype, shape = dtype_name(parameter.dtype), shape_of(parameter)
    sizes = plain(shape)
    if sizes is not None:
        return f"{dtype}{list(sizes)}"
    return f"{dtype} {layout_of(parameter) if shape is None else nested_text('jagged', shape)}"
