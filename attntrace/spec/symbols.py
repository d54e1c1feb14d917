"""What the symbols in the axes of a block stand for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from attntrace.spec.defaults import split_maps

if TYPE_CHECKING:
    from attntrace.spec.block import Spec

STACKS = ("encoder", "decoder", "encoder-decoder")
SAME = {"kv_heads": "heads", "value_head_dim": "head_dim"}
"""Sizes of a block that are no symbol of their own where they are the same as another."""

TIED = (
    {"dim", "chan", "context_dim", "embedding_dim", "head_dim", "value_head_dim"},
    {"ff_dim", "expert_dim", "shared_dim"},
    {"experts", "experts_per_token", "groups", "groups_per_token"},
    {"heads", "kv_heads"},
)
"""Sizes that a block may tie: where two of one group are equal, no row can tell them apart."""


def are_tied(one: str, two: str) -> bool:
    """Return whether two sizes that are equal may be so because the block asks for it."""
    return any(one in group and two in group for group in TIED)


def symbols_of(sizes: Mapping[str, int]) -> dict[str, int]:
    """Return the sizes of a block also by the names that it needs not tell apart."""
    more = {name: sizes[of] for name, of in SAME.items() if of in sizes and name not in sizes}
    return {**sizes, **more}


def sizes_of(spec: Spec) -> dict[str, int]:
    """Return every symbol that the axes of this block may use, with its number."""
    sizes = {"batch": spec.batch, "tokens": spec.tokens}
    if spec.context_tokens is not None:
        sizes["context_tokens"] = spec.context_tokens
    if spec.cache.past is not None:
        sizes["past"] = spec.past
        if spec.mask.full_every is not None:
            sizes["all_past"] = spec.first_place
    ids = spec.stack.vocab is not None
    if not ids and spec.qkv != "none":
        sizes["dim"] = spec.dim
    both_ids = ids and spec.block == "encoder-decoder"
    if spec.context_tokens is not None and spec.qkv != "none" and not both_ids:
        sizes["context_dim"] = spec.context_dim
    sizes["chan"] = spec.chan
    if spec.block in ("attention", "psa", *STACKS):
        sizes |= _of_heads(spec) | _of_kind(spec)
    if spec.block in STACKS:
        sizes |= _of_stack(spec) | _of_experts(spec)
    sizes |= _of_image(spec)
    if spec.recurrent.alignment != "none" and spec.attention.align_dim:
        sizes["align_dim"] = spec.attention.align_dim
    return sizes


def _of_heads(spec: Spec) -> dict[str, int]:
    sizes = {"heads": spec.heads}
    if spec.kv_heads != spec.heads:
        sizes["kv_heads"] = spec.kv_heads
    sizes["head_dim"] = spec.head_dim
    if spec.value_head_dim != spec.head_dim:
        sizes["value_head_dim"] = spec.value_head_dim
    return sizes


def _of_kind(spec: Spec) -> dict[str, int]:
    attention, kind = spec.attention, spec.kind
    names = {
        "mla": ("q_lora_rank", "kv_lora_rank", "nope_head_dim", "rope_head_dim"),
        "additive": (),
        "window": ("window",),
    }.get(kind, ())
    sizes = {name: getattr(attention, name) for name in names if getattr(attention, name)}
    if kind == "linear" and attention.features == "performer":
        sizes["kernel_features"] = spec.kernel_features
    if spec.positions.kind == "rope" and kind != "mla" and spec.positions.fraction != 1:
        sizes["rotary_dim"] = spec.rotary_dim
    return sizes


def _of_stack(spec: Spec) -> dict[str, int]:
    sizes = {"layers": spec.layers}
    if spec.feed_forward.kind != "none":
        sizes["ff_dim"] = spec.ff_dim
    stack = spec.stack
    for name in ("vocab", "classes", "embedding_dim", "decoder_layers"):
        if getattr(stack, name) is not None:
            sizes[name] = getattr(stack, name)
    return sizes


def _of_experts(spec: Spec) -> dict[str, int]:
    part = spec.feed_forward
    if part.kind != "moe" or part.experts is None or part.experts_per_token is None:
        return {}
    sizes = {
        "experts": part.experts,
        "experts_per_token": part.experts_per_token,
        "expert_dim": spec.expert_dim,
    }
    if part.groups > 1:
        sizes["groups"] = part.groups
        sizes["groups_per_token"] = part.groups_per_token or part.groups
    if part.shared_experts:
        sizes["shared_experts"] = part.shared_experts
        sizes["shared_dim"] = spec.shared_dim
    return sizes


def _of_image(spec: Spec) -> dict[str, int]:
    sizes: dict[str, int] = {}
    if spec.stem != "none":
        sizes = {
            "channels": spec.image.channels,
            "image_rows": spec.image.size[0],
            "image_columns": spec.image.size[1],
        }
    if spec.stem == "patch":
        sizes["patch"] = spec.image.patch
    if spec.stem == "t2t":
        sizes |= _of_splits(spec)
    if spec.map is not None and spec.uses_map:
        sizes |= {"rows": spec.map[0], "columns": spec.map[1]}
    return sizes


def _of_splits(spec: Spec) -> dict[str, int]:
    """Return the sizes between T2T's soft splits; the last one's map is rows and columns."""
    image = spec.image
    sizes = {"token_dim": image.token_dim}
    for number, (rows, columns) in enumerate(split_maps(image)[:-1], 1):
        sizes |= {f"rows_{number}": rows, f"columns_{number}": columns}
    return sizes
