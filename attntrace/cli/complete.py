"""What a shell may complete: presets, files and components."""

from __future__ import annotations

from pathlib import Path


def settings(start: str) -> list[str]:
    """Return the presets, folders and YAML files whose names begin so."""
    from attntrace.spec.presets import names

    above, slash, _ = start.rpartition("/")
    found = sorted(Path(f"{above}{slash}" or ".").glob("*"))
    folders = [f"{above}{slash}{path.name}/" for path in found if path.is_dir()]
    files = [f"{above}{slash}{path.name}" for path in found if path.suffix in (".yaml", ".yml")]
    return [name for name in (*names(), *folders, *files) if name.startswith(start)]


def targets(start: str) -> list[str]:
    """Return what `settings` does, and the user's own Python files, then the names in one."""
    from attntrace.spec.target import candidates

    file, colon, _ = start.partition(":")
    if colon and file.endswith(".py") and Path(file).is_file():
        return [
            f"{file}:{name}"
            for name in candidates(Path(file))
            if f"{file}:{name}".startswith(start)
        ]
    above, slash, _ = start.rpartition("/")
    own = [
        f"{above}{slash}{path.name}:"
        for path in sorted(Path(f"{above}{slash}" or ".").glob("*.py"))
    ]
    return [*settings(start), *(name for name in own if name.startswith(start))]


def components(start: str) -> list[str]:
    """Return the components of `attntrace fields` whose names begin so, then the settings."""
    from attntrace.spec.fields import fields, sections

    settings = [path for path in fields() if start and path.count(".") == start.count(".")]
    return [name for name in ("sizes", *sections(), *settings) if name.startswith(start)]
