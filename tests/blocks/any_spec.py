"""Random settings for every block, small, and near enough to legal that most can be mended."""

from __future__ import annotations

from attntrace.errors import SettingsError
from attntrace.spec import load
from attntrace.spec.fields import fields

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
    "run.grad", "recurrent.alignment", "attention.qkv_bias",
)  # fmt: skip
"""What decides what is built: each is given more often than a detail is."""
WITH = {
    ("attention.kind", "mla"): (
        "attention.kv_lora_rank", "attention.nope_head_dim", "attention.rope_head_dim",
        "value_head_dim",
    ),
    ("attention.kind", "additive"): ("attention.align_dim",),
    ("attention.kind", "window"): ("attention.window", "image.map"),
    ("recurrent.alignment", "additive"): ("attention.align_dim",),
    ("feed_forward.kind", "moe"): ("feed_forward.experts", "feed_forward.experts_per_token"),
    ("stack.head", "vocab"): ("stack.vocab",),
    ("stack.head", "classes"): ("stack.classes",),
    ("stack.cross", True): ("context_tokens",),
    ("attention.source", "cross"): ("context_tokens",),
    ("block", "encoder-decoder"): ("context_tokens",),
    ("block", "rnn-seq2seq"): ("context_tokens",),
    ("image.stem", "patch"): ("image.size", "image.patch"),
    ("image.stem", "t2t"): ("image.size",),
    ("block", "patch-embed"): ("image.size", "image.patch"),
    ("block", "t2t"): ("image.size",),
    ("attention.qkv", "none"): ("attention.out_proj",),
}  # fmt: skip
"""What one setting needs beside it."""
BLOCKS = (
    *("attention", "encoder", "decoder", "encoder-decoder") * 4,
    *("patch-embed", "t2t", "psa", "rnn-seq2seq"),
)
KEPT = ("block", "batch", "run.device")
"""What is not left out to mend other settings."""


def values_of(path):
    """Return the values that are tried for a setting."""
    if path in NUMBERS:
        return NUMBERS[path]
    choices = fields()[path].kind.choices
    return choices or (True, False)


def any_settings(random):
    """Return settings by dotted path, legal or not."""
    given = {"block": random.choice(BLOCKS), "run.device": "cpu"}
    for path in ("batch", "chan", "heads", "tokens"):
        given[path] = random.choice(SIZES[path])
    for path in CHOSEN:
        if random.random() < 0.25:
            given[path] = random.choice(values_of(path))
    details = [path for path in fields() if path not in given and path != "run.device"]
    for path in random.sample(details, random.choice((0, 1, 2, 4, 8, 12))):
        given[path] = random.choice(values_of(path))
    if "padding" in given.get("mask.kind", "") and random.random() < 0.3:
        given["mask.lengths"] = [random.choice((1, 2, 5, 9)) for _ in range(given["batch"])]
    else:
        given.pop("mask.lengths", None)
    for setting, needed in WITH.items():
        if given.get(setting[0]) == setting[1]:
            given |= {path: random.choice(values_of(path)) for path in needed if path not in given}
    if "sliding" in given.get("mask.kind", ""):
        given.setdefault("mask.window", random.choice(values_of("mask.window")))
    if given.get("attention.qkv") == "none":
        given["attention.out_proj"] = False
    return given


def nested(given):
    """Return the same settings as `load` takes them."""
    result = {}
    for path, value in given.items():
        section, _, name = path.rpartition(".")
        (result.setdefault(section, {}) if section else result)[name] = value
    return result


def legal(given, random, refused):
    """Return the settings without those that are refused, None where that leads nowhere.

    `refused` is called with each SettingsError on the way.
    """
    given = dict(given)
    for _ in range(40):
        try:
            load(**nested(given))
        except SettingsError as error:
            refused(given, error)
            _mend(given, error, random)
        else:
            return given
    return None


def _mend(given, error, random):
    """Leave out one setting, mostly one that the error is about."""
    blamed = [p.path for p in error.problems if p.path in given and p.path not in KEPT]
    others = [path for path in given if path not in KEPT]
    if others:
        del given[random.choice(blamed if blamed and random.random() < 0.7 else others)]
