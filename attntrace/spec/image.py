"""Images and feature maps: where tokens come from in vision."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from attntrace.spec.component import Component, Count, Positive, Size, setting

_PAIR = re.compile(r"([0-9]{1,18})x([0-9]{1,18})")


def _as_pair(value: object) -> object:
    """YAML has texts and lists, a frozen model tuples; one number is a square."""
    if type(value) is int:
        return (value, value)
    found = _PAIR.fullmatch(value) if isinstance(value, str) else None
    return (int(found[1]), int(found[2])) if found else _as_tuple(value)


def _as_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


Pair = Annotated[tuple[Size, Size], BeforeValidator(_as_pair)]
Steps = Annotated[tuple[Size, ...], BeforeValidator(_as_tuple), Field(min_length=1)]
Pads = Annotated[tuple[Count, ...], BeforeValidator(_as_tuple), Field(min_length=1)]


class ImageSpec(Component):
    """The vision stem, and the map that tokens lie on."""

    stem: Literal["none", "patch", "t2t"] = setting(
        "none",
        "what turns an image into the tokens of an encoder",
        rule="of block encoder; patch-embed and t2t have theirs",
    )
    channels: Size = setting(
        3, "channels of the image", aliases=("in_chans", "num_channels", "in_channels")
    )
    size: Pair = setting(
        (224, 224),
        "height and width, such as 224x224; 224 is as good",
        aliases=("image_size", "img_size"),
    )
    patch: Size = setting(
        16, "side of a patch", aliases=("patch_size",), rule="divides both sides of the image"
    )
    class_token: bool = setting(
        False, "a learned token in front of the others", aliases=("cls_token", "use_cls_token")
    )
    map: Pair | None = setting(
        None,
        "rows and columns of the tokens, such as 20x20",
        aliases=("feature_map",),
        rule="rows*columns = tokens",
        shown="what the stem makes; else the square of tokens",
    )
    kernels: Steps = setting(
        (7, 3, 3), "sides of T2T's soft splits", aliases=("t2t_kernels",), rule="as many as strides and pads"
    )  # fmt: skip
    strides: Steps = setting((4, 2, 2), "steps of T2T's soft splits")
    pads: Pads = setting((2, 1, 1), "margins of T2T's soft splits")
    token_block: Literal["transformer", "performer", "attention"] = setting(
        "performer",
        "what works on the tokens between T2T's splits: a block, a performer, or the attention layer alone",
        aliases=("t2t_block", "tokens_type"),
    )
    token_dim: Size = setting(64, "features of a token between T2T's splits")
    expansion: Annotated[Positive, Field(le=1)] = setting(
        0.5, "share of the channels that PSA attends to", rule="chan*expansion is whole"
    )
