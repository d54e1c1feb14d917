"""view, reshape, unflatten and flatten: elements that must be kept, and memory to be in order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import isqrt, prod

from attntrace.analysis.diagnosis.call import Culprit, Explained, FailedCall, Given, Key, Proposal
from attntrace.analysis.diagnosis.reshaping import memory_order
from attntrace.analysis.diagnosis.reshaping.asked import numbers, whole
from attntrace.analysis.diagnosis.reshaping.splitting import padded, uneven
from attntrace.analysis.diagnosis.text import axis, divided, plain, quoted, times
from attntrace.analysis.diagnosis.writing import wrapped
from attntrace.record import Shape

BYTES = {"float64": 8, "int64": 8, "complex64": 8, "complex128": 16, "float32": 4, "int32": 4,
         "float16": 2, "bfloat16": 2, "int16": 2}  # fmt: skip
"""Of one element; all other number formats have 1."""


def explain(call: FailedCall) -> Explained | None:
    """Return why a tensor does not take another shape."""
    op, x = plain(call.op), call.argument(0, "input")
    if not isinstance(x, Given) or x.shape is None:
        return None
    if op in ("flatten", "unflatten"):
        return _flatten(call, x) if op == "flatten" else _unflatten(call, x)
    if op not in ("view", "reshape", "view_as", "reshape_as"):
        return None
    first = call.argument(1, "dtype")
    if op == "view" and isinstance(first, str) and first.startswith("torch."):
        return _other_format(call, x, first.removeprefix("torch."))
    like = call.argument(1, "other") if op.endswith("_as") else None
    wanted = like.shape if isinstance(like, Given) else numbers(call, 1, "size", "shape")
    sizes = whole(wanted)
    return None if sizes is None else _Reshape(call, x, x.shape, sizes).explained()


@dataclass(frozen=True, slots=True)
class _Reshape:
    """A tensor, or some of its axes, and the sizes that they were to have."""

    call: FailedCall
    x: Given
    shape: Shape
    wanted: tuple[int, ...]
    at: int = 0
    """Which axis of the tensor the first of `shape` is."""

    def explained(self) -> Explained | None:
        """Return what is wrong: the sizes themselves, the elements, or the order in memory."""
        odd = [size for size in self.wanted if size < -1]
        if odd or self.wanted.count(-1) > 1:
            said = f"a size of {odd[0]}" if odd else f"-1 {self.wanted.count(-1)} times"
            return Explained(
                rule=f"{quoted(self.call)} asks for {said}: only one size may be left open, as -1, "
                f"and {self.x.name} is {self.x.shape}.",
                proposals=(*self._closed(),),
            )
        known = prod(size for size in self.wanted if size != -1)
        elements = prod(self.shape)
        if -1 in self.wanted and (not known or not elements):
            return Explained(
                rule=f"{quoted(self.call)} leaves -1 open, but {self.x.name}, {self.x.shape}, has "
                f"{elements} elements for a product of {known}: any size would do.",
            )
        if elements % known if -1 in self.wanted else elements != known:
            return self._elements(known, elements)
        return memory_order.explain(self.call, self.x, self.wanted)

    def _closed(self) -> Iterator[Proposal]:
        """Yield all -1 but the last replaced by the sizes that the tensor has there."""
        open_ = [dim for dim, size in enumerate(self.wanted) if size == -1][:-1]
        if open_ and open_[-1] < len(self.shape):
            changes = {dim: self.shape[dim] for dim in open_}
            yield self._resized(changes, "leave only one open")

    def _elements(self, known: int, elements: int) -> Explained:
        """Return what is said of another number of elements."""
        have, want, front = self._apart()
        odd = uneven(have, want)
        asked = (
            f"{times(self.wanted)} = {known}" if -1 not in self.wanted else f"a multiple of {known}"
        )
        rule = (
            f"{quoted(self.call)} asks for {asked} elements, but {self.x.name} has "
            f"{times(self.shape)} = {elements}"
        )
        if self.shape != self.x.shape:
            rule = f"{quoted(self.call)} asks for {asked} elements"
        proposals = [*self._split(have, want, front)] or [*self._one_wrong()]
        return Explained(
            rule=rule + self._left(have, want, front) + ".",
            culprits=tuple(
                Culprit(tensor=self.x, dim=self.at + front + place)
                for place in (odd.axes if odd is not None else reversed(range(len(have))))
            ),
            proposals=tuple(proposals),
        )

    def _left(self, have: Shape, want: Shape, front: int) -> str:
        """Return what is said of the sizes that differ, with how the one divides by the other."""
        a, b = prod(have), prod(size for size in want if size != -1)
        if len(have) > 1 and len(have) == len(self.shape):
            return ""
        name = axis(self.at + front, self.x.rank) + f" of {self.x.name}"
        said = f": {name} is {a}" if len(have) == 1 else f": sizes {times(have)} = {a} are left"
        said += f" where {_asked(want, b)}" if want else ""
        odd = uneven(have, want)
        if odd is not None:
            said += f", and {divided(odd.size, odd.by)}"
        return said

    def _apart(self) -> tuple[Shape, Shape, int]:
        """Return the sizes that are left once equal ones are taken off both ends."""
        have, want = self.shape, self.wanted
        front = 0
        while front < min(len(have), len(want)) and have[front] == want[front]:
            front += 1
        if want[front : front + 1] == (-1,) and len(have) > front + 1 < len(want):
            front += 1  # most often the batch or the length is left open
        back = 0
        while back < min(len(have), len(want)) - front and have[-1 - back] == want[-1 - back]:
            back += 1
        return have[front : len(have) - back], want[front : len(want) - back], front

    def _split(self, have: Shape, want: Shape, front: int) -> Iterator[Proposal]:
        """Yield other numbers for one axis that was to be split."""
        parts, size = prod(n for n in want if n != -1), have[0] if have else 0
        odd, side = uneven(have, want), isqrt(size)
        if len(have) == 1 < len(want) and -1 not in want and size == parts + 1:
            yield self._class_token(size, want, front)
        elif len(have) == 1 < len(want) and -1 not in want and size in (2 * parts, 3 * parts):
            yield self._together(size, want, front)
        elif odd is not None:
            for better in odd.better():
                moved = {front + place: size for place, size in better.changes.items()}
                if better.have:
                    yield self._padded(better.have, moved, better.said, front)
                else:
                    yield self._resized(moved, better.said)
        elif len(have) == 1 and len(want) == 2 and front == len(self.shape) - 1 and -1 not in want:
            yield from self._other_heads(size, want, front)
        elif len(want) > 1 < side and want[0] == want[1] and side**2 == size:
            said = f"{size} = {side}*{side} are the sides of this image"
            yield self._resized({front: side, front + 1: side}, said)

    def _padded(self, have: Shape, changes: dict[int, int], said: str, front: int) -> Proposal:
        """Return the same call of a tensor with other sizes from axis `front` on."""
        at = front
        if self.shape != self.x.shape:  # unflatten takes one axis
            at = next(
                dim for dim in range(self.x.rank) if (self.x.shape or ())[dim] == self.shape[0]
            )
        shape = self.x.shape or ()
        tensor = self.x.of_shape(*shape[:at], *have, *shape[at + len(have) :])
        call = self._resized(changes, said).call
        if "F.pad" in said:
            said += f": `{padded(self.x.name, shape, tensor.shape or ())}`"
        return Proposal(said=said, call=call and call.at({0: tensor}))

    def _other_heads(self, width: int, want: Shape, front: int) -> Iterator[Proposal]:
        """Yield as many heads, or heads as wide, as make up the width."""
        heads, wide = want
        fits = []
        if wide and width % wide == 0:
            fits.append((width // wide, wide, {front: width // wide}))
        if heads and width % heads == 0:
            fits.append((heads, width // heads, {front + 1: width // heads}))
        for many, size, changes in fits if width < heads * wide else reversed(fits):
            said = f"ask for num_heads={many} and head_dim={size}, {many}*{size} = {width}"
            yield self._resized(changes, said)

    def _together(self, width: int, want: Shape, front: int) -> Proposal:
        count = width // prod(want)
        names = {3: "queries, keys and values", 2: "keys and values"}[count]
        said = f"{width} = {count}*{times(want)}: {names} are still in one, "
        said += f"`.chunk({count}, dim={self.at + front})` first or name them too"
        return self._reshaped((*self.wanted[:front], count, *self.wanted[front:]), said)

    def _class_token(self, width: int, want: Shape, front: int) -> Proposal:
        x = self.x.then("narrow", self.at + front, 1, width - 1)
        code = self.call.code({0: f"{wrapped(self.x.name)}[{':, ' * (self.at + front)}1:]"})
        said = f"leave the class token out, {width} = {times(want)} + 1"
        call = self.call.at({self.call.key(0, "input"): x})
        return Proposal(said=f"{said}: `{code}`" if code else said, code=code, call=call)

    def _one_wrong(self) -> Iterator[Proposal]:
        """Yield one size replaced by the one that keeps the elements, the odd one first."""
        elements, fixed = prod(self.shape), []
        for dim, size in enumerate(self.wanted):
            rest = prod(
                other for place, other in enumerate(self.wanted) if place != dim and other > 0
            )
            if -1 not in self.wanted and rest and elements % rest == 0:
                odd = size not in self.shape, elements // rest in self.shape
                fixed.append((not all(odd), not any(odd), -dim, dim, elements // rest))
        for *_, dim, size in sorted(fixed)[:1]:
            said = f"ask for {size} instead of {self.wanted[dim]} (or for -1, which works it out)"
            yield self._resized({dim: size}, said)
        if self.wanted[:1] == (-1,) and len(self.wanted) == 2 < len(self.shape):
            rest = prod(self.shape[1:])
            said = (
                f"keep the batch of {self.shape[0]} and flatten the rest, as `.flatten(1)` does, and "
                f"build the next layer with in_features={rest} = {times(self.shape[1:])}"
            )
            yield self._resized({0: self.shape[0], 1: -1}, said)

    def _resized(self, changes: dict[int, int], said: str) -> Proposal:
        sizes = tuple(changes.get(dim, size) for dim, size in enumerate(self.wanted))
        texts: dict[Key, str] = {dim + 1: str(size) for dim, size in changes.items()}
        alone = len(self.call.args) == 2 and len(self.wanted) > 1
        if plain(self.call.op).endswith("_as"):
            return self._reshaped(sizes, said)
        return self._reshaped(sizes, said, self.call.code({1: str(sizes)} if alone else texts))

    def _reshaped(self, sizes: tuple[int, ...], said: str, code: str | None = None) -> Proposal:
        if plain(self.call.op) == "unflatten":
            key = self.call.key(2, "sizes")
            code = self.call.code({key: str(sizes)})
            call = self.call.at({key: sizes})
        else:
            name = plain(self.call.op).removesuffix("_as")
            code = code or f"{self.x.name}.{name}({', '.join(map(str, sizes))})"
            call = replace(self.call, op=name, args=(self.x, sizes), kwargs={})
        return Proposal(said=f"{said}: `{code}`" if code else said, code=code, call=call)


def _asked(want: Shape, product: int) -> str:
    known = [size for size in want if size != -1]
    if len(known) == len(want):
        made = times(want) + (f" = {product}" if len(want) > 1 else "")
        return f"{made} is asked for"
    return f"a multiple of {times(known)} is asked for"


def _unflatten(call: FailedCall, x: Given) -> Explained | None:
    dim, sizes = call.argument(1, "dim"), call.argument(2, "sizes")
    wanted = whole(sizes) if isinstance(sizes, (tuple, list)) else None
    if wanted is None or type(dim) is not int or not -x.rank <= dim < x.rank:
        return None
    at = dim % x.rank
    size = (x.shape or ())[at]
    return _Reshape(call, x, (size,), wanted, at).explained()


def _flatten(call: FailedCall, x: Given) -> Explained | None:
    start, end = call.argument(1, "start_dim", 0), call.argument(2, "end_dim", -1)
    rank = max(x.rank, 1)
    if type(start) is not int or type(end) is not int:
        return None
    if not all(-rank <= dim < rank for dim in (start, end)) or start % rank <= end % rank:
        return None
    keys = {call.key(1, "start_dim"): end, call.key(2, "end_dim"): start}
    return Explained(
        rule=f"{quoted(call)} flattens from axis {start} to axis {end}, but the first must not come "
        f"after the last: {x.name} has {x.rank} axes.",
        proposals=(Proposal(said="swap the two", call=call.at(keys)),),
    )


def _other_format(call: FailedCall, x: Given, dtype: str) -> Explained | None:
    """Return why the bytes of the last axis do not make whole elements of another format."""
    have, want = BYTES.get(x.dtype, 1), BYTES.get(dtype, 1)
    last = (x.shape or (0,))[-1]
    if last * have % want == 0 and x.rank:
        return None
    to = replace(call, op="to")
    return Explained(
        rule=f"{quoted(call)} reads the bytes of {x.name} anew: its last size, {last}, times {have} "
        f"bytes must be a multiple of {want} bytes.",
        culprits=(Culprit(tensor=x, dim=x.rank - 1),) if x.rank else (),
        proposals=(
            Proposal(said=f"convert the values instead, with `.to(torch.{dtype})`", call=to),
        ),
    )
