"""Layers whose rows are alike: what is found out about a stack with few of them holds for all.

The axes of 126 layers take as long to find as those of one where one stands for the others.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from attntrace.analysis.axes import Derived
from attntrace.analysis.probing import Sketch

_LAYER = re.compile(r"((?:.*\.)?layers)\.(\d+)(?=\.|$)(.*)")
_Place = tuple[str, int, str]
"""The stack that a path lies in, the number of the layer, and the path within the layer."""


@dataclass(frozen=True, slots=True)
class Shortened:
    """A sketch without the layers that others stand for."""

    sketch: Sketch
    layers: Mapping[str, int]
    """By path of a stack, "encoder.layers": the first layers, which are left."""
    rows: tuple[int, ...]
    """For each row of the whole, the one of the shorter sketch that stands for it."""
    parameters: Mapping[str, str]
    """For each parameter of the whole, the path of the one that stands for it."""

    def spread(self, derived: Derived) -> Derived:
        """Return what was found for the shorter sketch, for every row of the whole."""
        known = derived.parameters
        return replace(
            derived,
            rows=tuple([derived.rows[row] for row in self.rows]),
            parameters={p: known[by] for p, by in self.parameters.items() if by in known},
        )


def shortened(sketch: Sketch, *, cached: bool) -> Shortened | None:
    """Return a sketch without the layers that are as one before them; None if none is to be had.

    Layers are alike where their rows are: path within the layer, call, kind, shape, declared axes.
    Where each layer is given a cache, `cached`, that goes with the layer.
    """
    places = [_place(stroke.path) for stroke in sketch.strokes]
    stand_ins = {stack: _stand_ins(one) for stack, one in _layers(sketch, places).items()}
    layers = {stack: 1 + max(found) for stack, found in stand_ins.items()}
    if all(layers[stack] == len(found) for stack, found in stand_ins.items()):
        return None
    given = _given(sketch, stand_ins) if cached else {}
    if given is None:
        return None
    rows, kept, met = list[int](), dict[object, int](), dict[object, int]()
    for index, place in enumerate(places):
        key: object = given.get(index, index)
        if place is not None:
            stack, number, _ = place
            turn = met[stack, number] = met.get((stack, number), -1) + 1
            key = stack, stand_ins[stack][number], turn
        rows.append(kept.setdefault(key, len(kept)))
    first = [rows.index(place) for place in range(len(kept))]
    parameters = {path: _by(path, stand_ins) for path in sketch.parameters}
    shapes = {path: sketch.parameters[path] for path in dict.fromkeys(parameters.values())}
    strokes = tuple([sketch.strokes[index] for index in first])
    declared = tuple([sketch.declared[index] for index in first]) if sketch.declared else ()
    short = replace(sketch, strokes=strokes, parameters=shapes, declared=declared)
    return Shortened(short, layers, tuple(rows), parameters)


def _place(path: str) -> _Place | None:
    found = _LAYER.match(path)
    return (found[1], int(found[2]), found[3]) if found else None


def _layers(sketch: Sketch, places: list[_Place | None]) -> dict[str, dict[int, list[object]]]:
    """Return what the rows of each layer are, by stack and number."""
    found: dict[str, dict[int, list[object]]] = {}
    for index, place in enumerate(places):
        if place is not None:
            stack, number, inner = place
            stroke = sketch.strokes[index]
            declared = sketch.declared[index] if sketch.declared else None
            seen = (inner, stroke.op, stroke.kind, stroke.shape, declared)
            found.setdefault(stack, {}).setdefault(number, []).append(seen)
    return found


def _stand_ins(layers: Mapping[int, list[object]]) -> list[int]:
    """Return for each layer one of the first that is like it, itself where it is one of these."""
    first: dict[tuple[object, ...], int] = {}
    found = [first.setdefault(tuple(layers[number]), number) for number in sorted(layers)]
    return [number if number <= max(found) else by for number, by in enumerate(found)]


def _given(sketch: Sketch, stand_ins: Mapping[str, list[int]]) -> dict[int, int] | None:
    """Return which input stands for which, where each layer has some of its own, the last to go in.

    None where nobody can tell which layer they are for.
    """
    inputs = [index for index, stroke in enumerate(sketch.strokes) if stroke.kind == "input"]
    if len(stand_ins) != 1:
        return None
    [found] = stand_ins.values()
    each, shared = divmod(len(inputs), len(found))
    by = {}
    for place, index in enumerate(inputs[shared:]):
        number, turn = divmod(place, each)
        by[index] = inputs[shared + found[number] * each + turn]
        if sketch.strokes[by[index]] != sketch.strokes[index]:
            return None
    return by


def _by(path: str, stand_ins: Mapping[str, list[int]]) -> str:
    place = _place(path)
    if place is None or place[1] >= len(stand_ins.get(place[0], ())):
        return path
    stack, number, inner = place
    return f"{stack}.{stand_ins[stack][number]}{inner}"
