"""What embeddings, heads and residuals of a stack need."""

from __future__ import annotations

from collections.abc import Iterator

from attntrace.errors import Problem
from attntrace.spec.block import Spec
from attntrace.spec.symbols import STACKS


def stack_rules(spec: Spec) -> Iterator[Problem]:
    """Yield what is wrong in the stack and norm sections."""
    if spec.block not in STACKS:
        return
    yield from _embedding(spec)
    yield from _layers(spec)
    yield from _head(spec)
    yield from _norm(spec)
    yield from _parallel(spec)
    yield from _width(spec)


def _layers(spec: Spec) -> Iterator[Problem]:
    """Yield what cannot be true of layers that are one layer, or of so few."""
    every, depth = spec.mask.full_every, spec.stack.decoder_layers or spec.layers
    if every is not None and every > depth and "sliding" in spec.masks:
        yield Problem(
            "mask.full_every",
            f"full_every {every} is more than layers {depth}, so that no layer would see past the "
            f"window; use at most {depth}, or leave it out",
        )
    differ = {
        "mask.full_every": every,
        "attention.shift": spec.attention.shift,
        "feed_forward.dense_layers": spec.feed_forward.dense_layers,
    }
    asked = [name for name, value in differ.items() if value]
    if spec.stack.shared_layers and asked:
        yield Problem(
            "stack.shared_layers",
            f"shared_layers calls one layer again and again, and {asked[0]} makes layers differ; "
            "leave one of them out",
        )


def _embedding(spec: Spec) -> Iterator[Problem]:
    stack = spec.stack
    width = stack.embedding_dim
    if width is not None and width != spec.chan and not stack.project:
        yield Problem(
            "stack.embedding_dim",
            f"embedding_dim {width} does not match chan {spec.chan}: nothing projects {width} -> "
            f"{spec.chan}, and a reshape would fail three calls later; set embedding_dim "
            f"{spec.chan}, or project true",
        )
    if spec.stem != "none" and stack.vocab is not None:
        yield Problem("stack.vocab", "an image has no token ids; leave vocab or image.stem out")
    if stack.queries and spec.block == "encoder-decoder" and stack.vocab is not None:
        yield Problem("stack.vocab", "queries take the place of token ids; leave vocab out")


def _head(spec: Spec) -> Iterator[Problem]:
    stack = spec.stack
    if stack.head == "vocab" and stack.vocab is None:
        yield Problem("stack.head", "head=vocab needs stack.vocab")
    if stack.head == "classes" and stack.classes is None:
        yield Problem("stack.head", "head=classes needs stack.classes")
    if stack.tied and stack.head == "vocab" and stack.embedding_dim not in (None, spec.chan):
        yield Problem(
            "stack.tied",
            f"a tied head takes embedding_dim {stack.embedding_dim} features and gets chan "
            f"{spec.chan}; leave tied out",
        )
    if stack.all_layers and stack.head != "none":
        yield Problem(
            "stack.all_layers",
            f"all_layers returns what every layer made, and head {stack.head} takes that of one; "
            "leave one of them out",
        )
    if stack.queries and spec.block == "encoder-decoder" and "tokens" not in spec.model_fields_set:
        yield Problem("tokens", "queries need tokens, the number of queries, such as 100")


def _norm(spec: Spec) -> Iterator[Problem]:
    norm = spec.norm
    lengths = {"tokens": spec.tokens}
    if spec.block == "encoder-decoder" and spec.context_tokens is not None:
        lengths["context_tokens"] = spec.context_tokens
    alone = [name for name, length in lengths.items() if spec.batch * length == 1]
    if norm.kind == "batchnorm" and spec.run.mode == "train" and alone:
        yield Problem(
            "norm.kind",
            f"batchnorm in train mode has the variance of batch*{alone[0]} values, and one value "
            f"has none; use run.mode eval, or more {alone[0]}",
        )
    if spec.stack.dropout_place == "after-norm" and norm.place != "post":
        yield Problem(
            "stack.dropout_place",
            f"after-norm drops what the norm after a residual returns, got norm.place {norm.place}; "
            "use norm.place post",
        )


def _parallel(spec: Spec) -> Iterator[Problem]:
    if spec.norm.place != "parallel":
        return
    crosses = spec.stack.cross or spec.block == "encoder-decoder"
    if spec.feed_forward.kind == "none" or crosses:
        yield Problem(
            "norm.place",
            "parallel sets attention and feed-forward side by side: it needs a feed_forward, and "
            "has no place for cross-attention; use pre",
        )
    if spec.attention.skip == "value":
        yield Problem(
            "norm.place",
            "parallel adds both parts to x, and skip=value adds the values in place of x; use pre",
        )


def _width(spec: Spec) -> Iterator[Problem]:
    """Yield where a first layer takes another width than chan, and something needs chan."""
    if spec.embeds:
        return
    widths = {} if spec.stack.queries else {"dim": spec.dim}
    if spec.block == "encoder-decoder":
        widths["context_dim"] = spec.context_dim
    for name, width in widths.items():
        if width != spec.chan:
            yield from _narrow(spec, name, width)


def _narrow(spec: Spec, name: str, width: int) -> Iterator[Problem]:
    stack, chan = spec.stack, spec.chan
    depth = (stack.decoder_layers if name == "dim" else stack.encoder_layers) or spec.layers
    if spec.attention.skip != "value":
        yield Problem(
            name,
            f"the first layer adds x of width {name} {width} to an output of width chan {chan}; "
            f"set {name} {chan}, or attention.skip value",
        )
    elif stack.shared_layers and depth > 1:
        yield Problem(
            "stack.shared_layers",
            f"shared_layers calls one layer again and again, and one that takes {name} {width} "
            f"cannot take the chan {chan} that it returns; set {name} {chan}, or leave "
            "shared_layers out",
        )
    if spec.adds_to_qk and (depth > 1 or spec.block == "encoder-decoder"):
        yield Problem(
            "positions.on",
            f"positions on qk are as wide as the tokens that come in, {name} {width}, and further "
            f"on tokens are chan {chan} wide; set {name} {chan}, or positions.on input",
        )
