"""The effective spec as YAML, with where each value came from."""

from __future__ import annotations

from attntrace.spec.load import Loaded
from attntrace.spec.problems import field_paths


def show(loaded: Loaded) -> str:
    """Return a YAML document that builds the same block, a comment with the origin on each line."""
    lines: list[tuple[str, str]] = []
    section = ""
    for path in sorted(field_paths(), key=lambda path: "." in path):
        above, _, name = path.rpartition(".")
        if above != section:
            lines.append((f"{above}:", ""))
            section = above
        lines.append((f"{'  ' if above else ''}{name}: {_value(loaded, path)}", _why(loaded, path)))
    width = max(len(left) for left, _ in lines)
    texts = [f"{left:{width}}  # {' '.join(why.split())}" if why else left for left, why in lines]
    return "\n".join(texts) + "\n"


def _value(loaded: Loaded, path: str) -> str:
    value: object = loaded.spec
    for name in path.split("."):
        value = getattr(value, name)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _why(loaded: Loaded, path: str) -> str:
    spec, setting = loaded.spec, loaded.given.get(path)
    if path == "attention.skip" and spec.attention.skip == "auto":
        relation = "==" if spec.dim == spec.chan else "!="
        return f"default: {spec.skip}, because dim {spec.dim} {relation} chan {spec.chan}"
    if setting is not None:
        return f"{setting.origin}: {setting.where}" if setting.origin == "file" else setting.where
    derived = {"head_dim": "default: chan / heads"}
    if spec.attention.impl == "torch":
        derived["dim"] = "default: chan, which nn.MultiheadAttention keeps"
        derived["attention.out_bias"] = "default: qkv_bias, nn.MultiheadAttention has one switch"
    return derived.get(path, "default")
