"""A block of code watched from within: whatever it calls, by itself or through others.

Here nobody hands us the call, as in `observe`: what goes into a model and comes out of it is learnt
from hooks, at the outermost of the calls that count.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

from attntrace.capture.compiled import compiled_notes
from attntrace.capture.environment import environment
from attntrace.capture.fence import keywords_of, node_of, unasked
from attntrace.capture.inputs import named_inputs
from attntrace.capture.process import seldom_whole
from attntrace.capture.recording import Notes, Recording
from attntrace.capture.saved import unmark
from attntrace.capture.structure import tensors_in
from attntrace.record import Environment

AGAIN = ("backward", "recompute")
"""Phases in which a model is called by autograd, not by the author."""


class ModelCall(NamedTuple):
    """A call of a model that counts, while it is under way."""

    module: nn.Module
    made_before: list[Any]
    """The nodes of the graph that made what went in."""
    inside: list[None]
    """One for each time that the module calls itself."""


class Watched:
    """The watch over one block of code on one thread."""

    def __init__(self, models: tuple[nn.Module, ...]) -> None:
        self.models = models
        self.recording = Recording()
        self.recording.remarks += compiled_notes(models)
        self.recording.ledger.marks_graph = True  # the author may call backward
        if len(models) == 1:
            self.recording.modules.adopt(models[0])
        self.outputs: dict[int, None] = {}
        """Rows of what the models returned, each once and in order."""
        self._thread = threading.get_ident()
        self._call: ModelCall | None = None
        self._environment: Environment | None = None
        self._attached = ExitStack()

    @classmethod
    @seldom_whole()
    def begin(cls, models: tuple[nn.Module, ...]) -> Watched:
        """Begin to watch. Raises AttntraceError where this thread is watched already."""
        session = cls(models)
        session._attach()
        return session

    def _attach(self) -> None:
        with ExitStack() as attached:
            attached.enter_context(seldom_whole())
            attached.enter_context(self._entered())
            with unasked():
                on_meta = any(p.is_meta for model in self.models for p in model.parameters())
            attached.enter_context(self.recording.attached("cpu" if on_meta else None, steps=True))
            attached.enter_context(self._left())
            self._attached = attached.pop_all()

    @seldom_whole()
    def close(self, error: BaseException | None) -> Notes:
        """Stop watching, leave nothing behind, and return what was seen up to here."""
        recording = self.recording
        self._attached.close()
        try:
            unmark(recording.ledger.alive())
            recording.ledger.storages.close()
            if error is None and recording.stopped.bug is not None:  # else that goes on by itself
                raise recording.stopped.bug
            where = self._environment or environment(next(iter(self.models), None), ())
            return recording.notes(self._subject(), where, self.outputs, error)
        finally:
            recording.stopped.error = None
            self.models = ()
            self._call = None

    def is_elsewhere(self) -> bool:
        """Return whether another thread asks."""
        return threading.get_ident() != self._thread

    def _subject(self) -> str:
        return ", ".join(type(model).__name__ for model in self.models) or "with block"

    @contextmanager
    def _entered(self) -> Iterator[None]:
        """See what goes into a model before the witnesses see that it begins."""
        hook = register_module_forward_pre_hook(self._enter)
        try:
            yield
        finally:
            hook.remove()

    @contextmanager
    def _left(self) -> Iterator[None]:
        """See what comes out of a model after the witnesses have."""
        hook = register_module_forward_hook(self._leave, always_call=True)
        try:
            yield
        finally:
            hook.remove()

    def _enter(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        if self.is_elsewhere():
            return
        if self._call is not None:
            self._call.inside.extend([None] * (module is self._call.module))
        elif self._counts(module):
            try:
                self._begin(module, args, keywords_of(sys._getframe(1)))
            except Exception as bug:
                self.recording.stopped.bug = bug
                raise

    def _counts(self, module: nn.Module) -> bool:
        known = not self.models or any(module is model for model in self.models)
        return known and self.recording.ledger.phase not in AGAIN

    def _begin(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.recording.enter_inputs(named_inputs(module, args, kwargs))
        given = [*tensors_in(args), *tensors_in(kwargs)]
        self._call = ModelCall(module, [node_of(tensor) for tensor in given], [])
        if self._environment is None:
            rows = [self.recording.ledger.row_of(tensor) for tensor in given]
            self._environment = environment(module, [row for row in rows if row is not None])

    def _leave(self, module: nn.Module, args: Any, output: Any) -> None:
        call = self._call
        if self.is_elsewhere() or call is None or module is not call.module:
            return
        if call.inside:
            call.inside.pop()
            return
        self._call = None
        try:
            self._end(call, list(tensors_in(output)))
        except Exception as bug:
            self.recording.stopped.bug = bug
            raise

    def _end(self, call: ModelCall, tensors: list[Tensor]) -> None:
        recording = self.recording
        recording.enter_outputs(tensors)
        self.outputs.update(dict.fromkeys(recording.ledger.rows_of(tensors)))
        if torch.is_grad_enabled():
            recording.enter_saved(tensors, call.made_before)
