"""From a spec and its tokens to the guide that every layer of a stack is given."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor, nn

from attntrace.blocks.axes import Axes
from attntrace.blocks.guide import Guide
from attntrace.blocks.mask import Mask
from attntrace.blocks.positions.absolute import Positions
from attntrace.blocks.positions.bias import Alibi, T5Bias
from attntrace.blocks.positions.rope import RotaryTable
from attntrace.spec import Spec
from attntrace.spec.parts import context_of

BIASES = {"alibi": Alibi, "t5": T5Bias}


class Guidance(nn.Module):
    """Mask, rotary table, bias on the scores and positions on q and k: made once, used by all layers.

    Shapes: x (batch, tokens, width), lengths (batch,) or None, context (batch, context_tokens,
    context_dim) or None -> a `Guide`.
    """

    def __init__(self, spec: Spec, axes: Axes) -> None:
        super().__init__()
        kind = spec.positions.kind
        self.masks = set(spec.masks)
        self.tokens, self.keys = spec.tokens, spec.key_tokens
        self.cached = spec.cache.past is not None and spec.past > 0
        self.mask = Mask(spec, axes) if spec.masks else None
        self.rotary = RotaryTable(spec, axes) if kind == "rope" else None
        self.bias = BIASES[kind](spec, axes) if kind in BIASES else None
        self.positions = Positions(spec, axes) if spec.adds_to_qk else None
        self.context_positions = (
            Positions(context_of(spec), axes.of_context())
            if spec.adds_to_qk and spec.cross
            else None
        )

    def forward(
        self, x: Tensor, lengths: Tensor | None = None, context: Tensor | None = None
    ) -> Guide:
        """Return what the layers are told beside x."""
        guide = self.of_scores(x, lengths)
        q_positions = None if self.positions is None else self.positions(x)
        k_positions = q_positions
        if self.context_positions is not None and context is not None:
            k_positions = self.context_positions(context)
        rotary = None if self.rotary is None else self.rotary(x)
        return replace(guide, rotary=rotary, q_positions=q_positions, k_positions=k_positions)

    def of_scores(self, like: Tensor, lengths: Tensor | None = None) -> Guide:
        """Return the part that is about scores: mask and bias, with the device of `like`."""
        mask = None
        if self.mask is not None:
            mask = self.mask(self.tokens, self.keys, lengths, like.device)
        return Guide(
            mask=mask,
            causal=self.masks == {"causal"} and not self.cached,
            bias=None if self.bias is None else self.bias(like),
        )
