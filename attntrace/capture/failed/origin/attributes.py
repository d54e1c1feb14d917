"""What a line took from its module: the sizes and the plain tensors that constructors put there."""

from __future__ import annotations

import re
from collections.abc import Iterator

from torch import Tensor, nn

from attntrace.analysis.diagnosis import FailedCall
from attntrace.capture.failed.origin.constructors import agrees, built_at
from attntrace.capture.failed.origin.retrace import Value, attributes
from attntrace.capture.failed.origin.told import steps_of
from attntrace.capture.failed.values.settings import held
from attntrace.record import Step

_OWN = re.compile(r"self\.(\w+)")


def sizes_of(call: FailedCall, root: nn.Module | None, path: str) -> Iterator[Step]:
    """Yield the lines that set the numbers a call was given as `self.heads` and the like."""
    for key, (begin, end) in call.spans.items():
        own, size = _OWN.fullmatch(call.text[begin:end]), call[key]
        if own and isinstance(size, int) and root is not None:
            made = _made(root, path, own[1])
            if made is not None and agrees(made, size):
                yield from steps_of(made, own[1], size, path or type(root).__name__, made)


def size_on(line: str, size: int, root: nn.Module | None, path: str) -> Iterator[Step]:
    """Yield the lines that set the only `self.name` on a line that is a number of that size."""
    live = root.get_submodule(path) if root is not None else None
    if live is None or size < 2:
        return
    own = vars(live)
    names = [one for one in dict.fromkeys(_OWN.findall(line)) if own.get(one) == size]
    made = _made(root, path, names[0]) if len(names) == 1 and type(own[names[0]]) is int else None
    if made is not None and agrees(made, size):
        yield from steps_of(made, names[0], size, path or type(root).__name__, made)


def left_behind(line: str, root: nn.Module | None, path: str) -> Iterator[Step]:
    """Yield the lines that made the plain tensors a line reads, which `model.to(...)` leaves."""
    for name in dict.fromkeys(_OWN.findall(line)):
        live = root.get_submodule(path) if root is not None else None
        if live is None or name in vars(live)["_buffers"] or name in vars(live)["_parameters"]:
            continue
        made = _made(root, path, name) if isinstance(held(live, name), Tensor) else None
        if made is not None and made.place is not None:
            yield Step(
                said=f"`self.{name}` is a plain tensor, no buffer: model.to(...) leaves it behind.",
                source=made.place.source,
                line=made.place.text,
            )


def _made(root: nn.Module | None, path: str, name: str) -> Value | None:
    """Return what a constructor made an attribute of, on paper."""
    built = built_at(root, path) if root is not None else None
    return attributes(built).get(name) if built is not None else None
