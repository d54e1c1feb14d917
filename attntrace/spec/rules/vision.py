"""What images and maps need."""

from __future__ import annotations

from collections.abc import Iterator
from math import gcd

from attntrace.errors import Problem
from attntrace.spec import defaults
from attntrace.spec.block import Spec
from attntrace.spec.rules.positions import ordered
from attntrace.spec.rules.sizes import nearest_divisors
from attntrace.spec.symbols import STACKS


def vision_rules(spec: Spec) -> Iterator[Problem]:
    """Yield what is wrong in the image section."""
    if spec.stem == "patch":
        yield from _patches(spec)
    elif spec.stem == "t2t":
        yield from _splits(spec)
        yield from _token_block(spec)
    if spec.stem != "none":
        yield from _follows(spec)
    elif spec.image.map is not None:
        yield from _map(spec)
    if spec.block == "psa":
        yield from _psa(spec)
    if spec.attention.qkv == "conv" and spec.block in ("attention", *STACKS):
        yield from _conv(spec)


def _patches(spec: Spec) -> Iterator[Problem]:
    patch = spec.image.patch
    for side in dict.fromkeys(spec.image.size):
        if side % patch:
            rows, columns = spec.image.size
            patches = " or ".join(map(str, nearest_divisors(gcd(rows, columns), patch)))
            size = "x".join(str(-(-whole // patch) * patch) for whole in (rows, columns))
            yield Problem(
                "image.patch",
                f"image {rows}x{columns} is not divisible by patch {patch} "
                f"({side} = {side // patch}*{patch} + {side % patch}); a convolution would "
                f"silently drop the rest; use patch {patches}, or size {size}",
            )


def _splits(spec: Spec) -> Iterator[Problem]:
    image = spec.image
    lengths = (len(image.kernels), len(image.strides), len(image.pads))
    if len(set(lengths)) > 1:
        yield Problem(
            "image.kernels",
            f"every soft split has a kernel, a stride and a pad, got {lengths[0]} kernels, "
            f"{lengths[1]} strides and {lengths[2]} pads",
        )
        return
    rows, columns = image.size
    for number, steps in enumerate(zip(image.kernels, image.strides, image.pads, strict=True), 1):
        before = (rows, columns)
        rows, columns = (defaults.after_split(side, *steps) for side in before)
        if min(rows, columns) < 1:
            kernel, _, pad = steps
            yield Problem(
                "image.kernels",
                f"soft split {number} slides a kernel of {kernel} over a map of "
                f"{before[0]}x{before[1]} with pad {pad}, which is too small",
            )
            return


def _token_block(spec: Spec) -> Iterator[Problem]:
    """Yield a kernel that no token block can use; a stack's own layers have rules of their own."""
    if spec.block == "t2t" and spec.attention.impl == "torch":
        yield Problem(
            "attention.impl",
            "nn.MultiheadAttention takes as many features as it returns, and a soft split's tokens "
            "are wider than token_dim; use impl eager or sdpa",
        )


def _follows(spec: Spec) -> Iterator[Problem]:
    """Yield sizes that were given although the image decides them."""
    given = {"block": spec.block, "image": spec.image}
    for name, expected in (
        ("tokens", defaults.tokens(given)),
        ("dim", defaults.dim({**given, "chan": spec.chan})),
    ):
        if getattr(spec, name) != expected:
            yield Problem(
                name,
                f"the image makes {name} {expected}, got {name} {getattr(spec, name)}; leave it out",
            )
    if spec.image.map is not None:
        yield Problem("image.map", "the stem makes the map; leave it out")


def _map(spec: Spec) -> Iterator[Problem]:
    rows, columns = spec.image.map or (0, 0)
    name = "context_tokens" if spec.block == "encoder-decoder" else "tokens"
    tokens = getattr(spec, name)
    if tokens is not None and rows * columns != tokens:
        yield Problem(
            "image.map",
            f"map {rows}x{columns} has {rows * columns} tokens, got {name} {tokens}; set {name} "
            f"{rows * columns}",
        )


def _psa(spec: Spec) -> Iterator[Problem]:
    inner = spec.chan * spec.image.expansion
    if inner != int(inner):
        yield Problem(
            "image.expansion",
            f"chan {spec.chan}*expansion {spec.image.expansion:g} = {inner:g} is no whole number",
        )
    elif "value_head_dim" in spec.model_fields_set and spec.value_width != inner:
        yield Problem(
            "value_head_dim",
            f"heads*value_head_dim {spec.value_width} is not the {int(inner)} channels that PSA "
            "attends to; leave value_head_dim out",
        )
    if spec.map is None:
        yield Problem(
            "image.map",
            f"psa works on a map, and tokens {spec.tokens} is no square; set image.map, such as "
            "8x12",
        )
    if spec.run.mode == "train" and spec.batch * spec.tokens == 1:
        yield Problem(
            "run.mode",
            "psa's batch norms in train mode have the variance of batch*tokens values, and one "
            "value has none; use run.mode eval, or more tokens",
        )
    if spec.dim != spec.chan:
        yield Problem(
            "dim",
            f"psa needs equal input and output channels, got dim {spec.dim} and chan {spec.chan}",
        )


def _conv(spec: Spec) -> Iterator[Problem]:
    if not spec.attention.conv_kernel % 2:
        yield Problem(
            "attention.conv_kernel",
            f"conv_kernel must be odd to keep the map, got {spec.attention.conv_kernel}; use "
            f"{spec.attention.conv_kernel + 1}",
        )
    if spec.block not in ("attention", "encoder") or spec.cache.past is not None:
        yield Problem(
            "attention.qkv",
            "qkv=conv works on a map, and the tokens of a decoder lie on none; use qkv fused or "
            "separate",
        )
    elif spec.attention.conv_kernel > 1 and ordered(spec):
        yield Problem(
            "attention.conv_kernel",
            f"a kernel of {spec.attention.conv_kernel} mixes every token with its neighbours on the "
            f"map, also with those that mask {ordered(spec)} hides; use conv_kernel 1",
        )
    if spec.map is None:
        yield Problem(
            "image.map",
            f"qkv=conv needs a map, and tokens {spec.tokens} is no square; set image.map, such as "
            "8x12",
        )
    elif spec.image.class_token:
        yield Problem(
            "image.class_token",
            "qkv=conv works on a map, where a class token has no place; leave class_token out",
        )
