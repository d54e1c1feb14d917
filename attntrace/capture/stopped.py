"""Where a forward stopped: the innermost call of the author's that raised, and all it was given."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from attntrace.capture.failed.call.seen import Seen
from attntrace.capture.fence import is_early_stop
from attntrace.capture.ledger import Ledger

if TYPE_CHECKING:
    from attntrace.capture.hooks import ModuleWitness

BACKWARD = ("backward", "grad")


class Stopped:
    """Remembers the first error that passed a witness, and the call that raised it.

    The call is described at once, because its tensors must not be kept.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.modules: ModuleWitness | None = None
        self.bug: Exception | None = None
        """What a witness itself raised, should it ever: never to be taken for the author's."""
        self.error: BaseException | None = None
        self.path = ""
        """The module whose forward was running."""
        self.seen: Seen | None = None
        """None where a module raised and no call of torch's did."""

    @property
    def is_backward(self) -> bool:
        """Whether it is backward that was running."""
        return self._ledger.phase == "backward"

    def at_op(self, error: BaseException, func: Any, given: Any) -> None:
        """Note a dispatched op that raised."""
        if self.error is not error and not is_early_stop(error):
            self._note(error, func, str(func), given)

    def at_call(self, error: BaseException, func: Callable[..., Any], op: str, given: Any) -> None:
        """Note a Python-level call that raised; it says more than the op below it.

        Not so a call of backward: what raised in it the author wrote elsewhere, or nowhere.
        """
        below = self.seen is not None and self.seen.by_dispatcher and op not in BACKWARD
        if (self.error is not error or below) and not is_early_stop(error):
            self._note(error, func, op, given)

    def at_module(self, error: BaseException, path: str) -> None:
        """Note a module that an error leaves; the innermost comes first, and a call knows more."""
        if self.error is not error and not is_early_stop(error):
            self.error, self.path, self.seen = error, path, None

    def forget_handled(self) -> None:
        """Let go of an error that the author has handled: its traceback keeps tensors alive."""
        if all(error is not self.error for error in _chain(sys.exception())):
            self.error, self.seen = None, None

    def bug_behind(self, error: BaseException | None) -> Exception | None:
        """Return what a witness raised, unless the author's error is another.

        Where the author's calls filled the stack, that a witness met its end is no bug.
        """
        if error is None or self.bug is None:
            return self.bug
        if isinstance(self.bug, RecursionError):
            return None
        return self.bug if any(one is self.bug for one in _chain(error)) else None

    def _note(self, error: BaseException, func: Any, op: str, given: Any) -> None:
        self.error, self.path, self.seen = error, self._ledger.path, None
        inside = self.modules.inside_torchs_own() if self.modules is not None else ()
        try:
            self.seen = Seen.of(func, op, given, self._ledger, inside)
        except Exception:  # noqa: BLE001 - the author's error is what counts
            return


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what was being handled when it came up; the author may have made a ring."""
    seen = set[int]()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__context__
