"""A tensor cut, turned or widened to fit another: its code beside the shape that comes of it."""

from __future__ import annotations

from dataclasses import dataclass

from attntrace.analysis.diagnosis.call import Given
from attntrace.analysis.diagnosis.writing import wrapped
from attntrace.record import Shape


@dataclass(frozen=True, slots=True)
class Changed:
    """A tensor as it would be handed over: how it is written, and what it is then."""

    tensor: Given
    text: str
    shape: Shape

    @classmethod
    def of(cls, tensor: Given) -> Changed:
        """Return a tensor as it is."""
        return cls(tensor, tensor.name, tensor.shape or ())

    def cut(self, parts: dict[int, tuple[int, int]]) -> Changed:
        """Return it with parts of axes kept, each a (begin, size): `x[:, :50]`."""
        rank, shape, tensor = len(self.shape), list(self.shape), self.tensor
        for dim, (begin, size) in parts.items():
            tensor = tensor.then("narrow", dim, begin, size)
            shape[dim] = size
        begins = {dim: f"{begin or ''}:{begin + size}" for dim, (begin, size) in parts.items()}
        index = [begins.get(dim, ":") for dim in range(max(parts) + 1)]
        if [*parts] == [rank - 1] and rank > 2:
            index = ["...", index[-1]]
        return Changed(tensor, f"{wrapped(self.text)}[{', '.join(index)}]", tuple(shape))

    def arranged(self, places: tuple[int | None, ...]) -> Changed:
        """Return it with its axes where `places` has them, and new axes of size 1 elsewhere."""
        order = tuple(place for place in places if place is not None)
        solid = [place for place in order if self.shape[place] > 1]
        if solid == sorted(solid) and sum(a != b for a, b in enumerate(order)) > 2:
            return self._viewed(places)
        changed = self.ordered(order)
        first = next(at for at, place in enumerate(places) if place is not None)
        return changed.widened(places[first:])

    def _viewed(self, places: tuple[int | None, ...]) -> Changed:
        """Return it with axes of size 1 elsewhere, which only a view says briefly."""
        sizes = [1 if place is None else self.shape[place] for place in places]
        first = next(at for at, size in enumerate(sizes) if size > 1)
        shape = tuple(sizes[first:])
        text = f"{wrapped(self.text)}.view({', '.join(map(str, shape))})"
        return Changed(self.tensor.then("reshape", *shape), text, shape)

    def ordered(self, order: tuple[int, ...]) -> Changed:
        """Return it with its axes in another order."""
        moved = [dim for dim, place in enumerate(order) if dim != place]
        if not moved:
            return self
        method, args = ("transpose", tuple(moved)) if len(moved) == 2 else ("permute", order)
        text = f"{wrapped(self.text)}.{method}({', '.join(map(str, args))})"
        shape = tuple(self.shape[dim] for dim in order)
        return Changed(self.tensor.then(method, *args), text, shape)

    def widened(self, places: tuple[int | None, ...]) -> Changed:
        """Return it with a new axis of size 1 wherever `places` has None."""
        new = [at for at, place in enumerate(places) if place is None]
        if not new:
            return self
        tensor = self.tensor
        for at in new:
            tensor = tensor.then("unsqueeze", at)
        sizes = iter(self.shape)
        shape = tuple(1 if place is None else next(sizes) for place in places)
        if len(new) == 1:
            at = -1 if new[0] == len(places) - 1 else new[0]
            return Changed(tensor, f"{wrapped(self.text)}.unsqueeze({at})", shape)
        index = ", ".join("None" if place is None else ":" for place in places)
        return Changed(tensor, f"{wrapped(self.text)}[{index}]", shape)
