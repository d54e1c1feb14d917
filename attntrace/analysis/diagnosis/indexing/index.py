"""Indexing: `x[...]` and `x[...] = y`, part by part."""

from __future__ import annotations

import ast
from dataclasses import replace
from math import prod
from typing import Any

from attntrace.analysis.diagnosis.call import Culprit, Explained, FailedCall, Given, Proposal
from attntrace.analysis.diagnosis.indexing import along, lookup, picking
from attntrace.analysis.diagnosis.indexing.lookup import held, outside
from attntrace.analysis.diagnosis.indexing.subscript import (
    MASKS,
    WHOLE,
    Part,
    axes_of,
    overrun,
    stored_shape,
    ways,
)
from attntrace.analysis.diagnosis.shapes import broadcast
from attntrace.analysis.diagnosis.text import counted, plain
from attntrace.analysis.diagnosis.writing import amended, written


def explain(call: FailedCall) -> Explained | None:
    """Return why an index, an embedding or a part of an axis failed."""
    op, x = plain(call.op), call.argument(0, "input")
    if op not in ("getitem", "setitem", "index", "index_put"):
        return lookup.explain(call) or picking.explain(call) or along.explain(call)
    if not isinstance(x, Given) or x.shape is None:
        return None
    return _Index(call, x).explained()


_LEFT_OUT = object()


def _is_int(part: Part) -> bool:
    return type(part.value) is int


