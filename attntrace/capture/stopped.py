"""Where a forward stopped: the innermost call of the author's that raised, and its operands."""

from __future__ import annotations

import linecache
import sys
import sysconfig
import traceback
from typing import Any

from torch import Tensor

from attntrace.capture.describe import device_name, dtype_name, plain, shape_of
from attntrace.capture.fence import is_early_stop, unasked
from attntrace.capture.ledger import Ledger
from attntrace.capture.source import Site, caller, line_of, place
from attntrace.capture.structure import named_tensors
from attntrace.errors import said
from attntrace.record import Diagnosis, Operand

BACKWARD = ("backward", "grad")
LIBRARIES = ("<frozen", *(sysconfig.get_paths()[name] for name in ("stdlib", "purelib", "platlib")))
"""How the files begin that are nobody's own code."""


class Stopped:
    """Remembers the first error that passed a witness; `failure` tells about it afterwards.

    Operands are described at once, because the tensors must not be kept.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.bug: Exception | None = None
        """What a witness itself raised, should it ever: never to be taken for the author's."""
        self.error: BaseException | None = None
        self._op: str | None = None
        self._path = ""
        self._operands: tuple[Operand, ...] = ()
        self._from_op = False
        self._site: Site | None = None

    def at_op(self, error: BaseException, op: str, given: Any) -> None:
        """Note a dispatched op that raised."""
        if self.error is not error and not is_early_stop(error):
            self._note(error, op, given)
            self._from_op = True

    def at_call(self, error: BaseException, op: str, given: Any) -> None:
        """Note a Python-level call that raised; it says more than the op below it.

        Not so a call of backward: what raised in it the author wrote elsewhere, or nowhere.
        """
        news = self.error is not error or (self._from_op and op not in BACKWARD)
        if news and not is_early_stop(error):
            self._note(error, op, given)
            self._from_op = False

    def at_module(self, error: BaseException, path: str) -> None:
        """Note a module that an error leaves; the innermost comes first, and a call knows more."""
        if self.error is not error and not is_early_stop(error):
            self.error, self._op, self._path = error, None, path
            self._operands, self._site, self._from_op = (), None, False

    def forget_handled(self) -> None:
        """Let go of an error that the author has handled: its traceback keeps tensors alive."""
        error = sys.exception()
        while error is not None and error is not self.error:
            error = error.__context__
        if error is None:
            self.error, self._operands, self._site = None, (), None

    def failure(self, error: BaseException) -> Diagnosis:
        """Return where `error` came from; without op and operands if no witness saw it."""
        seen = error is self.error
        site = self._site if seen else None
        source, line = (place(site), line_of(site)) if site else _innermost(error)
        return Diagnosis(
            error=type(error).__name__,
            message=said(error),
            op=self._op if seen else None,
            path=self._path if seen else self._ledger.path,
            source=source,
            line=line,
            operands=self._operands if seen else (),
        )

    def _note(self, error: BaseException, op: str, given: Any) -> None:
        self.error, self._op, self._path = error, op, self._ledger.path
        self._site = caller()
        args, kwargs = given
        found = [
            *named_tensors("", tuple(args)),
            *(
                pair
                for name, value in (kwargs or {}).items()
                for pair in named_tensors(name, value)
            ),
        ]
        with unasked():
            self._operands = tuple([self._operand(name, tensor) for name, tensor in found])

    def _operand(self, name: str, tensor: Tensor) -> Operand:
        row = self._ledger.row_of(tensor)
        life = self._ledger.storages.find(tensor)
        owner = life.name if life is not None and life.row is None else None
        return Operand(
            name=(row.title() if row else None) or owner or f"argument {name}",
            shape=plain(shape_of(tensor)),
            dtype=dtype_name(tensor.dtype),
            device=device_name(tensor.device),
            row=row.index if row else None,
        )


def _innermost(error: BaseException) -> tuple[str | None, str | None]:
    """Return place and text of the innermost line of the author's own, else of a library's."""
    sites = [
        Site(frame.f_code, frame.f_lasti, line)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if not frame.f_globals.get("__name__", "").startswith(("torch.", "attntrace.capture"))
    ]
    own = [site for site in sites if not site.code.co_filename.startswith(LIBRARIES)]
    for site in (own or sites)[-1:]:
        line = linecache.getline(site.code.co_filename, site.line or 0)
        return place(site), line.strip() or None
    return None, None
