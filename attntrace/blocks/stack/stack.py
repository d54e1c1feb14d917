"""Encoders and decoders: tokens go in, and through the layers."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from attntrace.blocks.axes import Axes
from attntrace.blocks.guide import NOTHING, Guide, Past
from attntrace.blocks.norm import norm
from attntrace.blocks.positions.absolute import InputPositions
from attntrace.blocks.stack.embedding import Embedding
from attntrace.blocks.stack.guides import Guides
from attntrace.blocks.stack.head import Head, Pooler
from attntrace.blocks.stack.layer import layer
from attntrace.blocks.vision import PatchEmbed, TokensToToken
from attntrace.capture.tap import Tap, Taps
from attntrace.spec import Spec


class Stack(nn.Module):
    """Layers on top of each other, and the norm above them.

    Shapes: x (batch, tokens, dim), memory (batch, context_tokens, context_dim) or None -> (batch,
    tokens, chan); with stack.all_layers (layers, batch, tokens, chan).
    """

    def __init__(self, spec: Spec, axes: Axes) -> None:
        super().__init__()
        different = 1 if spec.stack.shared_layers else spec.layers
        self.layers = nn.ModuleList(layer(spec, axes, n) for n in range(different))
        self.depth = spec.layers
        normed = spec.final_norm and spec.norm.kind != "none"
        self.norm = norm(spec, spec.chan) if normed else None
        self.returns_all = spec.stack.all_layers
        tokens = f"{axes.batch} {axes.tokens} {axes.chan}"
        layers = "layers" if spec.stack.decoder_layers is None else "decoder_layers"
        self.tap = Taps(
            Tap("normed", tokens, f"{spec.norm.kind} of the last layer's output"),
            Tap("each_normed", tokens, f"{spec.norm.kind} of a layer's output"),
            Tap("all_layers", f"{layers} {tokens}", "each_normed of every layer"),
        )

    def forward(
        self,
        x: Tensor,
        guides: list[Guide],
        memory: Tensor | None = None,
        memory_guide: Guide = NOTHING,
    ) -> Tensor:
        """Return what the last layer made, normed, or what all of them made."""
        made = []
        for number in range(self.depth):
            one, guide = self.layers[number % len(self.layers)], guides[number]
            x = one(x, guide, memory, memory_guide)
            if self.returns_all:
                made.append(x if self.norm is None else self.tap.each_normed(self.norm(x)))
        if self.returns_all:
            return self.tap.all_layers(torch.stack(made))
        return x if self.norm is None else self.tap.normed(self.norm(x))


class StackBlock(nn.Module):
    """The blocks `encoder` and `decoder`: from x, ids or an image to tokens, layers and head.

    Shapes: x (batch, tokens, dim), or ids (batch, tokens), or an image (batch, channels, rows,
    columns); context (batch, context_tokens, context_dim); lengths (batch,); past one `Past` a
    layer -> (batch, tokens, chan), or what the head makes of it, and with a cache what it holds.
    """

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        a = Axes.of(spec)
        self.embed = embedding(spec, a)
        self.guides = Guides(spec, a)
        self.stack = Stack(spec, a.within(dim=a.chan) if spec.embeds else a)
        self.pooler = Pooler(spec, a) if spec.stack.pooler else None
        table = self.embed.table if isinstance(self.embed, Embedding) else None
        self.head = Head(spec, a, table) if spec.stack.head != "none" else None
        on_input = spec.positions_on == "input" and not spec.embeds
        self.place = InputPositions(spec, a) if on_input else None
        memory = f"{a.batch} context_tokens {a.context_dim}"
        self.tap = Taps(
            Tap("x", f"{a.batch} {a.tokens} {a.dim}", "the tokens"),
            Tap("x_context", memory, "what keys and values of cross-attention are made from"),
        )

    def forward(
        self,
        x: Tensor,
        token_types: Tensor | None = None,
        context: Tensor | None = None,
        lengths: Tensor | None = None,
        past: tuple[Past, ...] = (),
    ) -> Tensor | tuple[Tensor, Tensor] | tuple[Tensor, tuple[Past, ...]]:
        """Return the output; with a pooler the pooled vector, too; with a cache what it holds."""
        x = self.tokens(x, token_types)
        guides = self.guides(x, lengths, past)
        if context is not None:
            context = self.tap.x_context(context)
        out: Tensor = self.stack(x, guides, context)
        pooled = None if self.pooler is None else self.pooler(out)
        if self.head is not None:
            out = self.head(out)
        if past:
            return out, tuple(g.present[0] for g in guides)
        return out if pooled is None else (out, pooled)

    def tokens(self, x: Tensor, token_types: Tensor | None) -> Tensor:
        """Return what the first layer is given, made from ids, an image, or tokens."""
        if isinstance(self.embed, Embedding):
            embedded: Tensor = self.embed(x, token_types)
            return embedded
        if self.embed is not None:
            made: Tensor = self.embed(x)
            return made
        x = self.tap.x(x)
        return x if self.place is None else self.place(x)


def embedding(spec: Spec, axes: Axes, table: nn.Embedding | None = None) -> nn.Module | None:
    """Return what makes tokens of chan features, None where x comes in as it is."""
    if spec.stack.vocab is not None:
        return Embedding(spec, axes, table)
    stems = {"patch": PatchEmbed, "t2t": TokensToToken}
    return stems[spec.stem](spec, axes) if spec.stem in stems else None
