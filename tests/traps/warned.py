"""What a call is warned of."""

from __future__ import annotations

import attntrace


def warned(model, *args, **kwargs):
    """Return the names of the warnings that a call gets, each once."""
    return sorted({trap.name for trap in attntrace.trace(model, *args, **kwargs).warnings})


def only(model, *args, **kwargs):
    """Return the one warning that a call gets."""
    (trap,) = attntrace.trace(model, *args, **kwargs).warnings
    return trap
