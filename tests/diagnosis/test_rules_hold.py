"""Random calls: a rule is said of each that PyTorch refuses, and of none that it takes."""

from __future__ import annotations

import operator
import warnings

import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from attntrace.analysis.diagnosis import FailedCall, Given
from attntrace.analysis.diagnosis.indexing.index import explain as explain_index
from attntrace.analysis.diagnosis.layers.conv import explain as explain_conv
from attntrace.analysis.diagnosis.layers.loss import explain as explain_loss
from attntrace.analysis.diagnosis.layers.norm import explain as explain_norm
from tests.diagnosis.failing import ids

many = settings(
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow],
)
sizes = st.integers(1, 4)


def shapes(least=1, most=4):
    """Return shapes of some axes."""
    return st.lists(sizes, min_size=least, max_size=most).map(tuple)


def described(value, name):
    """Return an argument as an explainer reads it."""
    if isinstance(value, (tuple, list)):
        return type(value)(described(one, name) for one in value)
    if not isinstance(value, torch.Tensor):
        return value
    whole = not value.is_floating_point() and value.dtype is not torch.bool and value.numel()
    least, most = (int(value.min()), int(value.max())) if whole else (None, None)
    dtype = str(value.dtype).removeprefix("torch.")
    return Given(name=name, shape=tuple(value.shape), dtype=dtype, least=least, most=most)


