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
from attntrace.analysis.diagnosis.python import (
    arguments,
    calling,
    checked,
    lacking,
    no_tensor,
    nothing,
    one_element,
    shape_part,
    truth,
    whole,
)
from attntrace.analysis.diagnosis.recurrent import modules
from attntrace.analysis.diagnosis.reshaping import dims, expand, unpack, view

Explainer = Callable[[FailedCall], Explained | None]
"""Returns None where this is not what went wrong, and the next one is asked."""

FAMILIES: tuple[Explainer, ...] = (
    checked.explain,
    arguments.explain,
    calling.explain,
    calling.explain_parameter,
    lacking.explain,
    truth.explain,
    one_element.explain,
    shape_part.explain,
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
    nothing.explain,
    whole.explain,
    no_tensor.explain,
    dims.explain,
    masks.explain,
    dtype.explain,
    broadcast.explain,
)
"""The first to answer wins, though few calls have two that would.

From the particular to the general: what stands between the author's code and an op, such as a
check, an argument or one yes or no of many; where tensors are and what autograd refuses, of which
no shape says anything; each op by the family that knows what it is for; then what any op may be
given: None, a fraction, a tuple, an axis that is not there, a mask or a number format that does not
fit, shapes side by side. Thus a state of another format is told by `recurrent` before `dtype`,
windows by `conv` before `dims`, and a slice along an axis that was not meant by `assign` before
`index`.
"""


def explained(call: FailedCall) -> Explained | None:
    """Return why a call failed; None where no family knows."""
    return next((found for explain in FAMILIES if (found := explain(call)) is not None), None)
