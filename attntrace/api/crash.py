"""What a crash prints. It never raises, and the error goes on whatever happens here."""

from __future__ import annotations

import io
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import nullcontext, redirect_stdout, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from attntrace.errors import ForwardError

if TYPE_CHECKING:
    from attntrace import record
    from attntrace.capture.failed.crashed import Crash
    from attntrace.render import View

MARK = "_attntrace_explained"
"""An attribute of an error that was told of. A list of them would keep their tensors alive."""
AGAIN = "the forward ran once more for this table, on a copy without data"
LEFT_OUT = (
    "attntrace: left out what torch and other libraries called, {} more lines; "
    "attntrace.explain(traceback=True) keeps all"
)


def say(error: Exception, *, all_frames: bool) -> None:
    """Print why an error came up, once; if nobody handles it, only the author's frames follow."""
    try:
        if MARK in vars(error):
            return
        if isinstance(error, ForwardError) or _told(error):
            vars(error)[MARK] = True
            if not all_frames:
                _shorten(error)
    except BaseException:  # noqa: BLE001, S110 - also Ctrl-C: the error is what counts
        pass


def _told(error: Exception) -> bool:
    """Print the panel; return whether there was anything to say."""
    from attntrace.capture.failed.crashed import crashed

    crash = crashed(error)
    if crash is None:
        return False
    try:
        if crash.root is None and not crash.call.op:
            return False
        _print(_facts(error, crash))
    finally:
        crash.frames.forget()
    return True


def _facts(error: Exception, crash: Crash) -> record.Trace | record.Diagnosis:
    """Return the diagnosis, with the rows up to it where a rerun on meta fails alike."""
    from attntrace.capture.failed.after import diagnosed

    rerun = None
    with suppress(Exception, KeyboardInterrupt):  # Ctrl-C: it takes long, and tells no reason
        rerun = _rerun(crash)
    said = diagnosed(error, crash, rerun)
    return said if rerun is None else replace(rerun, diagnosis=said)


def _rerun(crash: Crash) -> record.Trace | None:
    from attntrace.api.traced import trace
    from attntrace.capture.failed.after import is_same
    from attntrace.capture.failed.again import on_meta, once_more, outermost

    call = outermost(crash.frames)
    if call is None:
        return None
    call = on_meta(call)
    quiet = threading.active_count() == 1  # what the forward prints was printed once
    with redirect_stdout(io.StringIO()) if quiet else nullcontext(), once_more():
        try:
            trace(call.module, *call.args, **call.kwargs)
        except ForwardError as again:
            facts = again.trace.facts
            return facts if is_same(facts, crash) else None
    return None


def _print(said: record.Trace | record.Diagnosis) -> None:
    from attntrace import record, render

    if isinstance(said, record.Trace):
        facts, view = said, render.View(more=(("note", AGAIN),))
        assert facts.diagnosis is not None, "it was put there"
        with suppress(Exception):
            _show(facts, view, lambda: render.to_text(facts, view))
            return
        said = facts.diagnosis
    lines = render.finding_lines(said)
    _show(said, render.View(), lambda: "\n".join(lines) + "\n")


def _show(said: record.Trace | record.Diagnosis, view: View, text: Callable[[], str]) -> None:
    from attntrace import render

    if sys.stderr is not None and sys.stderr.isatty():
        render.print_crash(said, view)
    else:
        _write(text())


def _write(text: str) -> None:
    if sys.stderr is not None:
        sys.stderr.write(text)
        sys.stderr.flush()


def _shorten(error: Exception) -> None:
    """Let Python, a thread or a notebook print the author's frames alone of this very error."""
    if threading.current_thread() is threading.main_thread():
        _Hook.install(sys)
    else:
        _Hook.install(threading)
    if "IPython" in sys.modules:  # which asks the error itself, while it handles it
        vars(error)["_render_traceback_"] = _lines_of_handled


class _Hook:
    """Stands in for an `excepthook` until the next error that nobody handles, whichever it is."""

    def __init__(self, home: Any) -> None:
        self._home, self._before = home, home.excepthook

    @classmethod
    def install(cls, home: Any) -> None:
        if not isinstance(home.excepthook, cls):
            home.excepthook = cls(home)

    def __call__(self, *given: Any) -> None:
        if self._home.excepthook is self:
            self._home.excepthook = self._before
        error = given[1] if len(given) > 1 else given[0].exc_value
        before: Callable[..., Any] = self._before
        try:
            if error is None or MARK not in vars(error):
                before(*given)
                return
            lines = lines_of(error)
        except Exception:  # noqa: BLE001 - then as if we were not there
            before(*given)
            return
        if len(given) == 1 and given[0].thread is not None:
            lines = [f"Exception in thread {given[0].thread.name}:", *lines]
        _write("\n".join(lines) + "\n")


def lines_of(error: BaseException) -> list[str]:
    """Return the traceback of an error with the author's frames alone, and how many are left out."""
    told = traceback.TracebackException.from_exception(error)
    hidden = sum(_own_alone(one) for one in _chain(told))
    lines = "".join(told.format()).splitlines()
    return [*lines, LEFT_OUT.format(hidden)] if hidden else lines


def _lines_of_handled() -> list[str]:
    error = sys.exception()
    return [] if error is None else lines_of(error)


def _chain(told: traceback.TracebackException) -> list[traceback.TracebackException]:
    chained = [told.__cause__, told.__context__, *(told.exceptions or ())]
    return [told, *(more for one in chained if one is not None for more in _chain(one))]


def _own_alone(told: traceback.TracebackException) -> int:
    """Take out the frames that are not the author's; return how many."""
    from attntrace.capture.failed.stack.frames import is_own_file

    own = [frame for frame in told.stack if is_own_file(frame.filename)]
    if not own:
        return 0
    hidden = len(told.stack) - len(own)
    told.stack = traceback.StackSummary.from_list(own)
    return hidden
