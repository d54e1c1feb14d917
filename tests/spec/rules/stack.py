"""Rules of embeddings, heads, norms and residuals."""

from __future__ import annotations

from tests.spec.rules.case import Case

CASES = [
    Case(
        "an embedding of another width",
        {"block": "encoder", "chan": 64, "heads": 4, "stack": {"vocab": 100, "embedding_dim": 6}},
        "stack.embedding_dim",
        (
            "embedding_dim 6 does not match chan 64: nothing projects 6 -> 64, and a reshape "
            "would fail three calls later; set embedding_dim 64, or project true"
        ),
        {"stack": {"project": True}},
    ),
    Case(
        "an image of words",
        {
            "block": "encoder",
            "chan": 64,
            "heads": 4,
            "image": {"stem": "patch"},
            "stack": {"vocab": 100},
        },
        "stack.vocab",
        "an image has no token ids; leave vocab or image.stem out",
        {"stack": {"vocab": None}},
    ),
    Case(
        "queries of words",
        {
            "block": "encoder-decoder",
            "chan": 64,
            "heads": 4,
            "context_tokens": 7,
            "tokens": 9,
            "stack": {"queries": True, "vocab": 100},
        },
        "stack.vocab",
        "queries take the place of token ids; leave vocab out",
        {"stack": {"vocab": None}},
    ),
    Case(
        "a head without words",
        {"block": "encoder", "chan": 64, "heads": 4, "stack": {"head": "vocab"}},
        "stack.head",
        "head=vocab needs stack.vocab",
        {"stack": {"vocab": 100}},
    ),
    Case(
        "a head without classes",
        {"block": "encoder", "chan": 64, "heads": 4, "stack": {"head": "classes"}},
        "stack.head",
        "head=classes needs stack.classes",
        {"stack": {"classes": 10}},
    ),
    Case(
        "a tied head of another width",
        {
            "block": "encoder",
            "chan": 64,
            "heads": 4,
            "stack": {
                "vocab": 100,
                "embedding_dim": 6,
                "project": True,
                "head": "vocab",
                "tied": True,
            },
        },
        "stack.tied",
        "a tied head takes embedding_dim 6 features and gets chan 64; leave tied out",
        {"stack": {"tied": False}},
    ),
    Case(
        "every layer and a head",
        {
            "block": "decoder",
            "chan": 64,
            "heads": 4,
            "stack": {"all_layers": True, "vocab": 100, "head": "vocab"},
        },
        "stack.all_layers",
        (
            "all_layers returns what every layer made, and head vocab takes that of one; leave "
            "one of them out"
        ),
        {"stack": {"head": "none"}},
    ),
    Case(
        "queries without a number",
        {
            "block": "encoder-decoder",
            "chan": 64,
            "heads": 4,
            "context_tokens": 7,
            "stack": {"queries": True},
        },
        "tokens",
        "queries need tokens, the number of queries, such as 100",
        {"tokens": 9},
    ),
    Case(
        "one value to norm",
        {
            "block": "encoder",
            "chan": 64,
            "heads": 4,
            "batch": 1,
            "tokens": 1,
            "norm": {"kind": "batchnorm"},
            "run": {"mode": "train"},
        },
        "norm.kind",
        (
            "batchnorm in train mode has the variance of batch*tokens values, and one value has "
            "none; use run.mode eval, or more tokens"
        ),
        {"tokens": 2},
    ),
    Case(
        "late dropout",
        {
            "block": "encoder",
            "chan": 64,
            "heads": 4,
            "stack": {"dropout": 0.1, "dropout_place": "after-norm"},
        },
        "stack.dropout_place",
        (
            "after-norm drops what the norm after a residual returns, got norm.place pre; use "
            "norm.place post"
        ),
        {"norm": {"place": "post"}},
    ),
    Case(
        "parallel to nothing",
        {
            "block": "encoder",
            "chan": 64,
            "heads": 4,
            "norm": {"place": "parallel"},
            "feed_forward": {"kind": "none"},
        },
        "norm.place",
        (
            "parallel sets attention and feed-forward side by side: it needs a feed_forward, and "
            "has no place for cross-attention; use pre"
        ),
        {"feed_forward": {"kind": "mlp"}},
    ),
    Case(
        "parallel with values",
        {
            "block": "encoder",
            "chan": 64,
            "heads": 4,
            "attention": {"skip": "value"},
            "norm": {"place": "parallel"},
        },
        "norm.place",
        "parallel adds both parts to x, and skip=value adds the values in place of x; use pre",
        {"attention": {"skip": "auto"}},
    ),
    Case(
        "another dim",
        {"block": "encoder", "chan": 64, "heads": 4, "dim": 49},
        "dim",
        (
            "the first layer adds x of width dim 49 to an output of width chan 64; set dim 64, "
            "or attention.skip value"
        ),
        {"attention": {"skip": "value"}},
    ),
    Case(
        "another context_dim",
        {
            "block": "encoder-decoder",
            "chan": 64,
            "heads": 4,
            "context_tokens": 7,
            "context_dim": 49,
        },
        "context_dim",
        (
            "the first layer adds x of width context_dim 49 to an output of width chan 64; set "
            "context_dim 64, or attention.skip value"
        ),
        {"context_dim": 64},
    ),
    Case(
        "a pattern longer than the stack",
        {
            "block": "decoder",
            "heads": 4,
            "layers": 2,
            "mask": {"kind": "causal, sliding", "window": 8, "full_every": 3},
        },
        "mask.full_every",
        (
            "full_every 3 is more than layers 2, so that no layer would see past the window; use "
            "at most 2, or leave it out"
        ),
        {"mask": {"full_every": 2}},
    ),
    Case(
        "one layer that differs from itself",
        {
            "block": "decoder",
            "heads": 4,
            "layers": 4,
            "mask": {"kind": "causal, sliding", "window": 8, "full_every": 2},
            "stack": {"shared_layers": True},
        },
        "stack.shared_layers",
        (
            "shared_layers calls one layer again and again, and mask.full_every makes layers "
            "differ; leave one of them out"
        ),
        {"stack": {"shared_layers": False}},
    ),
    Case(
        "one layer for two widths",
        {
            "block": "encoder",
            "chan": 64,
            "heads": 4,
            "dim": 49,
            "layers": 2,
            "attention": {"skip": "value"},
            "stack": {"shared_layers": True},
        },
        "stack.shared_layers",
        (
            "shared_layers calls one layer again and again, and one that takes dim 49 cannot take "
            "the chan 64 that it returns; set dim 64, or leave shared_layers out"
        ),
        {"layers": 1},
    ),
    Case(
        "positions of another width on q and k",
        {
            "block": "encoder",
            "chan": 64,
            "heads": 4,
            "dim": 49,
            "layers": 2,
            "attention": {"skip": "value"},
            "positions": {"kind": "learned", "on": "qk"},
        },
        "positions.on",
        (
            "positions on qk are as wide as the tokens that come in, dim 49, and further on tokens "
            "are chan 64 wide; set dim 64, or positions.on input"
        ),
        {"positions": {"on": "input"}},
    ),
    Case(
        "a batch of one token of the context",
        {
            "block": "encoder-decoder",
            "chan": 64,
            "heads": 4,
            "batch": 1,
            "tokens": 2,
            "context_tokens": 1,
            "norm": {"kind": "batchnorm"},
            "run": {"mode": "train"},
        },
        "norm.kind",
        (
            "batchnorm in train mode has the variance of batch*context_tokens values, and one "
            "value has none; use run.mode eval, or more context_tokens"
        ),
        {"context_tokens": 2},
    ),
]
