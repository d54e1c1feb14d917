"""The module witness: global forward hooks that follow the run into and out of each module.

Global hooks, because they also see modules that are created in forward, and because
`nn.TransformerEncoderLayer` leaves its fused path when hooks are attached to its submodules.
"""

from __future__ import annotations

import sys
import threading
import weakref
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

from attntrace.capture.attention import FUSABLE, Call, Visited
from attntrace.capture.fence import is_innermost
from attntrace.capture.ledger import Ledger, Row
from attntrace.capture.source import caller
from attntrace.capture.structure import tensors_in
from attntrace.capture.tap import Tap, Taps
from attntrace.capture.witnesses import CallWitness
from attntrace.record import Witness

HOOK: tuple[Witness, ...] = ("hook",)
UNWATCHABLE = "its Python-level calls are left unwatched, since watching could change what runs"
WATCHED = "asks whether it is watched, and was: it may run other kernels when it is not"


class Visit:
    """One call of one module; a `ModuleRecord` in the making."""

    __slots__ = (
        "asks", "attention", "depth", "module", "note", "outputs", "parameters", "path", "start", "torchs_own", "type",
    )  # fmt: skip

    def __init__(self, module: nn.Module, path: str, depth: int, start: int) -> None:
        self.path, self.depth, self.start = path, depth, start
        self.module: nn.Module | None = module
        self.type = type(module).__name__
        self.parameters = 0
        self.asks = watching_changes(module)
        self.outputs: tuple[int, ...] = ()
        self.note: str | None = None
        self.attention: Call | None = None
        self.torchs_own = type(module).__module__.startswith("torch.")


