"""What a shell may complete: presets, files and components."""

from __future__ import annotations

from pathlib import Path


def settings(start: str) -> list[str]:
    """Return the presets, folders and YAML files whose names begin so."""
    from attntrace.spec.presets import names

    folder = Path(start).parent if "/" in start else Path()
    found = [path for path in folder.glob("*") if path.is_dir() or path.suffix in (".yaml", ".yml")]
    files = [f"{path}/" if path.is_dir() else str(path) for path in sorted(found)]
    return [name for name in (*names(), *files) if name.startswith(start)]


def components(start: str) -> list[str]:
    """Return the components of `attntrace fields` whose names begin so."""
    from attntrace.spec.fields import sections

    return [name for name in ("sizes", *sections()) if name.startswith(start)]
