"""The effective spec as YAML, with where each value came from."""

from __future__ import annotations

from collections.abc import Callable

from attntrace.spec.block import Spec
from attntrace.spec.fields import Field, fields
from attntrace.spec.load import Loaded
from attntrace.spec.rules.belongs import misplaced

_DECIDED: dict[str, Callable[[Spec], str]] = {
    "attention.kind": lambda spec: spec.kind,
    "attention.qkv": lambda spec: spec.qkv,
    "positions.on": lambda spec: spec.positions_on,
    "mask.kind": lambda spec: ", ".join(spec.masks) or "none",
    "norm.final": lambda spec: "a norm at the end" if spec.final_norm else "none",
}
"""What an "auto" comes to, where the spec knows it."""


def show(loaded: Loaded) -> str:
    """Return a YAML document that builds the same block, a comment with the origin on each line.

    Settings that mean nothing to the block, or that are not set, are left out.
    """
    lines: list[tuple[str, str]] = []
    section = ""
    for field in fields().values():
        value = _value(loaded.spec, field.path)
        if value is None or misplaced(loaded.spec, field.path):
            continue
        if field.section != section:
            lines.append((f"{field.section}:", ""))
            section = field.section
        indent = "  " if section else ""
        lines.append((f"{indent}{field.name}: {_yaml(value)}", _why(loaded, field, value)))
    width = max(len(left) for left, _ in lines)
    texts = [f"{left:{width}}  # {' '.join(why.split())}" if why else left for left, why in lines]
    return "\n".join(texts) + "\n"


def _value(spec: Spec, path: str) -> object:
    value: object = spec
    for name in path.split("."):
        value = getattr(value, name)
    return value


def _yaml(value: object) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _why(loaded: Loaded, field: Field, value: object) -> str:
    spec, setting = loaded.spec, loaded.given.get(field.path)
    if field.path == "attention.skip" and value == "auto":
        relation = "==" if spec.dim == spec.chan else "!="
        return f"default: {spec.skip}, because dim {spec.dim} {relation} chan {spec.chan}"
    if setting is not None:
        from_file = setting.origin in ("file", "preset")
        return f"{setting.origin}: {setting.where}" if from_file else setting.where
    if value == "auto" and field.path in _DECIDED:
        return f"default: {_DECIDED[field.path](spec)}"
    return f"default: {field.shown}" if field.shown else "default"