def agrees(explain, op, function, *args, **kwargs):
    """Assert that a rule is said exactly if the call raises; return it, as PyTorch has its own."""
    names = "xyzw"
    call = FailedCall(
        op=op,
        args=tuple(described(one, names[at]) for at, one in enumerate(args)),
        kwargs={key: described(one, key) for key, one in kwargs.items()},
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        raised = None
        try:
            function(*args, **kwargs)
        except (RuntimeError, IndexError, ValueError) as error:
            raised = error
    found = explain(call)
    assert (found is None) == (raised is None), (call, raised)
    assert found is None or found.rule.endswith("."), found.rule
    return found


@many
@given(shapes(1, 5), st.integers(1, 4), st.integers(1, 3), st.sampled_from([1, 2]))
def test_conv2d(shape, channels, kernel, groups):
    """A convolution fails for its axes, its channels, its groups, or its reach."""
    weight = torch.rand(2, channels, kernel, kernel)
    agrees(explain_conv, "conv2d", F.conv2d, torch.rand(shape), weight, groups=groups)


@many
@given(shapes(1, 4), sizes, sizes, st.integers(0, 2))
def test_conv_transpose1d(shape, first, second, padding):
    """A transposed one reads its channels from the first axis of the weight."""
    if len(shape) > 1 and (shape[-1] - 1) + 2 <= 2 * padding:
        return  # nothing is left: no rule yet
    weight = torch.rand(first, second, 2)
    x = torch.rand(shape)
    agrees(explain_conv, "conv_transpose1d", F.conv_transpose1d, x, weight, padding=padding)


@many
@given(shapes(1, 5), sizes, st.integers(0, 2))
def test_max_pool2d(shape, kernel, padding):
    """A pooling fails for its axes, its padding, or its reach."""
    agrees(explain_conv, "max_pool2d", F.max_pool2d, torch.rand(shape), kernel, kernel, padding)


@many
@given(shapes(), st.lists(st.integers(0, 4), max_size=6).map(tuple), st.sampled_from(["constant", "reflect"]))  # fmt: skip
def test_pad(shape, pads, mode):
    """A padding fails for how many numbers it has, or for one that is too large to reflect."""
    if mode == "reflect" and len(pads) in (0, 6):
        return
    agrees(explain_conv, "pad", F.pad, torch.rand(shape), pads, mode)


@many
@given(shapes(1, 4), shapes(1, 2))
def test_layer_norm(shape, normalized):
    """A layer norm fails if the last sizes are not those that it was built for."""
    agrees(explain_norm, "layer_norm", F.layer_norm, torch.rand(shape), normalized)


@many
@given(shapes(1, 4), sizes)
def test_group_norm(shape, groups):
    """A group norm fails for its axes, or for groups that do not divide."""
    if len(shape) < 2 or shape[0] * shape[1] // groups == 1:
        return
    agrees(explain_norm, "group_norm", F.group_norm, torch.rand(shape), groups)


@many
@given(shapes(2, 4), sizes, st.booleans())
def test_batch_norm(shape, channels, training):
    """A batch norm fails for its channels, and in training for a single value."""
    mean = torch.rand(channels)
    agrees(
        explain_norm,
        "batch_norm",
        F.batch_norm,
        torch.rand(shape),
        mean,
        mean + 1,
        training=training,
    )


@many
@given(shapes(1, 4), shapes(0, 4), st.integers(0, 4))
def test_cross_entropy(shape, wants, value):
    """A cross entropy fails for the shape of the target, its dtype, or a class that is none."""
    target = torch.full(wants, value)
    if wants == () or (len(shape) == 1 and wants == (1,)):
        return
    agrees(explain_loss, "cross_entropy", F.cross_entropy, torch.rand(shape), target)


@many
@given(shapes(), shapes())
def test_mse_loss(one, other):
    """A squared error fails where the two do not broadcast."""
    agrees(explain_loss, "mse_loss", F.mse_loss, torch.rand(one), torch.rand(other))


@many
@given(shapes(), shapes(), st.integers(0, 3), st.integers(0, 4))
def test_gather(shape, wants, dim, value):
    """A gather fails for its axes, a size of the index, or a number beyond the axis."""
    index = torch.full(wants, value)
    agrees(explain_index, "gather", torch.gather, torch.rand(shape), dim % len(shape), index)


@many
@given(shapes(), shapes(1, 2), st.integers(0, 3), st.integers(0, 4))
def test_index_select(shape, wants, dim, value):
    """An index_select fails for an index of two axes, or a number beyond the axis."""
    index = torch.full(wants, value)
    x = torch.rand(shape)
    agrees(explain_index, "index_select", torch.index_select, x, dim % len(shape), index)


parts = st.one_of(
    st.integers(-5, 4),
    st.just(slice(None)),
    st.just(None),
    st.just(Ellipsis),
    st.builds(slice, st.just(0), st.integers(1, 6)),
    st.builds(lambda shape: torch.ones(shape, dtype=torch.bool), shapes(1, 2)),
    st.builds(torch.full, shapes(1, 2), st.integers(-5, 4)),
)


@many
@given(shapes(), st.lists(parts, min_size=1, max_size=4))
def test_indexing(shape, index):
    """An index fails for too many parts, a number or a mask that does not fit, or two together."""
    if sum(part is Ellipsis for part in index) > 1:
        return
    masks = [part for part in index if isinstance(part, torch.Tensor) and part.dtype is torch.bool]
    if masks and sum(isinstance(part, torch.Tensor) for part in index) > 1:
        return  # how many a mask picks is known to nobody
    agrees(explain_index, "getitem", operator.getitem, torch.rand(shape), tuple(index))


@many
@given(shapes(), st.lists(st.builds(slice, sizes, sizes), min_size=1, max_size=3), shapes())
def test_storing(shape, index, other):
    """What is stored fails if it does not spread over the part that it is stored in."""
    index = tuple(index[: len(shape)])
    x, y = torch.rand(shape), torch.rand(other)
    agrees(explain_index, "setitem", operator.setitem, x, index, y)


@many
@given(st.integers(1, 90), shapes(0, 2), st.integers(-3, 95), st.integers(1, 5))
def test_embedding(rows, shape, value, width):
    """A table of embeddings fails for ids that are no rows, and the rule has both numbers."""
    found = agrees(
        explain_index, "embedding", F.embedding, torch.full(shape, value), torch.rand(rows, width)
    )
    if found is not None:
        assert f"has {rows} rows" in found.rule
        assert f"the value {value}" in found.rule


@many
@given(shapes(), st.sampled_from(["nearest", "linear", "bilinear"]), shapes(1, 3))
def test_interpolate(shape, mode, size):
    """An interpolation fails for a mode of other axes, or a size that has too many or too few."""
    agrees(explain_conv, "interpolate", F.interpolate, torch.rand(shape), size, None, mode)


@many
@given(shapes(1, 4), st.integers(1, 3), st.integers(0, 1))
def test_unfold(shape, kernel, padding):
    """Windows fail for the axes of the input, or a kernel that does not fit."""
    x = torch.rand(shape)
    agrees(explain_conv, "unfold", F.unfold, x, kernel, dilation=1, padding=padding)


@many
@given(st.integers(1, 2), st.integers(1, 9), st.integers(1, 9), st.integers(2, 4))
def test_fold(batch, channels, blocks, size):
    """Blocks fail for how many there are, or for channels that are no whole kernels."""
    x = torch.rand(batch, channels, blocks)
    agrees(explain_conv, "fold", F.fold, x, (size, size), 2)


@many
@given(shapes(3, 4), st.integers(1, 3))
def test_pixel_shuffle(shape, factor):
    """Shuffled pixels fail for channels that the square of the factor does not divide."""
    x = torch.rand(shape)
    agrees(explain_conv, "pixel_shuffle", F.pixel_shuffle, x, factor)
    agrees(explain_conv, "pixel_unshuffle", F.pixel_unshuffle, x, factor)


@many
@given(shapes(1, 5), shapes(1, 3))
def test_adaptive_max_pool2d(shape, size):
    """An adaptive pooling fails for its axes, or for sizes that are not two."""
    if len(size) == 1:
        return
    pooled = torch.rand(shape)
    agrees(explain_conv, "adaptive_max_pool2d", F.adaptive_max_pool2d, pooled, size)


@many
@given(shapes(1, 4), st.integers(1, 3))
def test_avg_pool1d(shape, kernel):
    """A pooling of sequences fails for its axes, or for its reach."""
    agrees(explain_conv, "avg_pool1d", F.avg_pool1d, torch.rand(shape), kernel)


@many
@given(shapes(), shapes())
def test_binary_losses(one, other):
    """A binary loss fails where the shapes are not the same."""
    for name in ("binary_cross_entropy", "binary_cross_entropy_with_logits"):
        loss = getattr(F, name)
        if one != other:  # where they are, values may be the fault
            agrees(explain_loss, name, loss, torch.rand(one), torch.rand(other))


@many
@given(shapes(1, 2), shapes(1, 2), shapes(1, 2))
def test_cosine_embedding_loss(one, other, labels):
    """A loss of pairs fails for embeddings that differ, or labels that are not one a row."""
    if len(one) != len(other) or len(labels) > len(one):
        return
    tensors = [torch.rand(shape) for shape in (one, other, labels)]
    agrees(explain_loss, "cosine_embedding_loss", F.cosine_embedding_loss, *tensors)


@many
@given(shapes(1, 3), shapes(1, 3), shapes(1, 3), st.integers(0, 2))
def test_scatter(shape, wants, given_shape, dim):
    """A scatter fails for an index or a source that is of other axes or too large."""
    x, index, source = torch.rand(shape), ids(*wants), torch.rand(given_shape)
    agrees(explain_index, "scatter", torch.scatter, x, dim % len(shape), index, source)


@many
@given(shapes(1, 3), shapes(1, 3), st.integers(0, 2), st.integers(-5, 4))
def test_take_along_dim(shape, wants, dim, value):
    """A take_along_dim fails for sizes that do not spread, or a number beyond the axis."""
    x, index = torch.rand(shape), ids(*wants, fill=value)
    agrees(explain_index, "take_along_dim", torch.take_along_dim, x, index, dim % len(shape))


@many
@given(shapes(1, 3), sizes, shapes(1, 3), st.integers(0, 2))
def test_index_add(shape, count, given_shape, dim):
    """An index_add fails for a source that is not one slice a number."""
    x, source = torch.rand(shape), torch.rand(given_shape)
    agrees(explain_index, "index_add", torch.index_add, x, dim % len(shape), ids(count), source)


@many
@given(shapes(1, 3), st.integers(0, 2), st.integers(-4, 4), st.integers(0, 4))
def test_parts_of_an_axis(shape, dim, begin, length):
    """A part of an axis fails where the axis has no such numbers."""
    x, dim = torch.rand(shape), dim % len(shape)
    agrees(explain_index, "select", torch.select, x, dim, begin)
    if begin >= 0:
        agrees(explain_index, "narrow", torch.narrow, x, dim, begin, length)
    if length:
        agrees(explain_index, "unfold", torch.Tensor.unfold, x, dim, length, 1)


@many
@given(st.integers(-2, 5), st.sampled_from([-1, 1, 3, 5]))
def test_one_hot(value, count):
    """A one-hot table fails for a class below 0, or beyond the last."""
    agrees(explain_index, "one_hot", F.one_hot, ids(2, fill=value), count)


@many
@given(shapes(3, 4), st.booleans())
def test_instance_norm(shape, training):
    """An instance norm fails for a single value, unless it has running statistics."""
    mean = torch.rand(shape[1])
    x = torch.rand(shape)
    agrees(
        explain_norm, "instance_norm", F.instance_norm, x, mean, mean + 1, use_input_stats=training
    )
