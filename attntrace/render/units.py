"""Numbers as people read them, where renderers look for them."""

from attntrace.notation.units import exact, nbytes_text, shape_text, tuple_text

__all__ = ["exact", "nbytes_text", "shape_text", "tuple_text"]
