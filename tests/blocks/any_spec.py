"""Random settings for every block, small, and the refusals met on the way to them."""

from __future__ import annotations

from attntrace.errors import SettingsError
from attntrace.spec import load
from attntrace.spec.fields import fields
from attntrace.spec.rules.belongs import misplaced

SIZES = {
    "batch": (1, 1, 2, 3),
    "tokens": (1, 2, 4, 6, 9, 9, 12, 16),
    "context_tokens": (1, 2, 5, 7, 12),
    "chan": (4, 6, 8, 12, 16, 24, 24, 32, 48),
    "heads": (1, 1, 2, 3, 4, 4, 8),
    "kv_heads": (1, 1, 2, 3, 4),
    "dim": (1, 4, 8, 10, 12, 24, 24),
    "context_dim": (1, 5, 8, 12, 24),
    "head_dim": (1, 2, 3, 6, 8),
    "value_head_dim": (1, 2, 5, 6, 8),
    "ff_dim": (1, 7, 16, 40),
    "layers": (1, 2, 2, 3),
}
MASKS = (
    "none", "causal", "padding", "sliding", ["causal", "padding"], ["causal", "sliding"],
    ["padding", "sliding"], ["causal", "padding", "sliding"],
)  # fmt: skip
NUMBERS = {
    **SIZES,
    "attention.conv_kernel": (1, 2, 3, 5),
    "attention.qk_scale": ("head", "none", "embed", "input", 0.5, 0.0, -1.0),
    "attention.softcap": (0.5, 30.0),
    "attention.dropout": (0.0, 0.3, 0.9),
    "attention.q_lora_rank": (1, 11),
    "attention.kv_lora_rank": (1, 7),
    "attention.nope_head_dim": (1, 3, 4),
    "attention.rope_head_dim": (1, 2, 4),
    "attention.align_dim": (1, 5, 6),
    "attention.kernel_features": (1, 3, 8),
    "attention.window": (1, 2, 3, 4),
    "attention.shift": (0, 1, 2),
    "positions.max": (1, 8, 16, 40),
    "positions.theta": (1.0, 100.0, 10000.0),
    "positions.fraction": (0.1, 0.25, 0.5, 0.75, 1.0),
    "positions.buckets": (1, 2, 3, 4, 5, 6, 8, 32),
    "positions.max_distance": (1, 2, 3, 8, 128),
    "positions.kernel": (1, 2, 3, 5),
    "mask.kind": MASKS,
    "mask.window": (1, 2, 3, 7, 20),
    "mask.fill": ("-inf", "min", -1e10, -1e4, -1.0),
    "cache.past": (0, 1, 5, 8),
    "norm.eps": (1e-5, 1e-6),
    "feed_forward.ratio": (0.01, 0.5, 4.0),
    "feed_forward.dropout": (0.0, 0.3),
    "feed_forward.kernel": (1, 2, 3, 5),
    "feed_forward.experts": (1, 2, 4, 8),
    "feed_forward.experts_per_token": (1, 2, 4),
    "feed_forward.expert_dim": (1, 8, 16),
    "feed_forward.shared_experts": (0, 1, 2),
    "feed_forward.groups": (1, 2, 4),
    "feed_forward.groups_per_token": (1, 2, 4),
    "feed_forward.router_scale": (0.5, 2.5),
    "feed_forward.dense_layers": (0, 1, 2),
    "stack.vocab": (1, 11, 50),
    "stack.embedding_dim": (6, 8, 24),
    "stack.token_types": (0, 1, 2),
    "stack.classes": (1, 5),
    "stack.dropout": (0.0, 0.2),
    "stack.encoder_layers": (1, 2),
    "stack.decoder_layers": (1, 2),
    "image.channels": (1, 3),
    "image.size": ("8x8", "8x12", "16x16", "12x4", "1x1", "7x5"),
    "image.patch": (1, 2, 3, 4),
    "image.map": ("3x3", "2x3", "1x1", "4x4", "3x4", "1x12", "2x2"),
    "image.kernels": ([3], [3, 3], [7, 3, 3], [2, 3], [5, 1, 3]),
    "image.strides": ([2], [2, 1], [4, 2, 2], [2, 2]),
    "image.pads": ([1], [0, 1], [2, 1, 1], [1, 1]),
    "image.token_dim": (1, 4, 6, 8),
    "image.expansion": (0.25, 0.5, 1.0),
    "run.device": ("cpu",),
    "run.seed": (0, 1),
}
"""Small values of the settings that are not a choice among words."""
CHOSEN = (
    "attention.kind", "attention.impl", "attention.qkv", "attention.layout", "attention.skip",
    "attention.qk_norm", "positions.kind", "mask.kind", "norm.kind", "norm.place",
    "feed_forward.kind", "cache.past", "stack.vocab", "stack.head", "image.stem", "image.map",
    "attention.source", "stack.cross", "stack.queries", "kv_heads", "run.dtype", "run.mode",
    "run.grad", "recurrent.alignment", "attention.qkv_bias", "layers", "dim", "head_dim",
    "value_head_dim", "stack.dropout", "image.kernels",
)  # fmt: skip
"""What decides what is built: each is given more often than a detail is."""
KINDS = (
    "attention.kind", "attention.kind", "positions.kind", "positions.kind", "feed_forward.kind",
    "mask.kind", "attention.impl", "attention.qkv", "attention.layout", "image.stem", "norm.place",
)  # fmt: skip
"""The choices that have details of their own."""
_HEADS = ("attention.kv_lora_rank", "attention.nope_head_dim", "attention.rope_head_dim")
_CONTEXT = ("context_tokens",)
WITH = {
    ("block", "encoder-decoder"): _CONTEXT,
    ("block", "rnn-seq2seq"): _CONTEXT,
    ("block", "patch-embed"): ("image.size", "image.patch"),
    ("block", "t2t"): ("image.size",),
    ("attention.source", "cross"): _CONTEXT,
    ("attention.kind", "mla"): (*_HEADS, "value_head_dim"),
    ("attention.kind", "additive"): ("attention.align_dim",),
    ("attention.kind", "window"): ("attention.window", "image.map"),
    ("attention.kind", "gqa"): ("kv_heads", "heads"),
    ("attention.qkv", "none"): ("attention.out_proj",),
    ("attention.qkv", "conv"): ("image.map",),
    ("attention.layout", "single"): ("heads",),
    ("positions.kind", "swin"): ("attention.kind", "attention.window", "image.map"),
    ("positions.kind", "conv"): ("image.map",),
    ("positions.kind", "sine-2d"): ("image.map",),
    ("positions.kind", "learned-2d"): ("image.map",),
    ("mask.kind", "sliding"): ("mask.window",),
    ("mask.kind", "['causal', 'sliding']"): ("mask.window",),
    ("mask.kind", "['padding', 'sliding']"): ("mask.window",),
    ("mask.kind", "['causal', 'padding', 'sliding']"): ("mask.window",),
    ("feed_forward.kind", "moe"): ("feed_forward.experts", "feed_forward.experts_per_token"),
    ("feed_forward.kind", "conv"): ("image.map",),
    ("stack.head", "vocab"): ("stack.vocab",),
    ("stack.head", "classes"): ("stack.classes",),
    ("stack.cross", "True"): _CONTEXT,
    ("image.stem", "patch"): ("image.size", "image.patch"),
    ("image.stem", "t2t"): ("image.size",),
    ("image.kernels", "[3]"): ("image.strides", "image.pads"),
    ("image.kernels", "[3, 3]"): ("image.strides", "image.pads"),
    ("image.kernels", "[2, 3]"): ("image.strides", "image.pads"),
    ("recurrent.alignment", "additive"): ("attention.align_dim",),
}
"""What one setting needs beside it: path and value in words -> paths."""
BLOCKS = (
    *("attention", "encoder", "decoder", "encoder-decoder") * 4,
    *("patch-embed", "t2t", "psa", "rnn-seq2seq"),
)


