"""`hf:PATH`: a model of transformers from its config.json, with random weights.

Nothing is read but that file: no weights, no code of the folder's own, and nothing from the network.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from torch import nn

from attntrace.errors import BuildError, Problem, SettingsError
from attntrace.subjects.configs import nested
from attntrace.subjects.hugging_face_inputs import inputs_of

NEEDED = "needs transformers: pip install 'attntrace[transformers]'"
ATTENTION = ("attn_implementation", "_attn_implementation")
LEFT_OUT = (
    "auto_map",
    "quantization_config",
    "model_type",
    "architectures",
    "transformers_version",
)
"""Of no use to random weights, or used elsewhere."""


def recipe(
    path: str, init: Mapping[str, Any] | None = None
) -> tuple[nn.Module, tuple[Any, ...], dict[str, Any]]:
    """Return the model that a config.json describes, in eval mode, and inputs for its forward.

    `path` is the file or a folder that holds it. `init` replaces fields of it, those of a part by
    a dotted name: `{"num_hidden_layers": 2, "vision_config.hidden_size": 32}`. The model is the
    first of `architectures`, else the bare one of `model_type`. Its attention is "eager", which
    shows the scores, unless `attn_implementation` says otherwise. Weights are random, in the
    config's dtype and on the current device.

    Raises:
        SettingsError: no transformers, no such file, no config, or one that transformers refuses.
        BuildError: transformers could not build the model.

    """
    if not _installed():
        raise SettingsError([Problem("hf", NEEDED)])
    settings = settings_of(path)
    with _offline():
        config = _config(path, settings, init or {})
        kind = _class(path, config, settings.get("architectures"))
        try:
            model = kind._from_config(config).eval()  # noqa: SLF001 - what `from_config` calls
        except Exception as error:
            raise BuildError(f"hf:{path}: {kind.__name__}: {_short(error)}") from error
        return model, (), inputs_of(model)


def _installed() -> bool:
    try:
        return find_spec("transformers") is not None
    except ValueError:  # something that is no module has its name
        return False


@contextmanager
def _offline() -> Iterator[None]:
    """Keep transformers off the network: a config may name a backbone to be downloaded."""
    from huggingface_hub import constants

    before, constants.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE, True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def settings_of(path: str) -> dict[str, Any]:
    """Return the fields of a config.json."""
    file = Path(path)
    file = file / "config.json" if file.is_dir() else file
    try:
        settings = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        wanted = "give a config.json, or a folder that holds one; nothing is downloaded"
        raise _refusal(path, f"{file}: {error.strerror}; {wanted}") from error
    except ValueError as error:
        raise _refusal(path, f"{file} is not JSON: {error}") from error
    if not isinstance(settings, dict):
        raise _refusal(path, f"{file} is no config: a JSON object was expected")
    return settings


def _config(path: str, settings: dict[str, Any], init: Mapping[str, Any]) -> Any:
    """Return the config, a `PreTrainedConfig`, with the fields of `init` in it."""
    from transformers import CONFIG_MAPPING

    name = settings.get("model_type")
    if not isinstance(name, str) or name not in CONFIG_MAPPING:
        raise _refusal(path, _unknown("model_type", name, CONFIG_MAPPING))
    kind = CONFIG_MAPPING[name]
    kept = {key: value for key, value in settings.items() if key not in LEFT_OUT}
    asked, given = [kept.pop(key, None) for key in ATTENTION], nested(init)
    try:
        if given:
            plain = kind.from_dict(kept)
            asked.insert(0, given.pop(ATTENTION[0], None))
            _check(path, given, plain.to_dict() | plain.attribute_map)
        config = kind.from_dict(_merged(kept, given))
    except SettingsError:
        raise
    except Exception as error:
        raise _refusal(path, f"{kind.__name__} refuses it: {_short(error)}") from error
    wanted = next((choice for choice in asked if choice), "eager")
    if not isinstance(wanted, (str, dict)):
        taken = "attn_implementation takes a name such as eager or sdpa"
        raise _refusal(path, f"{taken}, got {wanted!r}")
    config._attn_implementation = wanted  # noqa: SLF001 - as transformers spells it
    if getattr(config, "use_pretrained_backbone", False):
        config.use_pretrained_backbone = False
    return config


def _class(path: str, config: Any, architectures: list[str] | None) -> Any:
    """Return the class of the model: the first that the config names, else the bare one."""
    import transformers

    if architectures:
        kind = getattr(transformers, architectures[0], None)
        if kind is None:
            known = [name for name in dir(transformers) if name.endswith("Model") or "For" in name]
            raise _refusal(path, _unknown("architectures", architectures[0], known))
        return kind
    if type(config) not in transformers.MODEL_MAPPING:
        wanted = "name a class in architectures"
        raise _refusal(path, f"transformers has no bare {config.model_type} model; {wanted}")
    kind = transformers.MODEL_MAPPING[type(config)]
    return kind[0] if isinstance(kind, (tuple, list)) else kind


def _merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Return nested settings with others put on top."""
    both = {**one, **other}
    for key in one.keys() & other.keys():
        if isinstance(one[key], dict) and isinstance(other[key], dict):
            both[key] = _merged(one[key], other[key])
    return both


def _check(path: str, given: dict[str, Any], known: Mapping[str, Any], above: str = "") -> None:
    """Refuse what is no field of a config; one of a part of it may have been meant."""
    for name, value in given.items():
        if name not in known:
            paths = dict(_fields(known, above))
            near = get_close_matches(name, paths, n=1)
            meant = f"; did you mean {paths[near[0]]!r}?" if near else ""
            raise _refusal(path, f"unknown field {above + name!r}{meant}")
        if isinstance(value, dict) and known[name] and isinstance(known[name], Mapping):
            _check(path, value, known[name], f"{above}{name}.")


def _fields(known: Mapping[str, Any], above: str) -> Iterator[tuple[str, str]]:
    """Yield the names of fields with their paths, those of parts first."""
    for name, value in known.items():
        if isinstance(value, Mapping):
            yield from _fields(value, f"{above}{name}.")
    yield from ((name, f"{above}{name}") for name in known if isinstance(name, str))


def _unknown(what: str, name: object, known: Any) -> str:
    """Return what to say of a name that there is not."""
    near = get_close_matches(str(name), list(known), n=1)
    if name is None:
        return f"{what} is missing, so that nothing tells what model it is"
    return f"unknown {what} {name!r}" + (f"; did you mean {near[0]!r}?" if near else "")


def _short(error: Exception) -> str:
    """Return an error's message on one line."""
    return " ".join(str(error).split()) or type(error).__name__


def _refusal(path: str, message: str) -> SettingsError:
    return SettingsError([Problem("hf", message, f"hf:{path}")])
