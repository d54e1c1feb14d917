"""What each kind of op does to sizes, read off the shapes of what went in and what came out."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from attntrace.analysis.lineage.hop import (
    Hop,
    built,
    came_in,
    named,
    same_axis,
    set_here,
    shape_of,
    size,
    through,
)
from attntrace.analysis.lineage.shapes import aligned, broadcasts, kept
from attntrace.analysis.lineage.views import regrouped, viewed
from attntrace.record import TensorRecord

Given: TypeAlias = list[TensorRecord]
"""The rows among the arguments of a call; parameters have none."""
Rule = Callable[[TensorRecord, Given, int], Hop | None]
_OWN = re.compile(r"(?:@|matmul\(.*,|mm\(.*,)\s*self\.([\w.]+)(?![\w.(])")
"""The right side of a product that is an attribute of the module."""
_INDEX = re.compile(r"\[self\.([\w.]+)\]")
"""An index that is an attribute of the module, alone in its brackets."""
_EQUATION = re.compile(r"""["']([A-Za-z., ]*->[A-Za-z. ]*)["']""")


def hop(row: TensorRecord, given: Given, dim: int) -> Hop:
    """Return what a row says of its size `dim`; `given` is what its call took."""
    if row.kind == "input":
        return came_in(row, dim)
    base = next((one for one in given if one.storage_id == row.storage_id), None)
    if row.op in _RULES:
        found = _RULES[row.op](row, given, dim) if given else None
    elif row.origin == "view" and base is not None:
        found = viewed(base, row, dim)
    elif row.op == "getitem":
        found = _indexed(row, given, dim) or _handed_on(row, given, dim)
    else:
        found = _handed_on(row, given, dim)
    return found or set_here(row, dim)


def _handed_on(row: TensorRecord, given: Given, dim: int) -> Hop | None:
    """Follow a size through a call that works element by element, or seems to by its shapes."""
    if not broadcasts([shape_of(one) for one in given], shape_of(row)):
        return None
    places = ((one, aligned(shape_of(one), shape_of(row), dim)) for one in given)
    return next((through(one, at) for one, at in places if at is not None), None)


def _indexed(row: TensorRecord, given: Given, dim: int) -> Hop | None:
    """Follow a size through x[index], which has the shape of the index first."""
    wholes = [one for one in given if one.dtype.startswith("int") and shape_of(one)]
    for one in wholes:
        rank = len(shape_of(one))
        if dim < rank and shape_of(row)[:rank] == shape_of(one):
            return through(one, dim)
    own = _INDEX.findall(row.line or "")
    if wholes or len(own) != 1 or dim:
        return None
    path = f"{row.path}.{own[0]}".removeprefix(".")
    said = f"`{row.op}` with the index `self.{own[0]}` made {size(row, dim)} at axis {dim}."
    return Hop(said=said, parameter=path)


def _first(row: TensorRecord, given: Given, dim: int) -> Hop | None:
    return same_axis(row, dim, given[0])


def _like_first(row: TensorRecord, given: Given, dim: int) -> Hop | None:
    return through(given[0], dim) if shape_of(given[0]) == shape_of(row) else None


def _reshaped(row: TensorRecord, given: Given, dim: int) -> Hop | None:
    return regrouped(given[0], row, dim)


def _repeated(row: TensorRecord, given: Given, dim: int) -> Hop | None:
    """Follow a size through repeat and tile, which may put axes in front."""
    one = given[0]
    at = dim - len(shape_of(row)) + len(shape_of(one))
    if at < 0 or size(one, at) == size(row, dim):
        return through(one, at) if at >= 0 else None
    times = f"{size(row, dim) // size(one, at)} * {size(one, at)}"
    said = f"`{row.op}` made {size(row, dim)} = {times} of {named(one)}."
    return Hop(said=said, row=one.index, dim=at)


def _last_built(setting: str) -> Rule:
    """Return the rule of a layer that makes the last size and hands on the others."""

    def rule(row: TensorRecord, given: Given, dim: int) -> Hop | None:
        is_last = dim == len(shape_of(row)) - 1
        return built(row, dim, setting) if is_last else same_axis(row, dim, given[0])

    return rule


def _convolved(row: TensorRecord, given: Given, dim: int) -> Hop | None:
    channels = len(shape_of(row)) - int(row.op[-2]) - 1
    if dim == channels:
        return built(row, dim, "out_channels")
    return same_axis(row, dim, given[0])


def _recurred(row: TensorRecord, given: Given, dim: int) -> Hop | None:
    """Follow a size of the sequence that an LSTM, a GRU or an RNN returns."""
    before, after = shape_of(given[0]), shape_of(row)
    if len(before) != len(after):
        return None
    if dim < len(after) - 1:
        return through(given[0], dim) if before[dim] == after[dim] else None
    states = {shape_of(one)[-1] for one in given[1:] if 2 * shape_of(one)[-1] == after[dim]}
    return built(row, dim, "hidden_size", states.pop() if len(states) == 1 else None)


def _pooled(row: TensorRecord, given: Given, dim: int) -> Hop | None:
    found = same_axis(row, dim, given[0])
    return built(row, dim, "output_size") if found is not None and found.said else found


def _unfolded(row: TensorRecord, given: Given, dim: int) -> Hop | None:
    """Follow a size through unfold: (batch, channels * window, places) of an image."""
    image, channels, here = given[0], len(shape_of(row)) - 2, size(row, dim)
    if len(shape_of(image)) != len(shape_of(row)) + 1:
        return viewed(image, row, dim)  # the method, which makes windows of one axis
    if dim < channels:
        return same_axis(row, dim, image)
    if dim > channels:
        high, wide = shape_of(image)[-2:]
        said = f"`{row.op}` made {here} windows of the {high} x {wide} of {named(image)}."
        return Hop(said=said, row=image.index, dim=dim + 1)
    many = size(image, channels)
    said = f"`{row.op}` made {here} = {many} * {here // many}: {many} channels of {named(image)}, {here // many} places of a window."  # fmt: skip
    return Hop(said=said, row=image.index, dim=channels)


def _multiplied(row: TensorRecord, given: Given, dim: int) -> Hop | None:
    """Follow a size through a product of matrices: rows of the left one, columns of the right."""
    out, (left, right) = shape_of(row), (given[-2:] if len(given) > 1 else (given[0], given[0]))
    if min(len(shape_of(left)), len(shape_of(right)), len(out)) < 2:
        return None
    if dim < len(out) - 2:
        return _handed_on(_batch(row), [_batch(left), _batch(right)], dim)
    if len(given) == 1 and dim == len(out) - 1 and shape_of(left)[:-1] == out[:-1]:
        other = _OWN.search(row.line or "")
        if other is None:
            said = f"`{row.op}` of {named(left)} made {out[dim]}, the last size of the other."
            return Hop(said=said)
        path = f"{row.path}.{other[1]}".removeprefix(".")
        said = f"`{row.op}` with `self.{other[1]}` made {out[dim]}, the last size of that."
        return Hop(said=said, parameter=path)
    one, end = (right, -1) if dim == len(out) - 1 else (left, -2)
    at = len(shape_of(one)) + end
    return through(one, at) if size(one, at) == out[dim] else None


def _batch(row: TensorRecord) -> TensorRecord:
    """Return a batch of matrices as a batch of numbers."""
    return replace(row, shape=shape_of(row)[:-2])


def _outer(row: TensorRecord, given: Given, dim: int) -> Hop | None:
    one = given[0] if dim == 0 else given[-1]
    return through(one, 0) if shape_of(one) == (size(row, dim),) else None


def _attended(row: TensorRecord, given: Given, dim: int) -> Hop | None:
    """Follow a size through attention: queries of the first, features of the values."""
    values = given[min(2, len(given) - 1)]
    if dim < len(shape_of(row)) - 1:
        return same_axis(row, dim, given[0])
    at = len(shape_of(values)) - 1
    return through(values, at) if size(values, at) == size(row, dim) else None


def _summed(row: TensorRecord, given: Given, dim: int) -> Hop | None:
    """Follow a size through einsum by its letter in the equation, if that is on the line."""
    found = _EQUATION.findall(row.line or "")
    before, _, after = found[0].replace(" ", "").partition("->") if len(found) == 1 else ("",) * 3
    terms, back = before.split(","), dim - len(shape_of(row))
    if len(terms) != len(given) or -back > len(after) or "." in after[back:]:
        return None
    for term, one in zip(terms, given, strict=True):
        place = term.rfind(after[back])
        at = place - len(term) + len(shape_of(one))
        if place >= 0 and "." not in term[place:]:
            return through(one, at) if size(one, at) == size(row, dim) else None
    return None


def _joined(row: TensorRecord, given: Given, dim: int) -> Hop | None:
    """Follow a size through cat: that of all, or the sum, of which the largest part is followed."""
    if any(len(shape_of(one)) != len(shape_of(row)) for one in given):
        return None
    here, parts = size(row, dim), [size(one, dim) for one in given]
    if set(parts) == {here}:
        return through(given[0], dim)
    rest = here - sum(parts)
    if len(parts) == 1 and here % parts[0] == 0:
        total = f"{here // parts[0]} * {parts[0]}"
    else:
        total = " + ".join(str(part) for part in [*parts, *([rest] if rest > 0 else [])])
    names = " and ".join(f"{size(one, dim)} of {named(one)}" for one in given)
    largest = max(given, key=lambda one: size(one, dim))
    said = f"`{row.op}` joined {names} at axis {dim}: {here} = {total}."
    return Hop(said=said, row=largest.index, dim=dim)


def _stacked(row: TensorRecord, given: Given, dim: int) -> Hop | None:
    out = shape_of(row)
    new = {at for at in range(len(out)) if out[:at] + out[at + 1 :] == shape_of(given[0])}
    if not new or (dim in new and len(new) > 1):
        return None
    if dim in new:
        return Hop(said=f"`{row.op}` laid {out[dim]} tensors on each other at axis {dim}.")
    return through(given[0], dim - (dim > max(new)))


def _reduced(row: TensorRecord, given: Given, dim: int) -> Hop | None:
    before, after = shape_of(given[0]), shape_of(row)
    if len(before) == len(after):
        return same_axis(row, dim, given[0])
    at = kept(before, after, dim)
    return None if at is None else through(given[0], at)


_WORDS: dict[Rule, str] = {
    _reshaped: "view reshape flatten unflatten view_as reshape_as squeeze unsqueeze ravel",
    _repeated: "repeat tile repeat_interleave",
    _last_built("out_features"): "linear bilinear",
    _last_built("embedding_dim"): "embedding",
    _convolved: "conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d",
    _recurred: "lstm gru rnn_tanh rnn_relu",
    _pooled: "adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d "
    "adaptive_max_pool2d adaptive_max_pool3d",
    _first: "max_pool1d max_pool2d max_pool3d avg_pool1d avg_pool2d avg_pool3d lp_pool1d lp_pool2d "
    "pad interpolate upsample glu pixel_shuffle pixel_unshuffle view_as_real view_as_complex topk "
    "index_select",
    _like_first: "multi_head_attention_forward",
    _multiplied: "matmul bmm mm addmm baddbmm",
    _outer: "outer ger",
    _attended: "scaled_dot_product_attention",
    _summed: "einsum",
    _unfolded: "unfold",
    _joined: "cat concat concatenate hstack vstack dstack",
    _stacked: "stack",
    _reduced: "sum mean max min amax amin prod norm std var argmax argmin logsumexp all any median",
}
_RULES: dict[str, Rule] = {op: rule for rule, ops in _WORDS.items() for op in ops.split()}