def values_of(path):
    """Return the values that are tried for a setting."""
    if path in NUMBERS:
        return NUMBERS[path]
    kind = fields()[path].kind
    if kind.choices or kind.schema.get("type") == "boolean":
        return kind.choices or (True, False)
    return (1, 2, 3) if kind.schema.get("type") == "integer" else (0.25, 1.0)


def any_spec(random):
    """Return legal settings by dotted path, and the settings that were refused on the way.

    It starts from a block of some size and adds to it: what decides what is built, then details of
    that. What is refused is not added. A refusal is the settings and the error that they got.
    """
    refusals = []
    given = _block(random, refusals)
    for path in random.choices(KINDS, k=2) + random.sample(CHOSEN, random.choice((0, 3, 8, 16))):
        given = _more(given, path, random, refusals)
    spec = _tried(given, refusals)
    details = [p for p in fields() if p not in given and not misplaced(spec, p)]
    share = random.choice((0.0, 0.1, 0.3, 0.8))
    for path in random.sample(details, round(share * len(details))):
        given = _more(given, path, random, refusals)
    return given, refusals


def nested(given):
    """Return the same settings as `load` takes them."""
    result = {}
    for path, value in given.items():
        section, _, name = path.rpartition(".")
        (result.setdefault(section, {}) if section else result)[name] = value
    return result


def _block(random, refusals):
    """Return a block of some size."""
    given = None
    while given is None or _tried(given, refusals) is None:
        block = random.choice(BLOCKS)
        given = _with({"block": block, "run.device": "cpu"}, ("block", block), random)
    for path in ("batch", "heads", "chan", "tokens"):
        given = _more(given, path, random, refusals)
    return given


def _more(given, path, random, refusals):
    """Return the settings with one more and what it needs beside it, without where refused."""
    if path == "mask.lengths":
        value = [random.choice((1, 2, 5, 9)) for _ in range(given.get("batch", 13))]
    else:
        value = random.choice(values_of(path))
    more = _with({**given, path: value}, (path, value), random)
    if path == "image.stem" or ("image.map" in more and "image.map" not in given):
        more.pop("tokens", None)  # they follow from the map
    return given if _tried(more, refusals) is None else more


def _with(given, setting, random):
    path, value = setting
    needed = WITH.get((path, str(value)), ())
    return {name: random.choice(values_of(name)) for name in needed} | given


def _tried(given, refusals):
    """Return the spec of settings, None where they are refused."""
    try:
        return load(**nested(given)).spec
    except SettingsError as error:
        refusals.append((given, error))
    return None
