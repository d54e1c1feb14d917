"""Which family explains which op, and in what order they are asked."""

from __future__ import annotations

from collections.abc import Callable

from attntrace.analysis.diagnosis.attention import dot_product, multihead
from attntrace.analysis.diagnosis.call import Explained, FailedCall
from attntrace.analysis.diagnosis.fitting import assign, broadcast, join, masks
from attntrace.analysis.diagnosis.indexing import index
from attntrace.analysis.diagnosis.kinds import autograd, device, dtype
from attntrace.analysis.diagnosis.layers import conv, linear, loss, norm
from attntrace.analysis.diagnosis.products import einsum, matmul
from attntrace.analysis.diagnosis.recurrent import modules
from attntrace.analysis.diagnosis.reshaping import dims, expand, unpack, view

Explainer = Callable[[FailedCall], Explained | None]
"""Returns None where this is not what went wrong, and the next one is asked."""

FAMILIES: tuple[Explainer, ...] = (
    device.explain,
    autograd.explain,
    dot_product.explain,
    multihead.explain,
    modules.explain,
    linear.explain,
    matmul.explain,
    einsum.explain,
    view.explain,
    unpack.explain,
    assign.explain,
    index.explain,
    norm.explain,
    conv.explain,
    loss.explain,
    join.explain,
    expand.explain,
    dims.explain,
    masks.explain,
    dtype.explain,
    broadcast.explain,
)
"""The first to answer wins."""


def explained(call: FailedCall) -> Explained | None:
    """Return why a call failed; None where no family knows."""
    return next((found for explain in FAMILIES if (found := explain(call)) is not None), None)
