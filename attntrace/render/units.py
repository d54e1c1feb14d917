"""Numbers as people read them, where renderers look for them."""

from attntrace.notation.units import counted, exact, nbytes_text, shape_text, tuple_text

__all__ = ["counted", "exact", "nbytes_text", "shape_text", "tuple_text"]
