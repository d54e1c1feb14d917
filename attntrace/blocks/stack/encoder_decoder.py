"""An encoder, and a decoder that attends to what the encoder made."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from attntrace.blocks.axes import Axes
from attntrace.blocks.guide import Guide
from attntrace.blocks.positions.absolute import InputPositions
from attntrace.blocks.stack.embedding import Embedding
from attntrace.blocks.stack.guides import Guides
from attntrace.blocks.stack.head import Head
from attntrace.blocks.stack.stack import Stack
from attntrace.capture.tap import Tap, Taps
from attntrace.spec import Spec
from attntrace.spec.parts import decoder_of, encoder_of


class Side(nn.Module):
    """The way from one of the two inputs to the tokens of its stack, and their guide.

    Shapes: x (batch, tokens, dim) or ids (batch, tokens) -> tokens (batch, tokens, chan or dim).
    """

    def __init__(self, spec: Spec, axes: Axes, table: nn.Embedding | None = None) -> None:
        super().__init__()
        self.embed = Embedding(spec, axes, table) if spec.stack.vocab is not None else None
        on_input = spec.positions_on == "input" and self.embed is None
        self.place = InputPositions(spec, axes) if on_input else None
        self.guides = Guides(spec, axes)

    def forward(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, list[Guide]]:
        """Return the tokens, and a guide for each layer."""
        if self.embed is not None:
            x = self.embed(x)
        if self.place is not None:
            x = self.place(x)
        return x, self.guides(x, lengths)


class EncoderDecoder(nn.Module):
    """The original transformer, T5, DETR.

    With queries (DETR) the decoder starts from zeros, and its tokens are told apart by positions
    that come in as `queries` (tokens, chan) and are added to q and k in every layer.

    Shapes: context (batch, context_tokens, context_dim), or ids (batch, context_tokens), or a
    feature map (batch, context_dim, rows, columns); x (batch, tokens, dim), or ids (batch,
    tokens), or instead queries (tokens, chan); lengths (batch,) of the context -> out (batch,
    tokens, chan), or what the head makes of it; of a feature map also the memory, as a map.

    Source: Vaswani et al. (2017), section 3.1; Carion et al. (2020), section 3.2.
    """

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        encoder, decoder = encoder_of(spec), decoder_of(spec)
        outer, inner = Axes.of(encoder).of_context(), Axes.of(decoder)
        self.map = spec.image.map
        self.source = Side(encoder, outer)
        table = self.source.embed.table if self.source.embed is not None else None
        self.target = Side(decoder, inner, table)
        self.encoder = Stack(encoder, outer)
        self.decoder = Stack(decoder, inner)
        self.head = Head(decoder, inner, table) if spec.stack.head != "none" else None
        tokens = f"{inner.batch} {inner.tokens} {inner.chan}"
        flat = f"{outer.batch} {outer.tokens} {outer.dim}"
        grid = f"{outer.batch} {outer.dim} rows columns"
        self.tap = Taps(
            Tap("feature_map", grid, "what a convolutional network made of an image"),
            Tap("x_context", flat, "the tokens that are encoded"),
            Tap("queries", f"{inner.tokens} {inner.chan}", "one position for each thing to be found"),
            Tap("x", f"{inner.batch} {inner.tokens} {inner.dim}", "the tokens that are decoded"),
            Tap("zeros", tokens, "nothing is known of them yet"),
            Tap("memory_map", f"{outer.batch} {outer.chan} rows columns", "memory, on its map"),
        )  # fmt: skip

    def forward(
        self,
        context: Tensor,
        x: Tensor | None = None,
        queries: Tensor | None = None,
        lengths: Tensor | None = None,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Return what the decoder made; of a feature map also the memory, as a map."""
        tap, on_map = self.tap, context.dim() == 4
        if on_map:
            context = tap.feature_map(context).flatten(2).transpose(1, 2)
        if self.source.embed is None:
            context = tap.x_context(context)
        source, guides = self.source(context, lengths)
        memory: Tensor = self.encoder(source, guides)
        target, own = self.started(x, queries, memory)
        across = Guide(
            mask=guides[0].mask,
            q_positions=own[0].q_positions,
            k_positions=guides[0].k_positions,
        )
        out: Tensor = self.decoder(target, own, memory, across)
        if self.head is not None:
            out = self.head(out)
        if not on_map or self.map is None:
            return out
        return out, tap.memory_map(torch.unflatten(memory.transpose(1, 2), 2, self.map))

    def started(
        self, x: Tensor | None, queries: Tensor | None, memory: Tensor
    ) -> tuple[Tensor, list[Guide]]:
        """Return the decoder's first tokens, and a guide for each layer."""
        if queries is None:
            assert x is not None, "without queries something is decoded"
            x = x if self.target.embed is not None else self.tap.x(x)
            start: tuple[Tensor, list[Guide]] = self.target(x, None)
            return start
        queries = self.tap.queries(queries)
        zeros = self.tap.zeros(memory.new_zeros(memory.shape[0], *queries.shape))
        return zeros, [Guide(q_positions=queries, k_positions=queries)] * self.decoder.depth