class ModuleWitness:
    """Sees where modules begin and end, what they return, and the taps."""

    def __init__(self, ledger: Ledger, calls: CallWitness) -> None:
        self.ledger, self.calls = ledger, calls
        self.parameters: dict[int, tuple[str, int]] = {}
        """Path and number of scalars of each parameter, by identity."""
        self._paths: weakref.WeakKeyDictionary[nn.Module, str] = weakref.WeakKeyDictionary()
        self._taken: Counter[str] = Counter()
        self.visits: list[Visit] = []
        self._open: list[Visit] = []
        self.muted = False
        """Whether a module is run that is not to be noted."""
        self._thread = threading.get_ident()

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Hook every module of this thread; unhook in any case."""
        before = register_module_forward_pre_hook(self._enter)
        after = register_module_forward_hook(self._leave, always_call=True)
        try:
            yield
        finally:
            before.remove()
            after.remove()

    def adopt(self, root: nn.Module, prefix: str = "") -> None:
        """Take in the modules, parameters and buffers of a tree, under their paths."""
        adopt = self.ledger.storages.adopt
        for path, module in root.named_modules(prefix=prefix):
            if isinstance(module, (Tap, Taps)):
                continue
            self._paths[module] = path
            for name, parameter in module.named_parameters(path, recurse=False):
                life = adopt(parameter, "parameter", name)
                if life is not None and life.owner == "parameter":  # not made in this very run
                    self.parameters[id(parameter)] = (path, parameter.numel())
            for name, buffer in module.named_buffers(path, recurse=False):
                adopt(buffer, "buffer", name)

    def forget(self) -> None:
        """Take down what is to be known of the modules, and let go of them."""
        below: Counter[str] = Counter()
        for path, scalars in self.parameters.values():
            parts = path.split(".") if path else []
            for depth in range(len(parts) + 1):
                below[".".join(parts[:depth])] += scalars
        for visit in self.visits:
            visit.parameters = below[visit.path]
            visit.module = None
        for row in self.ledger.rows:
            row.inside = row.inside is not None

    def _enter(self, module: nn.Module, args: Any) -> None:
        if type(module) is Tap or self._elsewhere():
            return
        if self.ledger.phase == "backward":  # checkpointing runs it again
            self.ledger.phase = "recompute"
        visit = Visit(module, self._path(module), len(self._open), len(self.ledger.ops))
        self.visits.append(visit)
        self._open.append(visit)
        if isinstance(module, FUSABLE):
            moded = self.calls.watching and is_innermost(self.calls) is False
            begun = Visited(visit.path, visit.start, moded)
            visit.attention = self.calls.attention.entered(module, args, begun)
        self._step_into(visit)

    def _elsewhere(self) -> bool:
        """Return whether another thread calls (backward on a GPU has its own), or nothing counts."""
        return self.muted or (
            threading.get_ident() != self._thread and self.ledger.phase == "forward"
        )

    def _path(self, module: nn.Module) -> str:
        known = self._paths.get(module)
        if known is None:  # made in forward, or closed over by a function
            above = f"{self.ledger.path}." if self.ledger.path else ""
            known = f"{above}<{type(module).__name__}>"
            self._taken[known] += 1
            number = self._taken[known]
            known = known if number == 1 else f"{known}{number}"
            self.adopt(module, known)
        return known

    def _step_into(self, visit: Visit | None) -> None:
        """Make `visit` the innermost module; None is the caller of the outermost."""
        self.ledger.path = visit.path if visit else ""
        self.calls.inside = visit if visit and visit.torchs_own else None
        asks = visit.asks if visit else False
        done = self.calls.watch(not asks)
        if visit and asks:
            visit.note = UNWATCHABLE if done else WATCHED

    def _leave(self, module: nn.Module, args: Any, output: Any) -> None:
        if self._elsewhere():
            return
        if type(module) is Tap:
            row = self.ledger.row_of(output)
            if row is not None:
                row.tap, row.inside = module, None
            return
        try:
            self._close(module, args, output)
        except Exception as bug:
            self.calls.stopped.bug = bug
            raise

    def _close(self, module: nn.Module, args: Any, output: Any) -> None:
        if not any(visit.module is module for visit in self._open):
            return
        visit = self._open.pop()
        while visit.module is not module:  # an error skipped its hook
            visit.module = None
            visit = self._open.pop()
        if visit.attention is not None:
            visit.attention.end = len(self.ledger.ops)
        error = sys.exception()
        if output is None and error is not None:
            self.calls.stopped.at_module(error, visit.path)
        above = self._open[-1] if self._open else None
        again = self.ledger.phase == "recompute" and above is None
        if again:
            self.ledger.phase = "backward"
        visit.outputs = tuple(row.index for row in self._outputs(visit, args, output))
        visit.module = None
        self._step_into(above)
        if again:
            self.calls.watch(False)

    def _outputs(self, visit: Visit, args: Any, output: Any) -> list[Row]:
        """Return the rows of what a module returned; new rows where only this hook saw them."""
        above = self._open[-1] if self._open else None
        rows: list[Row] = []
        unseen: list[Row] = []
        for number, tensor in enumerate(tensors_in(output)):
            row = self.ledger.row_of(tensor)
            if row is None:
                row = self._unseen(visit, args, number, tensor)
                unseen.append(row)
            if row.seen_by[:1] != HOOK:
                row.seen_by = HOOK + row.seen_by
            if row.inside is visit:
                row.inside = above if above and above.torchs_own else None
            rows.append(row)
        if unseen:
            self.ledger.settle(unseen[0], visit.start)
        return rows

    def _unseen(self, visit: Visit, args: Any, number: int, tensor: Tensor) -> Row:
        """Enter a tensor that only this hook and the dispatcher saw."""
        row = self.ledger.add_row(tensor, visit.type, visit.start, tuple(tensors_in(args)))
        row.kind, row.site, row.output, row.inside = "module", caller(), number, visit
        row.seen_by = ("dispatch",)
        return row


def watching_changes(module: nn.Module) -> bool:
    """Return whether a module may run other kernels because its Python-level calls are watched.

    Torch's own modules that ask have nothing to lose in training or with grad: their fused paths
    are for inference alone (see the docs of `nn.MultiheadAttention`).
    """
    if not asks_if_watched(type(module)):
        return False
    torchs_own = type(module).__module__.startswith("torch.")
    needs_grad = torch.is_grad_enabled() and any(p.requires_grad for p in module.parameters())
    return not (torchs_own and (module.training or needs_grad))


_ASKS: weakref.WeakKeyDictionary[type, bool] = weakref.WeakKeyDictionary()
"""Weak: a class that `torch.nn.utils.parametrize` makes for one module holds that module."""


def asks_if_watched(kind: type) -> bool:
    """Return whether a module's forward looks at `has_torch_function`.

    Such a forward runs other kernels under an active function mode: `nn.MultiheadAttention` and
    `nn.TransformerEncoder(Layer)` leave their fused path, and their output bits differ.
    """
    asks = _ASKS.get(kind)
    if asks is None:
        code = getattr(getattr(kind, "forward", None), "__code__", None)
        names = code.co_names if code else ()
        asks = _ASKS[kind] = any(name.startswith("has_torch_function") for name in names)
    return asks
