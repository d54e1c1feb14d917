"""What a size is when nobody gives it: functions of the settings above it."""

from __future__ import annotations

from math import isqrt
from typing import Any

Given = dict[str, Any]


def stem_of(given: Given) -> str:
    """Return what turns an image into tokens here: "none", "patch" or "t2t"."""
    blocks = {"patch-embed": "patch", "t2t": "t2t", "encoder": given["image"].stem}
    return str(blocks.get(given["block"], "none"))


def after_split(size: int, kernel: int, stride: int, pad: int) -> int:
    """Return how many places a sliding kernel has along a side, as in `nn.Unfold`'s docs."""
    return (size + 2 * pad - kernel) // stride + 1


def stem_map(given: Given) -> tuple[int, int]:
    """Return the rows and columns of tokens that the stem makes of the image."""
    image = given["image"]
    rows, columns = image.size
    if stem_of(given) == "patch":
        return rows // image.patch, columns // image.patch
    return split_maps(image)[-1]


def split_maps(image: Any) -> list[tuple[int, int]]:
    """Return the rows and columns of tokens after each of T2T's soft splits."""
    rows, columns = image.size
    maps = []
    for steps in zip(image.kernels, image.strides, image.pads, strict=False):
        rows, columns = after_split(rows, *steps), after_split(columns, *steps)
        maps.append((rows, columns))
    return maps


def tokens(given: Given) -> int:
    """Return what the stem makes, with its class token; else the map; else 100."""
    image = given["image"]
    if stem_of(given) != "none":
        rows, columns = stem_map(given)
        return max(1, rows * columns) + int(image.class_token)
    if given["block"] == "psa":
        rows, columns = image.map or (20, 20)
        return int(rows * columns)
    on_map = image.map is not None and given["block"] in ("attention", "encoder")
    return int(image.map[0] * image.map[1]) if on_map else 100


def context_tokens(given: Given) -> int | None:
    """Return the tokens of the map that an encoder-decoder such as DETR encodes."""
    image = given["image"]
    on_map = given["block"] == "encoder-decoder" and image.map is not None
    return int(image.map[0] * image.map[1]) if on_map else None


def kv_heads(given: Given) -> int:
    """Return one for mqa, else as many as heads."""
    return 1 if given["attention"].kind == "mqa" else int(given["heads"])


def attended(given: Given) -> int:
    """Return the features that attention splits over its heads: chan, or PSA's share of it."""
    share = given["image"].expansion if given["block"] == "psa" else 1
    return int(given["chan"] * share)


def dim(given: Given) -> int:
    """Return the width of a token that comes in."""
    image, chan = given["image"], int(given["chan"])
    stem = stem_of(given)
    if stem != "none":
        side = image.patch if stem == "patch" else image.kernels[0]
        return int(image.channels * side**2)
    narrow = given["block"] == "attention" and given["attention"].impl != "torch"
    return 49 if narrow and not _keeps_width(given) else chan


def _keeps_width(given: Given) -> bool:
    """Return whether the layer's kind needs dim == chan."""
    return given["attention"].kind in ("shared-head", "window")


def context_dim(given: Given) -> int:
    """Return the width of a token of the context."""
    wide = given["block"] in ("decoder", "encoder-decoder")
    return int(given["chan"] if wide else given["dim"])


def head_dim(given: Given) -> int:
    """Return chan / heads; in mla a head's two parts, in additive align_dim, in PSA half of v's.

    rules() says where chan / heads leaves a rest.
    """
    attention = given["attention"]
    if attention.kind == "mla" and attention.nope_head_dim and attention.rope_head_dim:
        return int(attention.nope_head_dim + attention.rope_head_dim)
    if attention.kind == "additive" and attention.align_dim:
        return int(attention.align_dim)
    half = 2 if given["block"] == "psa" else 1
    return max(1, attended(given) // int(given["heads"]) // half)


def value_head_dim(given: Given) -> int:
    """Return head_dim; where q and k have a width of their own, chan / heads."""
    if given["block"] == "psa" or given["attention"].kind == "additive":
        return max(1, attended(given) // int(given["heads"]))
    return int(given["head_dim"])


def ff_dim(given: Given) -> int:
    """Return feed_forward.ratio times chan, 4 where it is not given."""
    ratio = given["feed_forward"].ratio
    return max(1, int(given["chan"] * (4 if ratio is None else ratio)))


def square(tokens: int) -> tuple[int, int] | None:
    """Return the square map that holds so many tokens, None where there is none."""
    side = isqrt(tokens)
    return (side, side) if side * side == tokens else None
