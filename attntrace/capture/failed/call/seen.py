"""A call that raised, as a witness saw it: everything about it that must not be kept alive."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from torch import Tensor

from attntrace.analysis.diagnosis import Called, FailedCall, Given
from attntrace.analysis.diagnosis.call import Key, Span
from attntrace.capture.failed.call.given import described, given
from attntrace.capture.failed.call.written import Written, written
from attntrace.capture.failed.values.settings import constructor_settings
from attntrace.capture.fence import unasked
from attntrace.capture.ledger import Ledger
from attntrace.capture.source import Site, caller

if TYPE_CHECKING:
    from attntrace.capture.hooks import Visit

_METHODS = ("method_descriptor", "wrapper_descriptor", "getset_descriptor")


@dataclass(frozen=True, slots=True)
class Seen:
    """One call of torch's that raised."""

    call: FailedCall
    function: Callable[..., Any]
    path: str
    site: Site | None
    levels: int
    """How many modules of torch's own it is inside of; 0 where the author wrote it."""
    by_dispatcher: bool
    """Whether only the dispatcher saw it."""
    is_handed: bool = False
    """Whether its first tensor is what the author handed to those modules, as it was."""

    @classmethod
    def of(
        cls, function: Callable[..., Any], op: str, given_to: Any, ledger: Ledger,
        inside: Sequence[Visit],
    ) -> Seen:  # fmt: skip
        """Describe a call while its tensors are alive; `inside` are torch's own modules around it."""
        args, kwargs = given_to

        def namer(tensor: Tensor) -> Given:
            return given_by(ledger, tensor)

        with unasked():
            call = FailedCall(
                op=op,
                args=tuple(described(arg, namer) for arg in args),
                kwargs={key: described(value, namer) for key, value in (kwargs or {}).items()},
                module=_called(inside[-1]) if inside else None,
            )
        row = next((ledger.row_of(one) for one in args if isinstance(one, Tensor)), None)
        is_handed = row is not None and row.inside is None
        by_dispatcher = op.startswith("aten.")
        return cls(
            call, function, ledger.path, caller(2), len(inside), by_dispatcher, is_handed=is_handed
        )

    @property
    def is_reflected(self) -> bool:
        """Whether it is an operator whose right side was asked: `1 - mask`."""
        name = getattr(self.function, "__name__", "")
        return name.startswith("__r") and hasattr(Tensor, f"__{name[3:]}")

    def told(self) -> tuple[FailedCall, Written]:
        """Return the call in the author's words, and how it is written."""
        if self.site is None:
            return self.call, Written()
        own = getattr(self.function, "__qualname__", "").startswith("Tensor.")  # as split is
        is_method = own or type(self.function).__name__ in _METHODS
        source = written(self.site, method=is_method and self.levels == 0)
        if self.is_reflected or (self.call.op == "index" and 1 in source.spans):
            source = source.reflected()
        call = replace(self.call, text=source.text)
        if self.levels == 0:
            if self.by_dispatcher:
                return call, source
            return _renamed(replace(call, spans=source.spans), source), source
        return _inside(call, source, self), source


def _called(visit: Visit) -> Called | None:
    module = visit.module
    if module is None:
        return None
    kind, settings = type(module).__name__, constructor_settings(module)
    return Called(type=kind, text="", path=visit.path, settings=settings)


def given_by(ledger: Ledger, tensor: Tensor, name: str = "") -> Given:
    """Return a tensor as data with its row and its path; called as its row is, where no name is."""
    row, life = ledger.row_of(tensor), ledger.storages.find(tensor)
    is_whole = life is not None and None in (life.row, row)
    owner = life.name if life is not None and is_whole else None
    path = owner if life is not None and life.owner in ("parameter", "buffer") else None
    name = name or (row.title() if row else None) or owner or ""
    return given(tensor, name, row.index if row else None, path)


def _renamed(call: FailedCall, source: Written) -> FailedCall:
    """Return the call with tensors called what the author wrote for them."""
    args = tuple(_named(arg, source, place) for place, arg in enumerate(call.args))
    kwargs = {key: _named(value, source, key) for key, value in call.kwargs.items()}
    return replace(call, args=args, kwargs=kwargs)


def _named(value: Any, source: Written, key: int | str, *within: int | str) -> Any:
    if isinstance(value, Given):
        return replace(value, name=source.name(key, *within) or value.name or f"argument {key}")
    if isinstance(value, (tuple, list)):
        first = value[0] if len(value) == 1 else None
        if isinstance(first, Given) and first.name == source.name(key, *within):
            return value  # torch put it into a tuple, as autograd.grad does
        parts = [_named(part, source, key, *within, n) for n, part in enumerate(value)]
        return parts if isinstance(value, list) else tuple(parts)
    if isinstance(value, dict):
        return {name: _named(part, source, key, *within, name) for name, part in value.items()}
    return value


def _inside(call: FailedCall, source: Written, seen: Seen) -> FailedCall:
    """Return a call that a module of torch's own made: its weights are "self.qkv.weight".

    What the author handed to the module the function got in the same order, where that module is
    the only one, or where it is the first in a sequence.
    """
    module, levels = call.module, seen.levels
    assert module is not None, "it is inside of one"
    text = source.text.split("(", maxsplit=1)[0] if source.text else module.path
    last = module.path.rpartition(".")[2]
    if levels > 1 and text.rpartition(".")[2] != last:
        text = f"{text}[{last}]" if last.isdigit() else module.path
    called = replace(module, text=text)

    def is_its_own(value: Given) -> bool:
        return value.path is not None and value.path.rpartition(".")[0] == module.path

    def name_of(value: Any, place: int) -> Any:
        if not isinstance(value, Given):
            return value
        if is_its_own(value):
            return replace(value, name=f"{text}.{(value.path or '').rpartition('.')[2]}")
        is_first = seen.is_handed and place == 0
        given_here = source.name(place) if levels == 1 or is_first else None
        return replace(value, name=given_here or value.name or "its input")

    args = tuple(name_of(arg, place) for place, arg in enumerate(call.args))
    kwargs = {key: name_of(value, -1) for key, value in call.kwargs.items()}
    handed = [
        n for n, arg in enumerate(call.args) if isinstance(arg, Given) and not is_its_own(arg)
    ]
    spans: dict[Key, Span] = {
        place: source.spans[place] for place in handed if levels == 1 and place in source.spans
    }
    return replace(call, args=args, kwargs=kwargs, module=called, spans=spans)
