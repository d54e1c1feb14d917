"""The norms of a stack, each over the last axis of (batch, tokens, width)."""

from __future__ import annotations

from torch import Tensor, nn

from attntrace.spec import Spec


class TokenBatchNorm(nn.BatchNorm1d):
    """Batch norm of tokens: each feature is normed over all tokens of all sequences.

    Shapes: x (batch, tokens, width) -> the same. Source: Shen et al., "PowerNorm" (2020), section 3.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return x with each feature of mean 0 and variance 1; in eval by the running figures."""
        return super().forward(x.flatten(0, 1)).view_as(x)


def norm(spec: Spec, width: int) -> nn.Module:
    """Return the norm that the spec asks for over `width` features; an identity for none.

    RMSNorm is x / sqrt(mean(x^2) + eps) * weight (Zhang and Sennrich, 2019, section 3): no mean is
    taken off, and there is no bias.
    """
    kind, eps = spec.norm.kind, spec.norm.eps
    if kind == "layernorm":
        weight = spec.norm.weight
        return nn.LayerNorm(width, eps=eps, elementwise_affine=weight, bias=spec.norm.bias)
    if kind == "rmsnorm":
        return nn.RMSNorm(width, eps=eps, elementwise_affine=spec.norm.weight)
    if kind == "batchnorm":
        return TokenBatchNorm(width, eps=eps)
    return nn.Identity()
