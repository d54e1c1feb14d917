"""What is made of the error that ended an observed run."""

from __future__ import annotations

import linecache
import sysconfig
import traceback
from collections.abc import Iterator, Sequence
from contextlib import suppress

from torch import nn

from attntrace.capture.failed.diagnose import Around, Candidate, Place, diagnosis
from attntrace.capture.source import Site, line_of, place
from attntrace.capture.stopped import Stopped
from attntrace.record import Diagnosis, TensorRecord

LIBRARIES = ("<frozen", *(sysconfig.get_paths()[name] for name in ("stdlib", "purelib", "platlib")))
"""How the files begin that are nobody's own code."""


def diagnosis_of(
    error: BaseException,
    stopped: Stopped,
    path: str,
    rows: Sequence[TensorRecord],
    root: nn.Module | None,
) -> Diagnosis:
    """Return where and why a run stopped; `path` is where it was if no witness saw the error."""
    is_seen = error is stopped.error
    around = Around(path=stopped.path if is_seen else path, rows=rows, root=root)
    where, candidates = _innermost(error), list[Candidate]()
    with suppress(Exception):
        seen = stopped.seen if is_seen else None
        if seen is not None:
            call, source = seen.told()
            candidates.append(Candidate(call, seen.function))
            if seen.site is not None:
                where = Place(
                    source=place(seen.site), line=line_of(seen.site), mark=source.mark,
                    called_from=None,
                )  # fmt: skip
    return diagnosis(error, candidates, where, around)


def _innermost(error: BaseException) -> Place:
    """Return the innermost line of the author's own, else of a library's."""
    sites = list(_sites(error))
    own = [site for site in sites if not site.code.co_filename.startswith(LIBRARIES)]
    for site in (own or sites)[-1:]:
        line = linecache.getline(site.code.co_filename, site.line or 0)
        return Place(source=place(site), line=line.strip() or None)
    return Place()


def _sites(error: BaseException) -> Iterator[Site]:
    for frame, line in traceback.walk_tb(error.__traceback__):
        if not frame.f_globals.get("__name__", "").startswith(("torch.", "attntrace.capture")):
            yield Site(frame.f_code, frame.f_lasti, line)
