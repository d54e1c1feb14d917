"""The shapes that products of matrices take and make."""

from __future__ import annotations

from attntrace.analysis.diagnosis.shapes import broadcast
from attntrace.analysis.diagnosis.text import divided
from attntrace.record import Shape

NAMES = {
    "matmul": ("input", "other"), "mm": ("input", "mat2"), "bmm": ("input", "mat2"),
    "mv": ("input", "vec"), "dot": ("input", "tensor"), "vdot": ("input", "other"),
    "addmm": ("mat1", "mat2"), "addmv": ("mat", "vec"), "baddbmm": ("batch1", "batch2"),
    "addbmm": ("batch1", "batch2"),
}  # fmt: skip
"""Keywords of the two factors; those of `add...` stand after the tensor that is added."""
RANKS = {
    "mm": (2, 2), "bmm": (3, 3), "mv": (2, 1), "dot": (1, 1), "vdot": (1, 1), "addmm": (2, 2),
    "addmv": (2, 1), "baddbmm": (3, 3), "addbmm": (3, 3),
}  # fmt: skip
"""How many axes each factor must have; matmul takes any, and broadcasts."""


def product_shape(op: str, left: Shape, right: Shape) -> Shape | None:
    """Return the shape of a product, None where there is none."""
    if not left or not right or RANKS.get(op, (len(left), len(right))) != (len(left), len(right)):
        return None
    rows, columns = left[-2:-1], right[-1:] if len(right) > 1 else ()
    if left[-1] != right[-2:][0]:
        return None
    if op in RANKS:
        return (*left[:-2], *rows, *columns) if left[:-2] == right[:-2] else None
    batch = broadcast(left[:-2], right[:-2])
    return None if batch is None else (*batch, *rows, *columns)


def unsplit_width(one: Shape, other: Shape) -> str:
    """Return what the larger of two widths looks like, if it is as many heads of the smaller."""
    narrow, wide = sorted((one, other), key=lambda shape: shape[-1])
    if wide[-1] not in [narrow[-1] * heads for heads in narrow[1:-1]]:
        return ""
    sums = divided(wide[-1], narrow[-1])
    return f"; {sums} looks like the whole width, {narrow[-1]} like head_dim"
