"""What is asked of every config that is checked."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from attntrace.record.difference import TOLERANCE

FOLDER = Path(".attntrace")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What is asked of every config."""

    baselines: Path | None = FOLDER
    """The folder of the baselines; None where there are none to compare with."""
    update: bool = False
    """Whether to write the baseline where it is missing or the run differs from it."""
    tolerance: float = TOLERANCE
    """The part by which a measured peak may differ."""
    device: str | None = None
    """Where to run; None for each config's own."""


def folder_near() -> Path:
    """Return `.attntrace` of the current folder, or where that has none, of the nearest above it.

    As far up as the top of the repository, or where this is none, of the file system.
    """
    here = Path.cwd()
    for above in (here, *here.parents):
        if (above / FOLDER).is_dir():
            return Path(os.path.relpath(above / FOLDER, here))
        if (above / ".git").exists():
            break
    return FOLDER


def command(arguments: Iterable[str], options: Options) -> str:
    """Return the command that writes the baselines of these arguments, as a shell takes it."""
    flags = [] if options.device is None else ["--device", options.device]
    if options.tolerance != TOLERANCE:
        flags += ["--tolerance", f"{options.tolerance:g}"]
    if options.baselines not in (None, FOLDER):
        flags += ["--baselines", str(options.baselines)]
    flags.append("--update")
    given = list(arguments)
    odd = any(text.startswith("-") for text in given)
    words = [*flags, "--", *given] if odd else [*given, *flags]
    return shlex.join(["attntrace", "check", *words])