class _Index:
    """`x[index]`, and each part of the index beside the axes that it takes."""

    def __init__(self, call: FailedCall, x: Given) -> None:
        self.call, self.x, self.shape = call, x, x.shape or ()
        index = call.argument(1, "index")
        listed = isinstance(index, list) and any(isinstance(part, Given) for part in index)
        self.values = tuple(index) if isinstance(index, tuple) or listed else (index,)
        self.taken = sum(map(axes_of, self.values))
        self.name = (
            f"`{call.text}`" if call.text and len(call.text) < 60 else f"the index of {x.name}"
        )

    def parts(self) -> list[Part]:
        """Return the parts with the axes that they take; the ellipsis takes all that are left."""
        parts, first = [], 0
        for place, value in enumerate(self.values):
            axes = self.x.rank - self.taken if value is Ellipsis else axes_of(value)
            parts.append(Part(value, place, first, axes))
            first += axes
        return parts

    def explained(self) -> Explained | None:
        """Return why the index does not fit; None if it does."""
        if self.taken > self.x.rank:
            return self._too_many()
        checks = (self._kind, self._number, self._list, self._tensor, self._mask)
        found = (check(part) for part in self.parts() for check in checks)
        return next((one for one in found if one), None) or self._together() or self._value()

    def _texts(self) -> list[str] | None:
        """Return what the author wrote for each part."""
        begin, end = self.call.spans.get(1, (0, 0))
        try:
            tree = ast.parse(f"_[{self.call.text[begin:end]}]", mode="eval").body
        except SyntaxError:
            return None
        node = tree.slice if isinstance(tree, ast.Subscript) else None
        parts = node.elts if isinstance(node, ast.Tuple) else [node]
        texts = [ast.unparse(part) for part in parts if part is not None]
        return texts if len(texts) == len(self.values) else None

    def _with(self, said: str, changes: dict[int, tuple[Any, str] | None]) -> Proposal:
        """Return the call with parts of the index replaced, or left out where there is None."""
        texts, values = self._texts(), list(self.values)
        for place, change in changes.items():
            values[place] = _LEFT_OUT if change is None else change[0]
            if texts:
                texts[place] = "" if change is None else change[1]
        kept = [value for value in values if value is not _LEFT_OUT]
        key = self.call.key(1, "index")
        new = self.call.at({key: kept[0] if len(kept) == 1 else tuple(kept)})
        code = self.call.code({key: ", ".join(filter(None, texts))}) if texts else None
        return Proposal(said=f"{said}: `{code}`" if code else said, code=code, call=new)

    def _too_many(self) -> Explained:
        x = self.x
        rule = (
            f"{self.name} indexes {counted(self.taken, 'axis')}, and {x.name}, {self.shape}, has "
        )
        fixes = []
        whole = [at for at, value in enumerate(self.values) if value == slice(None)]
        more = self.taken - x.rank
        if len(whole) >= more and len(self.values) > more:
            said = f"leave out {counted(more, 'colon')}, for {counted(x.rank, 'axis')}"
            fixes.append(self._with(said, dict.fromkeys(whole[:more])))
        masks = [at for at, v in enumerate(self.values) if axes_of(v) > 1 and v.shape[-1] == 1]
        if masks and more == 1:
            mask = self.values[masks[0]].then("squeeze", -1)
            fixes.append(self._with("drop its last axis, of 1", {masks[0]: (mask, written(mask))}))
        elif more == 1 and x.rank:
            lacking = dict.fromkeys([0, *(part.first for part in self.parts() if _is_int(part))])
            for at in [at for at in lacking if at <= x.rank]:
                said = f"give {x.name} the axis {at} that it lacks, unsqueeze({at})"
                fixes.append(amended(self.call, said, {0: x.then("unsqueeze", at)}))
        if not x.rank and plain(self.call.op) == "getitem":
            new = replace(self.call, op="clone", args=(x,), kwargs={})
            said = f"{x.name} is one number: use it as it is, or `.item()`"
            fixes.append(Proposal(said=said, code=x.name, call=new))
        return Explained(rule=f"{rule}{x.rank}.", proposals=tuple(fixes))

    def _kind(self, part: Part) -> Explained | None:
        """Return why a part is nothing to index with."""
        value = part.value
        if isinstance(value, Given) and value.dtype not in (*WHOLE, *MASKS):
            rule = (
                f"An index must be of whole numbers or a mask, and {value.name}, {value.shape}, is "
            )
            new = value.then("long")
            fixes = [self._with("make it whole numbers", {part.place: (new, written(new))})]
            if value.shape == self.shape[part.first : part.first + value.rank]:
                mask = value.then("bool")
                fixes.append(self._with("a mask", {part.place: (mask, written(mask))}))
            return Explained(rule=f"{rule}{value.dtype}.", proposals=tuple(fixes))
        if isinstance(value, float):
            rule = f"{self.name} has the index {value}, and an index is a whole number."
            whole = self._with("make it one", {part.place: (int(value), f"{int(value)}")})
            return Explained(rule=rule, proposals=(whole,))
        if isinstance(value, str) and not value.startswith("<"):
            rule = f"{self.name} asks for the name {value!r}, and {self.x.name} is a tensor, "
            return Explained(rule=f"{rule}{self.shape}, which has axes and no names.")
        return None

    def _number(self, part: Part) -> Explained | None:
        value = part.value
        if type(value) is not int:
            return None
        size = self.shape[part.first]
        if -size <= value < size:
            return None
        return self._beyond(part.first, f"{value}", value, part.place)

    def _beyond(self, axis: int, what: str, value: int, place: int) -> Explained:
        size = self.shape[axis]
        rule = f"{self.name} asks for number {what} of axis {axis} of {self.x.name}, {self.shape}, "
        rule += f"which has {size}: 0 to {size - 1}." if size else "which is empty."
        fixes = [self._with(f"take the last, {size - 1}", {place: (-1, "-1")})] if size else []
        others = [at for at, n in enumerate(self.shape) if at > axis and n > value >= 0]
        if len(self.values) == 1 and others:
            at = others[0]
            colons = (slice(None),) * at
            code = self.call.code({1: ", ".join([":"] * at + [str(value)])})
            said = f"index axis {at}, which has {self.shape[at]}" + (f": `{code}`" if code else "")
            new = self.call.at({1: (*colons, value)})
            fixes.insert(0, Proposal(said=said, code=code, call=new))
        culprits = (Culprit(tensor=self.x, dim=axis),)
        return Explained(rule=rule, culprits=culprits, proposals=tuple(fixes))

    def _list(self, part: Part) -> Explained | None:
        values, size = part.value, self.shape[part.first] if part.axes == 1 else 0
        if not isinstance(values, list) or not all(type(n) is int for n in values):
            return None
        wrong = [n for n in values if not -size <= n < size]
        if not wrong:
            return None
        kept = [n for n in values if n not in wrong]
        found = self._beyond(part.first, f"{wrong[0]}", wrong[0], part.place)
        fix = self._with(f"leave {wrong} out", {part.place: (kept, f"{kept}")})
        return replace(found, proposals=(fix,))

    def _tensor(self, part: Part) -> Explained | None:
        ids = part.value
        if not isinstance(ids, Given) or part.is_mask:
            return None
        size = self.shape[part.first]
        if not outside(ids, size, -size):
            return None
        most, least = ids.most or 0, ids.least or 0
        rule = f"{self.name} reads axis {part.first} of {self.x.name}, {self.shape}, which has {size}, "
        rule += f"0 to {size - 1}, and {ids.name} holds {held(ids)}."
        fixes = []
        if least >= 1 and most == size:
            said = f"count {ids.name} from 0, so that {most} becomes {most - 1}"
            fixes.append(self._swapped(part, ids.then("sub", 1), said))
        elif most >= size:
            shape = (*self.shape[: part.first], most + 1, *self.shape[part.first + 1 :])
            said = f"make {self.x.name} {most + 1} long along axis {part.first}: {shape}"
            fixes.append(Proposal(said=said, call=self.call.at({0: self.x.of_shape(*shape)})))
        if least >= -size:
            clamped = ids.then("clamp", min(least, 0), size - 1)
            said = f"clamp {ids.name} to {size - 1}"
            fixes.append(self._swapped(part, clamped, said))
        culprits = (Culprit(tensor=self.x, dim=part.first),)
        return Explained(rule=rule, culprits=culprits, proposals=tuple(fixes))

    def _mask(self, part: Part) -> Explained | None:
        """Return why a mask does not lie over the axes that it is used on."""
        mask = part.value
        if not part.is_mask:
            return None
        over, shape = self.shape[part.first : part.first + mask.rank], mask.shape or ()
        if over == shape:
            return None
        at = next(n for n in range(mask.rank) if over[n] != shape[n])
        rule = f"{self.name} needs the mask {mask.name}, {shape}, to have the shape of the axes of "
        rule += f"{self.x.name}, {self.shape}, that it lies over, {over}: {shape[at]} is not {over[at]}."
        fixes = [
            *self._slid(mask),
            *(self._swapped(part, new, said) for said, new in ways(mask, over)),
        ]
        culprits = (Culprit(tensor=mask, dim=at), Culprit(tensor=self.x, dim=part.first + at))
        return Explained(rule=rule, culprits=culprits, proposals=tuple(fixes))

    def _swapped(self, part: Part, tensor: Given, said: str) -> Proposal:
        return self._with(said, {part.place: (tensor, written(tensor))})

    def _slid(self, mask: Given) -> list[Proposal]:
        """Return the mask on later axes, which have its shape: `x[:, mask]`."""
        fits = [
            at
            for at in range(1, self.x.rank - mask.rank + 1)
            if self.shape[at : at + mask.rank] == mask.shape
        ]
        if len(self.values) > 1 or not fits:
            return []
        code = self.call.code({1: ", ".join([":"] * fits[0] + [mask.name])})
        said = f"lay it over axis {fits[0]}" + (f": `{code}`" if code else "")
        new = self.call.at({1: (*(slice(None),) * fits[0], mask)})
        return [Proposal(said=said, code=code, call=new)]

    def _together(self) -> Explained | None:
        """Return which index tensors do not spread over each other."""
        given = [
            (part.place, part.value)
            for part in self.parts()
            if isinstance(part.value, Given) and not part.is_mask
        ]
        if len(given) < 2:
            return None
        (place, one), (_, other), *_ = given
        if broadcast(one.shape or (), other.shape or ()) is not None:
            return None
        rule = (
            f"The indexes in {self.name} must broadcast together, and {one.name} is {one.shape}, "
        )
        rule += f"{other.name} {other.shape}."
        fixes = []
        if one.rank == other.rank == 1:
            said = f"pick each of {prod(one.shape or ())} with each of {prod(other.shape or ())}"
            new = one.then("unsqueeze", -1)
            fixes.append(self._with(said, {place: (new, written(new))}))
        culprits = tuple(Culprit(tensor=t, dim=t.rank - 1) for t in (one, other) if t.rank)
        return Explained(rule=rule, culprits=culprits, proposals=tuple(fixes))

    def _value(self) -> Explained | None:
        """Return why what is stored does not fit the part that it is stored in."""
        value = self.call.argument(2, "value")
        part = stored_shape(self.shape, self.parts())
        if plain(self.call.op) != "setitem" or not isinstance(value, Given) or part is None:
            return None
        shape = value.shape or ()
        over = max(value.rank - len(part), 0)
        fits = broadcast(shape[over:], part) == part
        if fits and shape[:over] == (1,) * over:  # axes of 1 in front are dropped
            return None
        target = self.call.text.split("=")[0].strip() if "=" in self.call.text else self.x.name
        rule = f"`{target}` of {self.x.name}, {self.shape}, is {part}, and {value.name}, {shape}, "
        rule += "does not fit in it."
        fixes = []
        short = overrun(self.shape, self.parts())
        for at, length in short:
            longer = (*self.shape[:at], length, *self.shape[at + 1 :])
            said = f"build {self.x.name} with room for {length} along axis {at}, where it has "
            said += f"{self.shape[at]} (the maximum length, max_len): {longer}"
            fixes.append(Proposal(said=said, call=self.call.at({0: self.x.of_shape(*longer)})))
        for said, new in ways(value, part):
            fixes.append(amended(self.call, said, {self.call.key(2, "value"): new}))
        culprits = [Culprit(tensor=self.x, dim=at) for at, _ in short]
        off = value.rank - len(part)
        wrong = [
            at for at in range(max(off, 0), value.rank) if shape[at] not in (1, part[at - off])
        ]
        culprits += [Culprit(tensor=value, dim=at) for at in wrong]
        return Explained(rule=rule, culprits=tuple(culprits), proposals=tuple(fixes))
