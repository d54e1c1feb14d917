"""What embeddings, heads and residuals of a stack need."""

from __future__ import annotations

from collections.abc import Iterator

from attntrace.errors import Problem
from attntrace.spec.block import STACKS, Spec


def stack_rules(spec: Spec) -> Iterator[Problem]:
    """Yield what is wrong in the stack and norm sections."""
    if spec.block not in STACKS:
        return
    yield from _embedding(spec)
    yield from _head(spec)
    yield from _norm(spec)
    yield from _width(spec)


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
    ids_only = {
        "embedding_dim": width is not None,
        "project": stack.project,
        "embedding_scale": stack.embedding_scale,
        "token_types": bool(stack.token_types),
    }
    for name, asked in ids_only.items():
        if asked and stack.vocab is None:
            yield Problem(f"stack.{name}", f"{name} needs an embedding table; set stack.vocab")
    if spec.stem != "none" and stack.vocab is not None:
        yield Problem("stack.vocab", "an image has no token ids; leave vocab or image.stem out")
    if stack.queries and stack.vocab is not None:
        yield Problem("stack.vocab", "queries take the place of token ids; leave vocab out")


def _head(spec: Spec) -> Iterator[Problem]:
    stack = spec.stack
    if stack.head == "vocab" and stack.vocab is None:
        yield Problem("stack.head", "head=vocab needs stack.vocab")
    if stack.head == "classes" and stack.classes is None:
        yield Problem("stack.head", "head=classes needs stack.classes")
    if stack.classes is not None and stack.head != "classes":
        yield Problem("stack.classes", "classes means nothing here; it goes with stack.head classes")
    if stack.tied and stack.head != "vocab":
        yield Problem("stack.tied", "tied means nothing here; it goes with stack.head vocab")
    elif stack.tied and stack.embedding_dim not in (None, spec.chan):
        yield Problem(
            "stack.tied",
            f"a tied head takes embedding_dim {stack.embedding_dim} features and gets chan "
            f"{spec.chan}; leave tied out",
        )
    if stack.head_bias and stack.head == "none":
        yield Problem("stack.head_bias", "head_bias means nothing here; it goes with stack.head")
    if stack.queries and "tokens" not in spec.model_fields_set:
        yield Problem("tokens", "queries need tokens, the number of queries, such as 100")


def _norm(spec: Spec) -> Iterator[Problem]:
    norm, part = spec.norm, spec.feed_forward.kind
    if norm.place == "parallel" and (part == "none" or spec.stack.cross or spec.block == "encoder-decoder"):
        yield Problem(
            "norm.place",
            "parallel sets attention and feed-forward side by side: it needs a feed_forward, and "
            "has no place for cross-attention",
        )
    if spec.stack.dropout_place == "after-norm" and norm.place != "post":
        yield Problem(
            "stack.dropout_place",
            f"after-norm drops what the norm after a residual returns, got norm.place {norm.place}; "
            "use post",
        )


def _width(spec: Spec) -> Iterator[Problem]:
    """Yield where the residual of the first layer cannot add what comes in."""
    if spec.embeds:
        return
    if spec.dim != spec.chan and spec.attention.skip != "value":
        yield Problem(
            "dim",
            f"the first layer adds x of width dim {spec.dim} to an output of width chan "
            f"{spec.chan}; set dim {spec.chan}, or attention.skip value",
        )
    if spec.attention.skip == "value" and (spec.layers > 1 and spec.dim != spec.chan):
        return
