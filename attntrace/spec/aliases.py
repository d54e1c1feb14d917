"""What configs of Hugging Face, torch and timm call our settings, and what their values mean here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from attntrace.errors import Problem
from attntrace.spec.document import Setting
from attntrace.spec.fields import fields
from attntrace.spec.values import is_finite

# Other words for the values of a setting; taken where the setting has another name, too.
WORDS: dict[str, dict[object, object]] = {
    "feed_forward.activation": {
        "gelu_new": "gelu-tanh",
        "gelu_pytorch_tanh": "gelu-tanh",
        "gelu_fast": "gelu-tanh",
        "gelu_tanh": "gelu-tanh",
        "gelu_python": "gelu",
        "swish": "silu",
        "quick_gelu": "quick-gelu",
    },
    "positions.kind": {
        "absolute": "learned",
        "sine": "sinusoidal",
        "rotary": "rope",
    },
    "norm.kind": {
        "layer_norm": "layernorm",
        "LayerNorm": "layernorm",
        "rms_norm": "rmsnorm",
        "RMSNorm": "rmsnorm",
        "batch_norm": "batchnorm",
        "BatchNorm": "batchnorm",
    },
    "attention.need_weights": {True: "per-head", False: "none"},
    "attention.source": {True: "cross", False: "self"},
    "attention.qk_norm": {True: "layernorm", False: "none"},
    "run.dtype": {
        "torch.float64": "float64",
        "torch.float32": "float32",
        "torch.bfloat16": "bfloat16",
        "torch.float16": "float16",
        "fp64": "float64",
        "fp32": "float32",
        "bf16": "bfloat16",
        "fp16": "float16",
        "double": "float64",
        "float": "float32",
        "half": "float16",
    },
}

# Names of our own that other projects' configs have at the top level, without a section.
BARE: dict[str, str] = {
    path.rpartition(".")[2]: path
    for path in (
        "attention.qkv_bias",
        "attention.q_lora_rank",
        "attention.kv_lora_rank",
        "feed_forward.activation",
        "stack.encoder_layers",
        "stack.decoder_layers",
        "run.dtype",
    )
}


def _biases(*paths: str) -> dict[object, dict[str, object]]:
    return {value: dict.fromkeys(paths, value) for value in (True, False)}


# Switches that stand for a setting of another kind: name -> value -> settings.
_PRE_OR_POST: dict[object, dict[str, object]] = {
    True: {"norm.place": "pre"},
    False: {"norm.place": "post"},
}
SWITCHES: dict[str, dict[object, dict[str, object]]] = {
    "attention_bias": _biases("attention.qkv_bias", "attention.out_bias"),
    "bias": _biases("attention.qkv_bias", "attention.out_bias", "feed_forward.bias", "norm.bias"),
    "multi_query": {True: {"kv_heads": 1}, False: {}},
    "parallel_attn": {True: {"norm.place": "parallel"}, False: {}},
    "use_parallel_residual": {
        True: {"norm.place": "parallel", "norm.parallel_norms": 2},
        False: {},
    },
    "norm_first": _PRE_OR_POST,
    "normalize_before": _PRE_OR_POST,
    "do_layer_norm_before": _PRE_OR_POST,
    "is_causal": {True: {"mask.kind": "causal"}, False: {"mask.kind": "none"}},
    "rope_interleave": {
        True: {"positions.style": "interleaved"},
        False: {"positions.style": "half"},
    },
    "scale_attn_weights": {
        True: {"attention.qk_scale": "head"},
        False: {"attention.qk_scale": "none"},
    },
    "feed_forward_proj": {
        "relu": {"feed_forward.kind": "mlp", "feed_forward.activation": "relu"},
        "gated-gelu": {"feed_forward.kind": "glu", "feed_forward.activation": "gelu-tanh"},
        "gated-silu": {"feed_forward.kind": "glu", "feed_forward.activation": "silu"},
    },
}

# Numbers that say the same thing in another way: name -> setting and what it comes to.
COMPUTED: dict[str, tuple[str, Callable[[float], float]]] = {
    "query_pre_attn_scalar": ("attention.qk_scale", lambda size: size**-0.5),
}

# Values that other projects have and we have not, with what to write instead.
_FLASH = (
    "{name} {value} is a kernel that scaled_dot_product_attention may choose by itself; use "
    "attention.impl sdpa"
)
_FLEX = "{name} {value} compiles its masks, which is not built here; use attention.impl sdpa"
_WHICH_NORM = "{name} true does not say which norm; write attention.qk_norm: rmsnorm or layernorm"
REFUSED: dict[tuple[str, object], str] = {
    ("attn_implementation", "flash_attention_2"): _FLASH,
    ("attn_implementation", "flash_attention_3"): _FLASH,
    ("attn_implementation", "flex_attention"): _FLEX,
    ("_attn_implementation", "flash_attention_2"): _FLASH,
    ("_attn_implementation", "flash_attention_3"): _FLASH,
    ("_attn_implementation", "flex_attention"): _FLEX,
    ("use_qk_norm", True): _WHICH_NORM,
}


@dataclass(frozen=True, slots=True)
class Alias:
    """Another name for a setting, or for several."""

    name: str
    paths: tuple[str, ...]
    """The settings that it stands for; the first one's section is where it may also stand."""

    @property
    def path(self) -> str:
        """The setting that it stands for first of all."""
        return self.paths[0]

    @property
    def scopes(self) -> tuple[str, ...]:
        """The paths that it may be written as: at the top level, and in its section."""
        section = self.path.rpartition(".")[0]
        return (self.name, f"{section}.{self.name}") if section else (self.name,)


