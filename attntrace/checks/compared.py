"""A run against its baseline: compared with it, or written as the new one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from attntrace.analysis.difference import difference
from attntrace.analysis.snapshot import snapshot_of
from attntrace.checks.baselines import Folder
from attntrace.checks.keys import key_of
from attntrace.checks.options import FOLDER, Options, command
from attntrace.errors import AttntraceError
from attntrace.record import Trace
from attntrace.record.difference import Difference
from attntrace.record.outcomes import MAKE_IT, Status
from attntrace.record.snapshot import Snapshot
from attntrace.render.difference import difference_lines, difference_sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What came of holding a run against its baseline."""

    status: Status
    """passed, changed, missing, or refused: the baseline cannot be read or written."""
    said: str = ""
    """What is wrong and what to do; "" where nothing is."""
    difference: Difference | None = None
    wrote: Path | None = None


def compared(name: str, facts: Trace, options: Options) -> Compared | None:
    """Compare a run of the config of that name with its baseline; None where there are none.

    With `options.update` the baseline is written where there is none, where it is damaged, where
    the run differs from it, and where it has no bytes measured on this device. Else the file is left
    as it is, byte for byte.
    """
    if options.baselines is None:
        return None
    folder, after = Folder(options.baselines), snapshot_of(facts)
    try:
        key = key_of(name, folder.root)
        before = folder.replaceable(key) if options.update else folder.read(key)
        found = before and difference(before, after, tolerance=options.tolerance)
        if options.update and (found or _is_new(before, after)):
            return Compared(
                status="passed", difference=found or None, wrote=folder.write(key, after)
            )
    except AttntraceError as error:
        return Compared(status="refused", said=str(error))
    if before is None:
        said = f"there is no {folder.path(key)}{MAKE_IT}{command([name], options)}"
        return Compared(status="missing", said=said)
    if not found:
        return Compared(status="passed")
    where = "" if options.baselines == FOLDER else f" {folder.path(key)}"
    first = f"differs from its baseline{where}: {difference_sentence(found)}"
    said = "\n".join([first, *difference_lines(found, headed=True)])
    return Compared(status="changed", said=said, difference=found)


def _is_new(before: Snapshot | None, after: Snapshot) -> bool:
    return before is None or not after.measured.keys() <= before.measured.keys()
