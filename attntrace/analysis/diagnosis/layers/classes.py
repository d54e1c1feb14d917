"""Logits with an axis of classes, and a target that has a class for each of the others."""

from __future__ import annotations

import math

from attntrace.analysis.diagnosis.call import Culprit, Explained, FailedCall, Given, Key, Proposal
from attntrace.analysis.diagnosis.layers.layer import layer, moved, reorder
from attntrace.analysis.diagnosis.text import times
from attntrace.analysis.diagnosis.writing import amended, with_keyword

VOID = 255
"""What the pixels of a picture of labels hold that are of no class."""


class Classes:
    """The input and the target of a loss over classes."""

    def __init__(self, call: FailedCall, x: Given, target: Given) -> None:
        self.call, self.x, self.target = call, x, target
        self.shape, self.wants = x.shape or (), target.shape or ()
        self.axis = 1 if x.rank > 1 else 0
        self.classes = self.shape[self.axis]
        self.fits = self.shape[: self.axis] + self.shape[self.axis + 1 :]
        self.keys = call.key(0, "input"), call.key(1, "target")

    def explained(self) -> Explained | None:
        """Return why the target does not go with the logits; None if it does."""
        if self.wants == self.shape and "cross" in self.call.op:
            return self._one_hot()
        if self.wants != self.fits:
            return self._shapes()
        return self._weight() or self._dtype() or self._range()

    def _changed(self, said: str, x: Given | None = None, target: Given | None = None) -> Proposal:
        both = zip(self.keys, (x, target), strict=True)
        return amended(self.call, said, {key: one for key, one in both if one is not None})

    def _shapes(self) -> Explained:
        x, target, shape = self.x, self.target, self.shape
        rule = f"{layer(self.call)} reads the classes of {x.name}, {shape}, from axis {self.axis}, "
        rule += f"{self.classes}, and needs {target.name} to be {self.fits}, and it is "
        fixes = tuple(self._moved() + self._flat() + self._cut())
        at = next((n for n in range(min(len(self.fits), target.rank)) if self._differs(n)), 0)
        culprits = [Culprit(tensor=x, dim=self.axis)] if x.rank else []
        culprits += [Culprit(tensor=target, dim=at)] if target.rank else []
        return Explained(rule=f"{rule}{self.wants}.", culprits=tuple(culprits), proposals=fixes)

    def _differs(self, at: int) -> bool:
        return self.fits[at] != self.wants[at]

    def _moved(self) -> list[Proposal]:
        """Return the classes moved from the last axis to axis 1, or flattened with the targets."""
        x, target, last = self.x, self.target, self.x.rank - 1
        if last < 2 or self.shape[:-1] != self.wants:
            return []
        name, *args = reorder(moved(x.rank, last, 1))
        said = f"move the {self.shape[-1]} classes of {x.name} from the last axis to axis 1"
        flat = x.then("flatten", 0, last - 1), target.then("flatten")
        lines = f"flatten both to {times(self.wants)} = {math.prod(self.wants)} rows"
        return [self._changed(said, x.then(str(name), *args)), self._changed(lines, *flat)]

    def _flat(self) -> list[Proposal]:
        """Return a target without an axis too many, or with the rows of the logits."""
        x, target, found, rows = self.x, self.target, [], math.prod(self.shape[:2])
        if self.wants == (*self.fits[: self.axis], 1, *self.fits[self.axis :]):
            said = f"take the axis of size 1 off {target.name}"
            found.append(self._changed(said, target=target.then("squeeze", self.axis)))
        elif self.wants == self.shape and "float" in target.dtype:
            said = f"turn the one-hot {target.name} into the number of the class"
            found.append(self._changed(said, target=target.then("argmax", self.axis)))
        elif x.rank == 2 and target.rank != 1 and math.prod(self.wants) == self.shape[0]:
            said = f"flatten {target.name} to {times(self.wants)} = {self.shape[0]} classes"
            found.append(self._changed(said, target=target.then("flatten")))
        elif x.rank == 3 and target.rank == 1 and self.wants == (rows,):
            said = (
                f"flatten the first two axes of {x.name} to {times(self.shape[:2])} = {rows} rows"
            )
            found.append(self._changed(said, x.then("flatten", 0, 1)))
        elif target.rank == x.rank - 1 >= 2 and self.wants == tuple(reversed(self.fits)):
            said = f"swap the axes of {target.name}"
            found.append(self._changed(said, target=target.then("transpose", 0, 1)))
        return found

    def _cut(self) -> list[Proposal]:
        """Return logits or targets cut to the shorter, or pictures of one size."""
        x, target, shape = self.x, self.target, self.shape
        if x.rank == 3 and target.rank == 2 and shape[0] == self.wants[0]:
            return self._shifted()
        if x.rank == 2 and target.rank == 1 and shape[0] != self.wants[0]:
            least = min(shape[0], self.wants[0])
            longer, other = (x, target) if shape[0] > least else (target, x)
            said = f"make both {least} long: {longer.name} has {max(shape[0], self.wants[0])}, "
            said += f"{other.name} {least}"
            cut = longer.then("narrow", 0, 0, least)
            pair = (cut, None) if longer is x else (None, cut)
            return [self._changed(said, *pair)]
        if x.rank == target.rank == 2 and shape[0] == self.wants[0] and "float" in target.dtype:
            width = self.wants[1]
            said = (
                f"let the last layer give a number for each of the {width} classes of {target.name}"
            )
            new = self.call.at({self.keys[0]: x.of_shape(*self.wants)})
            return [Proposal(said=said, call=new)]
        if x.rank == 4 and target.rank == 3 and shape[:-1] != self.wants:
            sides = self.wants[1:]
            said = f"bring the logits to the size of {target.name}: "
            said += f"`F.interpolate({x.name}, size={sides})`"
            new = self.call.at({self.keys[0]: x.of_shape(*shape[:2], *sides)})
            return [Proposal(said=said, call=new)]
        return []

    def _shifted(self) -> list[Proposal]:
        """Return the logits without their last steps, as for targets that begin one later."""
        x, shape, steps = self.x, self.shape, self.wants[1]
        if shape[1] <= steps or shape[1] - steps > 2:
            return []
        said = (
            f"drop the last {shape[1] - steps} of the {shape[1]} steps of {x.name}, and move its "
        )
        said += f"{shape[2]} classes to axis 1"
        cut = x.then("narrow", 1, 0, steps).then("transpose", 1, 2)
        return [self._changed(said, cut)]

    def _one_hot(self) -> Explained | None:
        """Return why a target of the logits' shape is no table of probabilities."""
        x, target = self.x, self.target
        if "float" in target.dtype:
            return None
        rule = (
            f"{layer(self.call)} takes {target.name} of the shape of {x.name}, {self.shape}, for "
        )
        rule += f"probabilities and needs it to be {x.dtype}, and it is {target.dtype}."
        said = "make the one-hot rows probabilities"
        other = f"hand over the number of the class, one of {self.classes}"
        fixes = (
            self._changed(said, target=target.then("float")),
            self._changed(other, target=target.then("argmax", self.axis)),
        )
        return Explained(rule=rule, proposals=fixes)

    def _weight(self) -> Explained | None:
        key: Key = self.call.key(2, "weight")
        weight = self.call[key]
        if not isinstance(weight, Given) or weight.shape == (self.classes,):
            return None
        rule = f"{layer(self.call)} needs a weight for each of the {self.classes} classes of "
        rule += f"{self.x.name}, and {weight.name} is {weight.shape}."
        new = self.call.at({key: weight.of_shape(self.classes)})
        fix = Proposal(said=f"make {weight.name} of {self.classes} numbers", call=new)
        culprits = [Culprit(tensor=weight, dim=0)] if weight.rank else []
        culprits.append(Culprit(tensor=self.x, dim=self.axis))
        return Explained(rule=rule, culprits=tuple(culprits), proposals=(fix,))

    def _dtype(self) -> Explained | None:
        target = self.target
        if target.dtype in ("int64", "uint8"):
            return None
        rule = f"{layer(self.call)} needs the classes in {target.name} to be int64, and they are "
        fix = self._changed("make them whole numbers, long", target=target.then("long"))
        return Explained(rule=f"{rule}{target.dtype}.", proposals=(fix,))

    def _range(self) -> Explained | None:
        target, least, most = self.target, self.target.least, self.target.most
        ignored = self.call.kwargs.get("ignore_index", -100)
        if least is None or most is None:
            return self._unseen()
        low = least < 0 and least != ignored
        if not low and most < self.classes:
            return None
        held = f"values from {least} to {most}" if least < most else f"the value {most}"
        rule = f"{layer(self.call)} has {self.classes} classes, 0 to {self.classes - 1}, from axis "
        rule += f"{self.axis} of {self.x.name}, and {target.name} holds {held}."
        fixes = []
        if least >= 1 and most == self.classes:
            said = f"count the classes from 0, so that {most} becomes {most - 1}"
            fixes.append(self._changed(said, target=target.then("sub", 1)))
        if most >= self.classes:
            said = f"give the last layer {most + 1} outputs, one for each class from 0 to {most}"
            wide = (*self.shape[: self.axis], most + 1, *self.shape[self.axis + 1 :])
            more = self.call.at({self.keys[0]: self.x.of_shape(*wide)})
            fixes.append(Proposal(said=said, call=more))
        if low or most == VOID > self.classes:
            skip = least if low else most
            said = f"skip the targets that are {skip}: ignore_index={skip}"
            code = None if self.call.module else with_keyword(self.call, f"ignore_index={skip}")
            skipped = self.call.given(ignore_index=skip)
            fixes.insert(0, Proposal(said=said, code=code, call=skipped))
        culprits = (Culprit(tensor=self.x, dim=self.axis),)
        return Explained(rule=rule, culprits=culprits, proposals=tuple(fixes))

    def _unseen(self) -> Explained | None:
        """Return what an index error says where nobody looked at the targets."""
        if self.call.error != "IndexError":
            return None
        rule = f"{layer(self.call)} has {self.classes} classes from axis {self.axis} of "
        rule += f"{self.x.name} and needs {self.target.name} to hold 0 to {self.classes - 1} only."
        return Explained(rule=rule, culprits=(Culprit(tensor=self.x, dim=self.axis),))
