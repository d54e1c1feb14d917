"""What a module of torch's own was built with, read back from the module.

Most constructors keep each argument under its own name; the tables hold those that do not.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from torch import nn

_PLACED = frozenset({"self", "device", "dtype"})
"""Where a module is built, and how its numbers are kept: not what it is."""
_OF_RNN = (
    "input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional",
)  # fmt: skip
NAMED: dict[str, tuple[str, ...]] = {
    "RNN": (*_OF_RNN, "nonlinearity"),
    "GRU": _OF_RNN,
    "LSTM": (*_OF_RNN, "proj_size"),
}
"""What constructors take whose signature is `*args, **kwargs`."""


def _whether(name: str) -> Callable[[nn.Module], bool]:
    return lambda module: held(module, name) is not None


def _of(path: str) -> Callable[[nn.Module], Any]:
    def read(module: nn.Module) -> Any:
        value: Any = module
        for name in path.split("."):
            value = held(value, name)
        return value

    return read


_OF_LAYER: dict[str, Callable[[nn.Module], Any]] = {
    "d_model": _of("self_attn.embed_dim"),
    "nhead": _of("self_attn.num_heads"),
    "dim_feedforward": _of("linear1.out_features"),
    "dropout": _of("dropout.p"),
    "layer_norm_eps": _of("norm1.eps"),
    "batch_first": _of("self_attn.batch_first"),
    "bias": _of("linear1.bias"),
}
_LAYER = "encoder.layers.0."
_READ: dict[str, dict[str, Callable[[nn.Module], Any]]] = {
    "MultiheadAttention": {"bias": _whether("in_proj_bias"), "add_bias_kv": _whether("bias_k")},
    "TransformerEncoderLayer": _OF_LAYER,
    "TransformerDecoderLayer": _OF_LAYER,
    "Transformer": {
        "num_encoder_layers": _of("encoder.num_layers"),
        "num_decoder_layers": _of("decoder.num_layers"),
        "dim_feedforward": _of(_LAYER + "linear1.out_features"),
        "dropout": _of(_LAYER + "dropout.p"),
        "activation": _of(_LAYER + "activation"),
        "layer_norm_eps": _of(_LAYER + "norm1.eps"),
        "norm_first": _of(_LAYER + "norm_first"),
        "bias": _of(_LAYER + "linear1.bias"),
    },
    "PairwiseDistance": {"p": _of("norm")},
    "RNNCell": {"bias": _whether("bias_ih")},
    "GRUCell": {"bias": _whether("bias_ih")},
    "LSTMCell": {"bias": _whether("bias_ih")},
}
"""Settings that a module does not keep under their own name."""


def torch_class(module: nn.Module) -> type[nn.Module] | None:
    """Return the class of torch's own that a module is, or extends; None where it is none."""
    for kind in type(module).__mro__:
        if kind is nn.Module:
            return None
        if kind.__module__.startswith("torch.nn."):
            return kind
    return None


def constructor_settings(module: nn.Module) -> dict[str, Any]:
    """Return what the constructor of a module of torch's takes, with the values that it has.

    `torch_class(module)(**constructor_settings(module))` builds its like; where its tensors live
    and in what dtype is left to the caller. Empty for a module that is not torch's, and for one
    that was built of others: a Sequential, a TransformerEncoder.
    """
    kind = torch_class(module)
    if kind is None:
        return {}
    settings = {}
    for name, is_needed in _arguments(kind).items():
        read = _READ.get(kind.__name__, {}).get(name)
        try:
            value = read(module) if read else held(module, name)
        except KeyError:
            if is_needed:
                return {}
            continue
        settings[name] = value is not None if name == "bias" and not _plain(value) else value
    return settings


def held(module: nn.Module, name: str) -> Any:
    """Return an attribute, parameter, buffer or submodule without running code of the author's.

    Raises:
        KeyError: the module has none of that name; a property is none.

    """
    own = vars(module)
    places = (own, *(own.get(kind, {}) for kind in ("_parameters", "_buffers", "_modules")))
    for place in places:
        if name in place:
            return place[name]
    raise KeyError(name)


def _plain(value: Any) -> bool:
    return isinstance(value, bool)


def _arguments(kind: type[nn.Module]) -> dict[str, bool]:
    """Return what a constructor takes by name, and whether it must be given."""
    if kind.__name__ in NAMED:
        return dict.fromkeys(NAMED[kind.__name__], True)
    parameters = inspect.signature(kind.__init__).parameters.values()
    return {
        taken.name: taken.default is taken.empty
        for taken in parameters
        if taken.name not in _PLACED
        and not taken.name.startswith("_")
        and (taken.kind is taken.POSITIONAL_OR_KEYWORD or taken.kind is taken.KEYWORD_ONLY)
    }
