"""Random formulas and texts, and Python's own answer to a formula."""

from __future__ import annotations

import math
import re
from fractions import Fraction

from hypothesis import strategies as st

SIZES = {"batch": 13, "tokens": 100, "dim": 49, "chan": 64, "heads": 4, "head_dim": 16}
_ONE = st.integers(0, 60) | st.sampled_from(sorted(SIZES))
_MARKS = st.sampled_from(["+", "-", "*", "//", "/"])
FORMULAS = st.recursive(_ONE, lambda inner: st.tuples(inner, _MARKS, inner), max_leaves=8)
"""Trees of numbers, sizes and what is done with two of them."""
_PIECES = st.sampled_from(
    ["batch", "heads", "7", "_", "...", "+", "-", "*", "//", "/", "(", ")", "ceil(", ",", " ", "[",
     "]", "3heads", "1_000", "<=", "MiB", ".5", "x.0", "$", "é", "\n"]
)  # fmt: skip
TEXTS = st.text(max_size=20) | st.lists(_PIECES, max_size=12).map("".join)
"""Any text, and what nearly reads as a shape or a bound."""


def by_python(text):
    """Return what a formula's text is worth to Python, with exact quotients; None for x / 0."""
    names = {name: Fraction(size) for name, size in SIZES.items()}
    exact = re.sub(r"\d+", r"F(\g<0>)", text)
    try:
        return eval(exact, {"F": Fraction, "ceil": math.ceil, **names})  # noqa: S307 - our own text
    except ZeroDivisionError:
        return None
