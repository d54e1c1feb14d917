"""The part of a layer that works on each token by itself: one file a kind."""

from __future__ import annotations

from torch import nn

from attntrace.blocks.axes import Axes
from attntrace.blocks.feed_forward.conv import ConvFeedForward
from attntrace.blocks.feed_forward.glu import GatedFeedForward
from attntrace.blocks.feed_forward.mlp import FeedForward
from attntrace.blocks.feed_forward.moe import MixtureOfExperts
from attntrace.spec import Spec

KINDS = {
    "mlp": FeedForward,
    "glu": GatedFeedForward,
    "moe": MixtureOfExperts,
    "conv": ConvFeedForward,
}


def feed_forward(spec: Spec, axes: Axes) -> nn.Module:
    """Return what feed_forward.kind says; it takes (batch, tokens, chan) to the same shape."""
    return KINDS[spec.feed_forward.kind](spec, axes)