@cache
def aliases() -> Mapping[str, Alias]:
    """Return every alias by its name."""
    found = [Alias(name, (f.path,)) for f in fields().values() for name in f.aliases]
    for name, meanings in SWITCHES.items():
        paths = dict.fromkeys(path for meaning in meanings.values() for path in meaning)
        found.append(Alias(name, tuple(paths)))
    found += [Alias(name, (path,)) for name, (path, _) in COMPUTED.items()]
    return {alias.name: alias for alias in found}


@cache
def _by_scope() -> Mapping[str, Alias]:
    bare = {name: Alias(name, (path,)) for name, path in BARE.items()}
    return bare | {path: alias for alias in aliases().values() for path in alias.scopes}


def names_of(path: str) -> tuple[str, ...]:
    """Return every other name of a setting."""
    return tuple(alias.name for alias in aliases().values() if path in alias.paths)


def canonical(layer: list[Setting]) -> tuple[list[Setting], list[Problem]]:
    """Return one source's settings under our own names, and what is wrong with its names.

    A setting that is given under two names with two values is a problem.
    """
    problems: list[Problem] = []
    found: dict[str, Setting] = {}
    for written in layer:
        try:
            settings = list(_translated(written))
        except ValueError as error:
            problems.append(Problem(written.path, str(error), _where(written)))
            continue
        for setting in settings:
            before = found.get(setting.path)
            if before is not None and _differ(before, setting):
                problems.append(_twice(before, setting))
            if before is None or setting.value is not None:
                found[setting.path] = setting
    return list(found.values()), problems


def _translated(setting: Setting) -> Iterator[Setting]:
    """Yield what a setting means under our own names; ValueError where its value means nothing."""
    alias = _by_scope().get(setting.path)
    if alias is None:
        yield replace(setting, written=setting.path)
        return
    section = setting.path.rpartition(".")[0]
    for path, value in _meaning(alias, setting.value).items():
        if not path.startswith(section):
            continue  # inside a section, a switch is about that section alone
        where = _where(setting)
        yield replace(setting, path=path, value=value, where=where, written=setting.path)


def _where(setting: Setting) -> str:
    """Return where a setting was given, with its name: a line of a file shows another than ours."""
    in_file = setting.origin in ("file", "preset") and setting.path in _by_scope()
    return f"{setting.where} {setting.path.rpartition('.')[2]}" if in_file else setting.where


def _meaning(alias: Alias, value: Any) -> Mapping[str, Any]:
    """Return the settings that an alias with a value stands for."""
    name, path = alias.name, alias.path
    if value is None:
        return {} if name in SWITCHES or name in COMPUTED else {path: None}
    if name in SWITCHES:
        return _of_switch(name, value)
    if name in COMPUTED:
        if not is_finite(value) or value <= 0:
            raise ValueError(f"{name} must be a finite number above 0, got {value!r}")
        return {path: COMPUTED[name][1](value)}
    key = value if isinstance(value, str | bool) else None
    if (name, key) in REFUSED:
        raise ValueError(REFUSED[name, key].format(name=name, value=value))
    return {path: WORDS.get(path, {}).get(key, value)}


def _of_switch(name: str, value: Any) -> Mapping[str, Any]:
    meanings = SWITCHES[name]
    if isinstance(value, str | bool) and value in meanings:
        return meanings[value]
    words = "true or false," if True in meanings else f"one of {', '.join(map(str, meanings))};"
    raise ValueError(f"{name} must be {words} got {value!r}")


def _differ(before: Setting, after: Setting) -> bool:
    """Whether two settings of one path are a contradiction.

    A `--set` may be given again, and configs of other projects say some things under two names:
    GPT-2's has n_positions and n_ctx. Null contradicts nothing.
    """
    again = before.origin == "--set" and before.written == after.written
    same = type(before.value) is type(after.value) and before.value == after.value
    return not (again or same or None in (before.value, after.value))


def _twice(before: Setting, after: Setting) -> Problem:
    message = (
        f"{after.path} is given twice, as {before.written} ({before.where}) and as "
        f"{after.written}; leave one out"
    )
    return Problem(after.path, message, after.where)
