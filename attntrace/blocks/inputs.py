"""What each block is given: random numbers, random ids, and the cache of a decode step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from attntrace.blocks.guide import Past
from attntrace.errors import BuildError
from attntrace.spec import Spec
from attntrace.spec.parts import layer_of


@dataclass(frozen=True, slots=True)
class Draw:
    """Seeded random tensors on a spec's device, drawn on the CPU, so alike on every device."""

    spec: Spec
    generator: torch.Generator

    def normal(self, *shape: int) -> Tensor:
        """Return standard normal numbers in the spec's dtype."""
        dtype, device = dtype_of(self.spec), self.spec.run.device
        if device == "meta":
            return torch.empty(shape, dtype=dtype, device="meta")
        return torch.randn(shape, generator=self.generator).to(device, dtype)

    def ids(self, below: int, *shape: int) -> Tensor:
        """Return whole numbers from 0 to below."""
        if self.spec.run.device == "meta":
            return torch.empty(shape, dtype=torch.int64, device="meta")
        drawn = torch.randint(below, shape, generator=self.generator)
        return drawn.to(self.spec.run.device)


Inputs = dict[str, Any]


def make_inputs(spec: Spec) -> Inputs:
    """Return the keyword arguments of the block's forward.

    Raises BuildError where the device has no room for them.
    """
    try:
        draw = Draw(spec, torch.Generator().manual_seed(spec.run.seed))
        return INPUTS[spec.block](spec, draw)
    except (RuntimeError, TypeError, MemoryError) as error:
        raise BuildError(f"the input could not be made: {first_line(error)}") from error


def attention_inputs(spec: Spec, draw: Draw) -> Inputs:
    """Return x, and context, past and lengths where the spec has them."""
    if spec.qkv == "none":
        return heads_of(spec, draw)
    inputs: Inputs = {"x": draw.normal(spec.batch, spec.tokens, spec.dim)}
    if spec.cross:
        inputs["context"] = draw.normal(spec.batch, spec.key_tokens, spec.context_dim)
    if spec.cache.past is not None:
        inputs["past"] = past_of(spec, draw)
    return inputs | lengths_of(spec, spec.key_tokens)


def stack_inputs(spec: Spec, draw: Draw) -> Inputs:
    """Return ids, an image or x, and what else the stack is given."""
    inputs = tokens_of(spec, draw)
    if spec.stack.token_types:
        inputs["token_types"] = draw.ids(spec.stack.token_types, spec.batch, spec.tokens)
    if spec.stack.cross:
        context = (spec.batch, spec.context_tokens or 0, spec.context_dim)
        inputs["context"] = draw.normal(*context)
    inputs |= lengths_of(spec, spec.key_tokens)
    if spec.cache.past is not None:
        inputs["past"] = tuple(past_of(layer_of(spec, n), draw) for n in range(spec.layers))
    return inputs


def tokens_of(spec: Spec, draw: Draw) -> Inputs:
    """Return the one input that tokens are made from."""
    if spec.stack.vocab is not None:
        return {"x": draw.ids(spec.stack.vocab, spec.batch, spec.tokens)}
    if spec.stem != "none":
        return {"x": draw.normal(spec.batch, spec.image.channels, *spec.image.size)}
    return {"x": draw.normal(spec.batch, spec.tokens, spec.dim)}


def encoder_decoder_inputs(spec: Spec, draw: Draw) -> Inputs:
    """Return what is encoded and what is decoded."""
    length = spec.context_tokens or 0
    vocab, stack = spec.stack.vocab, spec.stack
    inputs: Inputs
    if vocab is not None:
        inputs = {"context": draw.ids(vocab, spec.batch, length)}
    elif spec.image.map is not None:
        inputs = {"context": draw.normal(spec.batch, spec.context_dim, *spec.image.map)}
    else:
        inputs = {"context": draw.normal(spec.batch, length, spec.context_dim)}
    if stack.queries:
        inputs["queries"] = draw.normal(spec.tokens, spec.chan)
    else:
        inputs |= tokens_of(spec, draw)
    return inputs | lengths_of(spec, length)


def image_inputs(spec: Spec, draw: Draw) -> Inputs:
    """Return an image."""
    return {"image": draw.normal(spec.batch, spec.image.channels, *spec.image.size)}


def map_inputs(spec: Spec, draw: Draw) -> Inputs:
    """Return a feature map."""
    return {"x": draw.normal(spec.batch, spec.chan, *(spec.map or ()))}


def seq2seq_inputs(spec: Spec, draw: Draw) -> Inputs:
    """Return the source and the target sequence."""
    return {
        "context": draw.normal(spec.batch, spec.context_tokens or 0, spec.context_dim),
        "x": draw.normal(spec.batch, spec.tokens, spec.dim),
    }


INPUTS: dict[str, Callable[[Spec, Draw], Inputs]] = {
    "attention": attention_inputs,
    "encoder": stack_inputs,
    "decoder": stack_inputs,
    "encoder-decoder": encoder_decoder_inputs,
    "patch-embed": image_inputs,
    "t2t": image_inputs,
    "psa": map_inputs,
    "rnn-seq2seq": seq2seq_inputs,
}


def past_of(spec: Spec, draw: Draw) -> Past:
    """Return what one layer's cache holds before the step."""
    part = spec.attention
    if spec.kind == "mla":
        latent = draw.normal(spec.batch, 1, spec.past, part.kv_lora_rank or 1)
        return Past(latent, draw.normal(spec.batch, 1, spec.past, part.rope_head_dim or 1))
    heads, length = spec.kv_heads, spec.past
    k = draw.normal(*with_heads(spec, heads, length, spec.head_dim))
    return Past(k, draw.normal(*with_heads(spec, heads, length, spec.value_head_dim)))


def heads_of(spec: Spec, draw: Draw) -> Inputs:
    """Return q, k and v themselves, for attention without projections.

    With grad they need gradients, as they would from projections.
    """
    keys = spec.key_tokens
    shapes = {
        "q": with_heads(spec, spec.heads, spec.tokens, spec.head_dim),
        "k": with_heads(spec, spec.kv_heads, keys, spec.head_dim),
        "v": with_heads(spec, spec.kv_heads, keys, spec.value_head_dim),
    }
    drawn = {name: draw.normal(*shape) for name, shape in shapes.items()}
    return {name: x.requires_grad_(spec.run.grad) for name, x in drawn.items()} | lengths_of(
        spec, keys
    )


def with_heads(spec: Spec, heads: int, tokens: int, width: int) -> tuple[int, ...]:
    """Return the shape of q, k or v in the layout of the spec."""
    return {
        "heads-first": (spec.batch, heads, tokens, width),
        "token-first": (spec.batch, tokens, heads, width),
        "folded": (spec.batch * heads, tokens, width),
        "single": (spec.batch, tokens, width),
    }[spec.attention.layout]


def lengths_of(spec: Spec, keys: int) -> Inputs:
    """Return how many tokens of each sequence are no padding; by default all but the last's last."""
    if "padding" not in spec.masks:
        return {}
    full = [keys] * (spec.batch - 1) + [max(1, keys - 1)]
    lengths = torch.tensor(spec.mask.lengths or full, device=spec.run.device)
    return {"lengths": lengths}


def dtype_of(spec: Spec) -> torch.dtype:
    """Return torch's object for the dtype of a spec."""
    dtype = getattr(torch, spec.run.dtype)
    assert isinstance(dtype, torch.dtype)
    return dtype


def first_line(error: Exception) -> str:
    """Return what torch says, without the frames of C++ that it may add."""
    return (str(error).splitlines() or [type(error).__name__])[0]
