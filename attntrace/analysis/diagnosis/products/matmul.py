"""Products of matrices: `@`, matmul, bmm, mm and their relatives."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from attntrace.analysis.diagnosis.call import Culprit, Explained, FailedCall, Given, Key, Proposal
from attntrace.analysis.diagnosis.products.factors import NAMES, RANKS, product_shape
from attntrace.analysis.diagnosis.products.versions import Version, untransposed, versions
from attntrace.analysis.diagnosis.shapes import broadcast
from attntrace.analysis.diagnosis.text import axis, divided, plain, quoted, sized
from attntrace.analysis.diagnosis.writing import amended, wrapped
from attntrace.record import Shape

_WEIGHTS = re.compile(r"att|prob|weight|score|energy|softmax|alpha", re.IGNORECASE)


def explain(call: FailedCall) -> Explained | None:
    """Return why a product of matrices failed, from the shapes of its two factors."""
    op = plain(call.op)
    if op not in NAMES:
        return None
    first = 1 if op.startswith("add") or op == "baddbmm" else 0
    keys = [call.key(first + place, name) for place, name in enumerate(NAMES[op])]
    left, right = (call[key] for key in keys)
    if not (isinstance(left, Given) and isinstance(right, Given)):
        return None
    if left.shape is None or right.shape is None:
        return None
    pair = _Pair(call, op, (keys[0], keys[1]), left, right)
    if product_shape(op, left.shape, right.shape) is not None:
        return _added(pair) if first else None
    return pair.ranks() or pair.inner() or pair.batch()


@dataclass(frozen=True, slots=True)
class _Pair:
    """The two factors of a call that failed."""

    call: FailedCall
    op: str
    keys: tuple[Key, Key]
    left: Given
    right: Given

    @property
    def shapes(self) -> tuple[Shape, Shape]:
        return self.left.shape or (), self.right.shape or ()

    def ranks(self) -> Explained | None:
        """Return what is said of factors that have too many or too few axes."""
        wanted = RANKS.get(self.op)
        if wanted is None:
            low = next((one for one in (self.left, self.right) if not one.rank), None)
            if low is None:
                return None
            rule = f"{quoted(self.call)} needs at least one axis, but {low.name} has 0: use `*`."
            return Explained(rule=rule)
        both = zip((self.left, self.right), wanted, strict=True)
        bad = [(one, rank) for one, rank in both if one.rank != rank]
        if not bad:
            return None
        said = " and ".join(f"{one.name} has {one.rank}, {one.shape}" for one, _ in bad)
        need = (
            f"{wanted[0]} axes" if wanted[0] == wanted[1] else f"{wanted[0]} and {wanted[1]} axes"
        )
        return Explained(
            rule=f"{quoted(self.call)} multiplies tensors of {need}, but {said}."
            f"{self._clash()}".replace("1 axes", "1 axis"),
            culprits=tuple(Culprit(tensor=one, dim=None) for one, _ in bad),
            proposals=(*self.rearranged(), *self._as_matmul(), *self._folded(), *self._summed()),
        )

    def _clash(self) -> str:
        """Return what else is wrong: the sizes that would meet."""
        a, b = self.shapes
        if self.op.endswith("dot") or not a or not b or a[-1] == b[-2:][0]:
            return ""
        return f" The sizes that meet, {a[-1]} and {b[-2:][0]}, differ too."

    def inner(self) -> Explained | None:
        """Return what is said of two sizes that meet in the product and differ."""
        a, b = self.shapes
        if a[-1] == b[-2:][0]:
            return None
        dim = max(self.right.rank - 2, 0)
        moves = [*self.rearranged()]
        told = [] if moves and not _WEIGHTS.search(self.left.name) else [*self._told()]
        return Explained(
            rule=f"{quoted(self.call)} needs {sized(self.left, -1)}, to equal "
            f"{sized(self.right, dim)}.",
            culprits=(
                Culprit(tensor=self.right, dim=dim),
                Culprit(tensor=self.left, dim=self.left.rank - 1),
            ),
            proposals=(*told, *moves, *(() if moves else self._resized())),
        )

    def batch(self) -> Explained | None:
        """Return what is said of factors that fit, but whose batches do not."""
        a, b = self.shapes
        apart = [
            dim
            for dim in range(-3, -min(len(a), len(b)) - 1, -1)
            if a[dim] != b[dim] and (self.op in RANKS or 1 not in (a[dim], b[dim]))
        ]
        if not apart:
            return None
        dim = apart[0]
        equal = "" if self.op in RANKS else ", or one of them to be 1"
        return Explained(
            rule=f"{quoted(self.call)} needs {sized(self.left, dim)}, to equal "
            f"{sized(self.right, dim)}{equal}{_multiple(a[dim], b[dim])}.",
            culprits=tuple(Culprit(tensor=t, dim=dim % t.rank) for t in (self.right, self.left)),
            proposals=self._joined(dim) if len(apart) == 1 else (*self.rearranged(),),
        )

    def _joined(self, dim: int) -> tuple[Proposal, ...]:
        """Return what makes two sizes of a batch one: as many heads, or another order of axes."""
        repeats = [*self._repeated(dim)]
        moves = [*self.rearranged(dear=3 if repeats else 99)]
        return (*repeats, *moves) if self.left.rank == self.right.rank else (*moves, *repeats)

    def rearranged(self, dear: int = 99) -> Iterator[Proposal]:
        """Yield the likeliest change of axes that makes the factors fit, and their swap.

        `dear` is the cost from which on a change is none that an author could mean.
        """
        found = self._best(self.op)
        is_turned = untransposed(self.right) is not None  # so that features meet features
        if found is not None and found[0].cost + found[1].cost > dear:
            found = None
        if found is not None and is_turned and found[0].shape[-1] != self.shapes[0][-1]:
            found = None
        swap = product_shape(self.op, *reversed(self.shapes)) is not None
        if swap and _WEIGHTS.search(self.right.name):
            yield self._swapped()
            swap = False
        if found is not None:
            yield self._proposal(*found)
        if swap and self.left.rank > 1 and not is_turned:
            yield self._swapped()

    def _best(self, op: str) -> tuple[Version, Version] | None:
        strict = op in RANKS or self.left.rank != self.right.rank
        rights = [*versions(self.right, self.left, widened=strict)]
        lefts = [*versions(self.left, self.right, widened=strict)]
        fitting = [
            (one.cost + other.cost, one.cost, place, one, other)
            for place, (one, other) in enumerate((a, b) for a in lefts for b in rights)
            if product_shape(op, one.shape, other.shape) is not None
        ]
        if not fitting:
            return None
        *_, one, other = min(fitting, key=lambda found: found[:3])
        return one, other

    def _proposal(self, one: Version, other: Version) -> Proposal:
        moved = [(k, v) for k, v in zip(self.keys, (one, other), strict=True) if v.said]
        said = " and ".join(version.said for _, version in moved)
        texts = {key: version.text for key, version in moved}
        return amended(self.call, said, {key: v.given for key, v in moved}, texts)

    def _swapped(self) -> Proposal:
        first, second = self.keys
        tensors = {first: self.right, second: self.left}
        texts = {key: wrapped(tensor.name) for key, tensor in tensors.items()}
        return amended(self.call, f"put {self.right.name} first", tensors, texts)

    def _repeated(self, dim: int) -> Iterator[Proposal]:
        """Yield the smaller batch repeated, as heads that share keys and values need it."""
        few, many = sorted((0, 1), key=lambda side: self.shapes[side][dim])
        small, large = self.shapes[few][dim], self.shapes[many][dim]
        one = (self.left, self.right)[few]
        if not small or large % small:
            return
        times = large // small
        where = dim % one.rank
        unit = "heads of" if one.rank == 4 and dim == -3 else "of"
        said = (
            f"repeat each of the {small} {unit} {one.name} {times} times, {divided(large, small)}"
        )
        tensor = one.then("repeat_interleave", times, where)
        text = f"{one.name}.repeat_interleave({times}, dim={where})"
        key = self.keys[few]
        yield amended(self.call, said, {key: tensor}, {key: text})

    def _as_matmul(self) -> Iterator[Proposal]:
        """Yield matmul, which takes any number of axes, where it fits."""
        found = None if self.op not in ("mm", "bmm", "mv") else self._best("matmul")
        if found is None:
            return
        one, other = found
        code = f"{wrapped(one.text)} @ {wrapped(other.text)}"
        call = replace(self.call, op="matmul", args=(one.given, other.given), kwargs={})
        yield Proposal(
            said=f"use torch.matmul, `{self.op}` does not broadcast: `{code}`", code=code, call=call
        )

    def _folded(self) -> Iterator[Proposal]:
        """Yield the heads folded into the batch, for bmm."""
        if RANKS[self.op] == (3, 3) and self.left.rank == self.right.rank == 4:
            tensors = {k: t.then("flatten", 0, 1) for k, t in self._keyed()}
            yield amended(self.call, "fold the heads into the batch", tensors)

    def _keyed(self) -> list[tuple[Key, Given]]:
        return [(self.keys[0], self.left), (self.keys[1], self.right)]

    def _summed(self) -> Iterator[Proposal]:
        """Yield the dot products of rows, for which dot has no way."""
        if self.op not in ("dot", "vdot") or broadcast(*self.shapes) is None:
            return
        code = f"({self.left.name} * {self.right.name}).sum(-1)"
        call = replace(self.call, op="mul", args=(self.left, self.right), kwargs={})
        yield Proposal(said=f"take the dot product of each row: `{code}`", code=code, call=call)

    def _resized(self) -> Iterator[Proposal]:
        """Yield a parameter built with the size that it meets."""
        for key, one, other, dim, at in (
            (self.keys[1], self.right, self.left, max(self.right.rank - 2, 0), -1),
            (self.keys[0], self.left, self.right, self.left.rank - 1, -2),
        ):
            if one.path is not None and other.rank >= -at:
                size = (other.shape or ())[at]
                sizes = [*(one.shape or ())]
                sizes[dim] = size
                said = f"build {one.name} with {size} as {axis(dim, one.rank)}: {tuple(sizes)}"
                yield Proposal(said=said, call=self.call.at({key: one.of_shape(*sizes)}))

    def _told(self) -> Iterator[Proposal]:
        """Yield what no change of axes can mend: two lengths or two widths of an attention."""
        a, b = self.shapes
        base, rank = untransposed(self.right), min(self.left.rank, self.right.rank)
        if (rank < 3 and (base is None or rank < 2)) or self.right.path or self.left.path:
            return
        if base is not None and base.shape[-1] == b[-2]:
            said = (
                f"project {self.left.name} and {base.text} to one "
                f"{'head_dim' if rank > 3 else 'width'}: the last size of {self.left.name} is "
                f"{a[-1]}, that of {base.text} is {b[-2]}"
            )
            if rank < 4:
                said += f", nn.Linear({b[-2]}, {a[-1]}) for {base.text}"
            if rank == 3 and b[-2] == 2 * a[-1]:
                said += ", or add the two directions of a bidirectional RNN"
            fitted = (*b[:-2], a[-1], b[-1])
        else:
            said = (
                f"keys and values must have the same length: {self.left.name} has weights for "
                f"{a[-1]} keys, {self.right.name} holds {b[-2]} values; take both from one sequence "
                "and check the order of the arguments (query, key, value)"
            )
            fitted = (*b[:-2], a[-1], b[-1])
        yield Proposal(said=said, call=self.call.at({self.keys[1]: self.right.of_shape(*fitted)}))


def _multiple(one: int, other: int) -> str:
    """Return "; 25 = 5*5" where the larger of two sizes is a multiple of the smaller."""
    small, large = sorted((one, other))
    return f"; {divided(large, small)}" if small > 1 and large % small == 0 else ""


def _added(pair: _Pair) -> Explained | None:
    """Return what is said of the tensor that is added to a product that fits."""
    key = pair.call.key(0, "input")
    added = pair.call[key]
    made = product_shape(pair.op, *pair.shapes)
    if not isinstance(added, Given) or added.shape is None or made is None:
        return None
    made = made[1:] if pair.op == "addbmm" else made
    if broadcast(added.shape, made) == made:
        return None
    return Explained(
        rule=f"{quoted(pair.call)} adds {added.name}, {added.shape}, to a product of {made}, to which "
        "it does not broadcast.",
        culprits=(Culprit(tensor=added, dim=added.rank - 1),) if added.rank else (),
        proposals=(
            Proposal(
                said=f"make {added.name} ({made[-1]},)",
                call=pair.call.at({key: added.of_shape(made[-1])}),
            ),
        ),
    )
