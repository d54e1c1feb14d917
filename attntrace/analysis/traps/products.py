"""Products of two tensors: which axes are summed over, and which the result keeps."""

from __future__ import annotations

import re
from dataclasses import dataclass

from attntrace.record import Shape, TensorRecord

MATMUL = ("matmul", "bmm", "baddbmm", "rmatmul")
Labels = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Product:
    """A product, each axis with a label: those of both factors and not of the result are summed."""

    row: TensorRecord
    left: TensorRecord
    right: TensorRecord
    labels: tuple[Labels, Labels, Labels]
    """Of the left factor, of the right one, of the result."""

    @property
    def summed(self) -> list[str]:
        """The labels that are summed over, of both factors."""
        left, right, out = self.labels
        return [label for label in left if label in right and label not in out]

    @property
    def batched(self) -> list[str]:
        """The labels that both factors and the result have."""
        left, right, out = self.labels
        return [label for label in out if label in left and label in right]

    def size(self, side: int, label: str) -> int:
        """Return the size of an axis: 0 the left factor, 1 the right one, 2 the result."""
        shape = (self.left.shape, self.right.shape, self.row.shape)[side] or ()
        return shape[self.labels[side].index(label)]


def product_of(row: TensorRecord, inputs: list[TensorRecord]) -> Product | None:
    """Return the product that a row is; None of anything else, and where a factor has no row."""
    if row.op not in MATMUL and row.op != "einsum":
        return None
    factors = inputs[-2:]
    shapes = [one.shape for one in (*factors, row)]
    if len(factors) < 2 or (row.op == "einsum" and len(inputs) != 2) or None in shapes:
        return None
    known: list[Shape] = [shape for shape in shapes if shape is not None]
    if row.op == "einsum":
        labels = _of_equation((row.arguments or {}).get("equation"), known)
    else:
        labels = _of_matmul(known)
    return None if labels is None else Product(row, factors[0], factors[1], labels)


def _of_matmul(shapes: list[Shape]) -> tuple[Labels, Labels, Labels] | None:
    left, right, out = (len(shape) for shape in shapes)
    if left < 2 or right < 2:
        return None
    batch = [str(n) for n in range(max(left, right) - 2)]
    if out != len(batch) + 2:
        return None
    return (
        (*batch[len(batch) - left + 2 :], "rows", "sum"),
        (*batch[len(batch) - right + 2 :], "sum", "columns"),
        (*batch, "rows", "columns"),
    )


def _of_equation(equation: object, shapes: list[Shape]) -> tuple[Labels, Labels, Labels] | None:
    if not isinstance(equation, str):
        return None
    given, _, result = equation.replace(" ", "").partition("->")
    terms = given.split(",")
    if "->" not in equation:
        once = [one for one in sorted(set(given) - set(",.")) if given.count(one) == 1]
        result = ("..." if "..." in given else "") + "".join(once)
    if len(terms) != 2:
        return None
    wide = max(
        len(shape) - len(term.replace("...", ""))
        for shape, term in zip(shapes, (*terms, result), strict=True)
    )
    left, right, out = (
        _labels(term, len(shape), wide)
        for term, shape in zip((*terms, result), shapes, strict=True)
    )
    if any(
        len(labels) != len(shape) for labels, shape in zip((left, right, out), shapes, strict=True)
    ):
        return None
    return left, right, out


def _labels(term: str, rank: int, wide: int) -> Labels:
    """Return a label for each axis; those of `...` are numbers, the last of them the same in all."""
    dots = rank - len(term.replace("...", ""))
    found: list[str] = []
    for part in re.findall(r"\.\.\.|[A-Za-z]", term):
        found += [str(n) for n in range(wide - dots, wide)] if part == "..." else [part]
    return tuple(found)
