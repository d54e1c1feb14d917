"""Settings that mean nothing here and are no mistake: they are left out, with a note.

What the user wrote is refused where it means nothing. But a config of another project says all
that it knows, and a preset or a file cannot foresee what a flag makes of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from attntrace.spec.document import Setting
from attntrace.spec.problems import as_yaml, meaningless

_FIX = re.compile(r"; (?:leave|use) .*")
"""The end of a message that says what to write instead."""


def without_meaningless(
    given: Mapping[str, Setting], file: Mapping[str, Setting]
) -> tuple[dict[str, Setting], list[str]]:
    """Return the settings that remain, and a note for each that was left out.

    `file` is what the file or preset said, `given` what came of it under everything stronger. Left
    out is what was given under another project's name, and what means something to the file alone.
    A part of a switch, such as `bias`, falls without a note where another part stands.
    """
    kept, reasons = dict(given), dict[str, str]()
    while found := _may_fall(meaningless(kept), kept, file):
        reasons |= found
        kept = {path: setting for path, setting in kept.items() if path not in found}
    standing = {(setting.where, setting.written) for setting in kept.values()}
    fallen = [setting for path, setting in given.items() if path in reasons]
    return kept, [
        _note(setting, reasons[setting.path])
        for setting in fallen
        if (setting.where, setting.written) not in standing
    ]


def _may_fall(
    reasons: Mapping[str, str], kept: Mapping[str, Setting], file: Mapping[str, Setting]
) -> dict[str, str]:
    """Return those of the meaningless settings that are no mistake, with their reasons."""
    foreign = {path: reason for path, reason in reasons.items() if kept[path].foreign}
    of_file = {path for path in reasons.keys() - foreign.keys() if file.get(path) is kept[path]}
    overruled = of_file - meaningless(file).keys() if of_file else of_file
    return foreign | {path: reason for path, reason in reasons.items() if path in overruled}


def _note(setting: Setting, reason: str) -> str:
    what = f"{setting.path} {as_yaml(setting.value)}"
    return f"{setting.where}: {_FIX.sub('', reason)}; {what} is left out"
