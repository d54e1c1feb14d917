"""The configs that attntrace ships, found by name. Listing them reads their comments alone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
_PARAMETERS = re.compile(r"# ([0-9][0-9,]*) parameters\b.*")
_BLOCK = re.compile(r"^block:\s*([\w-]+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Preset:
    """One shipped config: what its file says about it, before it is loaded."""

    name: str
    path: Path
    block: str
    parameters: int | None
    """None where the file does not say; a test holds what it says to what is built."""
    meaning: str


def folder(package: Path = PACKAGE) -> Path:
    """Return where the configs lie: inside an installed package, beside it in a checkout."""
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def names(package: Path = PACKAGE) -> list[str]:
    """Return the names of all presets, in order."""
    return sorted(path.stem for path in folder(package).glob("*.yaml"))


def presets(package: Path = PACKAGE) -> list[Preset]:
    """Return every preset, in order of their names."""
    return [_read(folder(package) / f"{name}.yaml") for name in names(package)]


@cache
def _read(path: Path) -> Preset:
    text = path.read_text(encoding="utf-8")
    comments = [line for line in text.splitlines() if line.startswith("# ")]
    counts = [found for line in comments if (found := _PARAMETERS.fullmatch(line))]
    block = _BLOCK.search(text)
    return Preset(
        name=path.stem,
        path=path,
        block=block[1] if block else "attention",
        parameters=int(counts[0][1].replace(",", "")) if counts else None,
        meaning=comments[0].removeprefix("# ") if comments else "",
    )


def is_name(text: str) -> bool:
    """Whether a text may be a preset's name: no path, and no YAML file."""
    return bool(re.fullmatch(r"[\w.+-]{1,99}", text)) and not re.search(r"\.ya?ml$", text)


def path_of(name: str) -> Path | None:
    """Return the file of a preset, None where there is none of that name."""
    return folder() / f"{name}.yaml" if name in names() else None


def no_such(name: str) -> str:
    """Return what to say of a name that is no preset's."""
    near = get_close_matches(name.lower(), names(), n=1, cutoff=0.6)
    if near:
        return f"no preset or file {name!r}; did you mean {near[0]!r}? See attntrace presets"
    return f"no preset or file {name!r}; see attntrace presets"
