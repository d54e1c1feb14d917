"""The nonlinearities of a feed-forward, by the names that a spec gives them."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor


def gelu_tanh(x: Tensor) -> Tensor:
    """Return GELU approximated by tanh, as in GPT-2 (Hendrycks and Gimpel, 2016, section 2)."""
    return F.gelu(x, approximate="tanh")


def squared_relu(x: Tensor) -> Tensor:
    """Return relu(x)^2 (So et al., "Primer", 2021, section 3)."""
    return F.relu(x).square()


def quick_gelu(x: Tensor) -> Tensor:
    """Return x * sigmoid(1.702 x), GELU approximated as in CLIP (the same section)."""
    return x * torch.sigmoid(1.702 * x)


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "relu2": squared_relu,
    "gelu": F.gelu,
    "gelu-tanh": gelu_tanh,
    "silu": F.silu,
    "quick-gelu": quick_gelu,
}
