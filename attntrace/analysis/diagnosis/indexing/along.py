"""Parts of one axis: narrow, select, and the windows of Tensor.unfold."""

from __future__ import annotations

from collections.abc import Callable

from attntrace.analysis.diagnosis.call import Culprit, Explained, FailedCall, Given, Proposal
from attntrace.analysis.diagnosis.layers.window import is_method
from attntrace.analysis.diagnosis.text import plain


def explain(call: FailedCall) -> Explained | None:
    """Return why a part of an axis cannot be taken."""
    found = _OPS.get(plain(call.op))
    return found(call) if found else None


def _narrow(call: FailedCall) -> Explained | None:
    """Return why a part of an axis is longer than the axis: narrow."""
    found, begin, count = _axis(call), call.argument(2, "start"), call.argument(3, "length")
    if found is None or type(begin) is not int or type(count) is not int:
        return None
    x, dim, size = found
    key = call.key(3, "length")
    begin += size if begin < 0 else 0
    if begin + count <= size:
        return None
    rule = f"narrow takes {count} from {begin} on of axis {dim} of {x.name}, {x.shape}, up to "
    rule += f"{begin} + {count} = {begin + count}, and there are {size}."
    fixes = []
    if begin < size:
        code = call.code({key: str(size - begin)})
        said = f"take the {size - begin} that are left"
        fixes = [Proposal(said=said, code=code, call=call.at({key: size - begin}))]
    return _said(rule, x, dim, *fixes, _longer(call, x, dim, begin + count))


def _longer(call: FailedCall, x: Given, dim: int, size: int) -> Proposal:
    """Return the same part of a longer axis."""
    shape = x.shape or ()
    wide = x.of_shape(*shape[:dim], size, *shape[dim + 1 :])
    said = f"make {x.name} at least {size} long along axis {dim}"
    return Proposal(said=said, call=call.at({call.key(0, "input"): wide}))


def _said(rule: str, x: Given, dim: int, *fixes: Proposal) -> Explained:
    return Explained(rule=rule, culprits=(Culprit(tensor=x, dim=dim),), proposals=fixes)


def _axis(call: FailedCall) -> tuple[Given, int, int] | None:
    """Return the tensor, the axis and its size; None where the axis is none of the tensor's."""
    x = call.argument(0, "input")
    dim = call.argument(1, "dim", call.kwargs.get("dimension"))
    if not isinstance(x, Given) or not x.shape or type(dim) is not int:
        return None
    return (x, dim % x.rank, x.shape[dim]) if -x.rank <= dim < x.rank else None


def _pick(call: FailedCall) -> Explained | None:
    """Return why an axis has no such number: select."""
    found, index = _axis(call), call.argument(2, "index")
    if found is None or type(index) is not int or -found[2] <= index < found[2]:
        return None
    x, dim, size = found
    rule = (
        f"select asks for number {index} of axis {dim} of {x.name}, {x.shape}, which has {size}: "
    )
    key = call.key(2, "index")
    code = call.code({key: "-1"})
    last = Proposal(said=f"take the last, {size - 1}", code=code, call=call.at({key: -1}))
    return _said(f"{rule}0 to {size - 1}.", x, dim, last, _longer(call, x, dim, index + 1))


def _windows(call: FailedCall) -> Explained | None:
    """Return why windows are longer than the axis that they slide along: Tensor.unfold."""
    found, wide = _axis(call), call.argument(2, "size")
    if found is None or type(wide) is not int or wide <= found[2] or not is_method(call):
        return None
    x, dim, size = found
    rule = (
        f"unfold takes windows of {wide} along axis {dim} of {x.name}, {x.shape}, which has {size}."
    )
    key = call.key(2, "size")
    said = f"take windows of {size}"
    less = Proposal(said=said, code=call.code({key: str(size)}), call=call.at({key: size}))
    return _said(rule, x, dim, less, _longer(call, x, dim, wide))


_OPS: dict[str, Callable[[FailedCall], Explained | None]] = {
    "narrow": _narrow,
    "select": _pick,
    "unfold": _windows,
}
