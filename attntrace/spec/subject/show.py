"""A subject as YAML, with where each value came from."""

from __future__ import annotations

from collections.abc import Iterator

from attntrace.spec.fields import members
from attntrace.spec.subject.load import LoadedSubject
from attntrace.spec.subject.model import AS_LEFT, flow


def show_subject(loaded: LoadedSubject) -> str:
    """Return a YAML document that runs the same, a comment with the origin on each line."""
    lines = list(_lines(loaded))
    width = max(len(left) for left, _ in lines)
    texts = [f"{left:{width}}  # {' '.join(why.split())}" if why else left for left, why in lines]
    return "\n".join(texts) + "\n"


def _lines(loaded: LoadedSubject) -> Iterator[tuple[str, str]]:
    spec = loaded.spec
    yield f"target: {flow(spec.target)}", _why(loaded, "target")
    for part in ("init", "inputs", "sizes"):
        values = getattr(spec, part)
        if values:
            yield f"{part}:", ""
        for name, value in values.items():
            yield f"  {name}: {flow(value)}", _why(loaded, f"{part}.{name}")
    yield "run:", ""
    for field in members("run"):
        value = getattr(spec.run, field.name)
        unsaid = field.name in AS_LEFT and not spec.says(field.name)
        if value is not None and field.name != "checkpoint" and not unsaid:
            yield f"  {field.name}: {flow(value)}", _why(loaded, field.path)


def _why(loaded: LoadedSubject, path: str) -> str:
    setting = loaded.given.get(path)
    if setting is None:
        return "default"
    return f"file: {setting.where}" if setting.origin == "file" else setting.where
