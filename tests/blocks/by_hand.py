"""One run of a small block in float64, and the few steps of attention that formulas share.

Nothing here calls the package's own blocks but `ran`: what a test expects is computed from the
weights and the inputs alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import attntrace
from attntrace.blocks import make_inputs
from attntrace.capture.tap import Tap

BATCH, TOKENS, CHAN, HEADS, DIM, MAP = 2, 15, 24, 4, 20, (3, 5)
CONTEXT, CONTEXT_DIM = 7, 10
SIZES = {"batch": BATCH, "tokens": TOKENS, "chan": CHAN, "heads": HEADS, "dim": DIM}
CROSS = {"context_tokens": CONTEXT, "context_dim": CONTEXT_DIM}
HIDDEN = float("-inf")


@dataclass(frozen=True)
class Ran:
    """A block's weights by name, what it was given, what its taps saw, and its output."""

    weights: dict[str, Tensor]
    inputs: dict[str, Any]
    seen: dict[str, Tensor]
    out: Tensor

    def linear(self, name: str, x: Tensor) -> Tensor:
        """Return x W^T + b with the weights of one module."""
        return F.linear(x, self.weights[f"{name}.weight"], self.weights.get(f"{name}.bias"))

    @property
    def x(self) -> Tensor:
        """The tokens."""
        return self.inputs["x"]

    @property
    def source(self) -> Tensor:
        """What keys and values are made from."""
        return self.inputs.get("context", self.x)

    def projected(self, module: str = "project") -> tuple[Tensor, Tensor, Tensor]:
        """Return x W_q^T, source W_k^T and source W_v^T, each (batch, tokens, width)."""
        return (
            self.linear(f"{module}.q_proj", self.x),
            self.linear(f"{module}.k_proj", self.source),
            self.linear(f"{module}.v_proj", self.source),
        )

    def returned(self, context: Tensor) -> Tensor:
        """Return the output projection of a context (batch, heads, tokens, d)."""
        return self.linear("proj", merged(context))


def ran(**settings: Any) -> Ran:
    """Run a block once with random weights, norms' included, and see what its taps see."""
    return ran_with(None, **settings)


def ran_with(weights: dict[str, Tensor] | None, **settings: Any) -> Ran:
    """Run a block with given weights; None draws them."""
    run = {"dtype": "float64", **settings.pop("run", {})}
    settings = {**SIZES, **settings, "run": run}
    if settings.get("block", "attention") == "attention":
        settings["attention"] = {"skip": "none", **settings.get("attention", {})}
    spec = attntrace.load(**settings)
    block, inputs, seen = attntrace.build(spec), make_inputs(spec), {}
    if weights is not None:
        own = block.attention if hasattr(block, "attention") else block
        own.load_state_dict(weights)
    else:
        unlike_their_defaults(block)
    for module in block.modules():
        if isinstance(module, Tap):
            module.register_forward_hook(lambda tap, _, out: seen.update({tap.name: out.clone()}))
    with torch.no_grad():
        out = block(**inputs)
    named = {n.removeprefix("attention."): w for n, w in block.state_dict().items()}
    return Ran(named, inputs, seen, out)


def unlike_their_defaults(block: nn.Module) -> None:
    """Draw the weights of norms and the biases anew: 1 and 0 would hide what they do."""
    drawn = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for module in block.modules():
            if isinstance(module, nn.LayerNorm | nn.RMSNorm | nn.Linear | nn.Conv2d):
                for name, weight in module.named_parameters(recurse=False):
                    if name == "bias" or weight.dim() == 1:
                        weight.uniform_(0.5, 1.5, generator=drawn)


def heads_of(x: Tensor, heads: int = HEADS) -> Tensor:
    """Return (batch, heads, tokens, d) for x (batch, tokens, heads*d): head h has d columns in a row."""
    width = x.shape[-1] // heads
    return torch.stack([x[..., h * width : (h + 1) * width] for h in range(heads)], dim=1)


def merged(context: Tensor) -> Tensor:
    """Return (batch, tokens, heads*d) for a context (batch, heads, tokens, d)."""
    return torch.cat(list(context.unbind(1)), dim=-1)


def softmax(scores: Tensor) -> Tensor:
    """Return e^score over the sum of its row."""
    grown = torch.exp(scores - scores.amax(dim=-1, keepdim=True))
    return grown / grown.sum(dim=-1, keepdim=True)


def attended(q: Tensor, k: Tensor, v: Tensor, *, scale: float, extra: Any = 0.0) -> Tensor:
    """Return softmax(scale q k^T + extra) v, an einsum each."""
    scores = torch.einsum("...qd,...kd->...qk", q, k) * scale + extra
    return torch.einsum("...qk,...kd->...qd", softmax(scores), v)


def hiding(hidden: Tensor) -> Tensor:
    """Return 0 where a key is seen and -inf where it is hidden."""
    return torch.zeros(hidden.shape, dtype=torch.float64).masked_fill(hidden, HIDDEN)


def close(ours: Tensor, expected: Tensor, atol: float = 1e-10) -> None:
    """Assert that two float64 tensors are one."""
    torch.testing.assert_close(ours, expected, rtol=1e-7, atol=atol)
