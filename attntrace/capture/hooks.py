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
from itertools import takewhile
from types import NoneType
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.utils._python_dispatch import TorchDispatchMode

from attntrace.capture.attention import Call, Visited
from attntrace.capture.below import Below
from attntrace.capture.classes import ModuleClass, batch_first, watching_changes
from attntrace.capture.drafts import Row
from attntrace.capture.fence import is_active, is_innermost, keywords_of, unasked
from attntrace.capture.ledger import Ledger
from attntrace.capture.source import caller
from attntrace.capture.structure import flat_tensors, tensors_in
from attntrace.capture.tap import Tap, Taps
from attntrace.capture.witnesses import CallWitness
from attntrace.record import Witness

HOOK: tuple[Witness, ...] = ("hook",)
UNWATCHABLE = "its Python-level calls are left unwatched, since watching could change what runs"
WATCHED = "asks whether it is watched, and was: it may run other kernels when it is not"


class Visit:
    """One call of one module; a `ModuleRecord` in the making."""

    __slots__ = (
        "asks", "attention", "batch_first", "below", "depth", "inputs", "kind", "module", "note",
        "outputs", "path", "start",
    )  # fmt: skip

    def __init__(
        self, module: nn.Module, kind: ModuleClass, path: str, at: tuple[int, int], below: Below
    ) -> None:
        self.module: nn.Module | None = module
        self.kind, self.path, self.below = kind, path, below
        below.called.add(path)
        self.depth, self.start = at
        """How many modules are around it, and its first op."""
        self.asks = kind.asks and watching_changes(module)
        self.outputs: tuple[int, ...] = ()
        self.note: str | None = None
        self.attention: Call | None = None
        self.batch_first: bool | None = None
        self.inputs: tuple[int, ...] = ()

    @property
    def inside(self) -> Visit | None:
        """What the rows are inside of while it is the innermost one."""
        return self if self.kind.torchs_own else None


class ModuleWitness:
    """Sees where modules begin and end, what they return, and the taps."""

    def __init__(self, ledger: Ledger, calls: CallWitness) -> None:
        self.ledger, self.calls = ledger, calls
        self.parameters: dict[int, tuple[str, int]] = {}
        """Path and number of scalars of each parameter, by identity."""
        self._below = Below(self.parameters)
        self._paths: weakref.WeakKeyDictionary[nn.Module, str] = weakref.WeakKeyDictionary()
        self._kinds: dict[type[nn.Module], ModuleClass] = {}
        self._taken: Counter[str] = Counter()
        self.visits: list[Visit] = []
        self._open: list[Visit] = []
        self.muted = False
        """Whether a module is run that is not to be noted."""
        self._thread = threading.get_ident()
        self.kernels: TorchDispatchMode | None = None
        """What the threads of autograd inherit, and no other thread has."""

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
            if not isinstance(module, (Tap, Taps)):
                self._paths[module] = path
                self._below.adopt(path, module)
        for name, parameter in root.named_parameters(prefix):
            life = adopt(parameter, "parameter", name)
            if life is not None and life.owner == "parameter":  # not made in this very run
                with unasked():
                    scalars = parameter.numel()
                self.parameters[id(parameter)] = (name.rpartition(".")[0], scalars)
        for name, buffer in root.named_buffers(prefix):
            adopt(buffer, "buffer", name)

    def inside_torchs_own(self) -> list[Visit]:
        """Return the modules of torch's own that are running, the outermost first."""
        opened = takewhile(lambda visit: visit.kind.torchs_own, reversed(self._open))
        return [*opened][::-1]

    @property
    def root(self) -> nn.Module | None:
        """The outermost module, None of a function."""
        return next((module for module, path in self._paths.items() if not path), None)

    def forget(self) -> None:
        """Let go of the modules."""
        for visit in self._open:
            visit.module = None

    def _enter(self, module: nn.Module, args: Any) -> None:
        kind = type(module)
        if kind is Tap or self._elsewhere():
            return
        ledger = self.ledger
        if ledger.phase == "backward":  # checkpointing runs it again
            ledger.phase = "recompute"
        path = self._paths.get(module)
        visit = Visit(
            module,
            self._kinds.get(kind) or self._kind(kind),
            self._path(module) if path is None else path,
            (len(self._open), len(ledger.ops)),
            self._below,
        )
        self.visits.append(visit)
        self._open.append(visit)
        if visit.kind.fusable:
            moded = self.calls.watching and is_innermost(self.calls) is False
            begun = Visited(visit.path, visit.start, moded)
            with unasked():
                visit.attention = self.calls.attention.entered(module, args, begun)
        if visit.kind.layered:
            given = flat_tensors(args, keywords_of(sys._getframe(1)))
            visit.batch_first = batch_first(module)
            visit.inputs = tuple(ledger.rows_of(given))
        self._step_into(visit)

    def _elsewhere(self) -> bool:
        """Return whether another thread calls, none of autograd's own, or nothing counts."""
        if threading.get_ident() == self._thread:
            return self.muted
        return self.muted or self.kernels is None or not is_active(self.kernels)

    def _kind(self, kind: type[nn.Module]) -> ModuleClass:
        known = self._kinds[kind] = ModuleClass(kind)
        return known

    def _path(self, module: nn.Module) -> str:
        """Return the path of a module that was made in forward, or closed over by a function."""
        above = f"{self.ledger.path}." if self.ledger.path else ""
        known = f"{above}<{type(module).__name__}>"
        self._taken[known] += 1
        number = self._taken[known]
        known = known if number == 1 else f"{known}{number}"
        self.adopt(module, known)
        return known

    def _step_into(self, visit: Visit | None) -> None:
        """Make `visit` the innermost module; None is the caller of the outermost."""
        calls = self.calls
        if visit is None:
            self.ledger.path, calls.inside, asks = "", None, False
        else:
            self.ledger.path, calls.inside, asks = visit.path, visit.inside, visit.asks
        if asks == calls.watching:
            done = calls.watch(not asks)
            if visit is not None and asks:
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
        visit = self._closed(module)
        if visit is None:
            return
        if visit.attention is not None:
            visit.attention.end = len(self.ledger.ops)
        if output is None and (error := sys.exception()) is not None:
            self.calls.stopped.at_module(error, visit.path)
        above = self._open[-1] if self._open else None
        again = above is None and self.ledger.phase == "recompute"
        if again:
            self.ledger.phase = "backward"
        row = self.ledger.row_of(output) if isinstance(output, Tensor) else None
        if row is not None:
            self._came_out(row, visit, above)
            visit.outputs = (row.index,)
        else:
            visit.outputs = tuple(self._outputs(visit, args, output, above))
        visit.module = None
        self._step_into(above)
        if again:
            self.calls.watch(False)

    def _closed(self, module: nn.Module) -> Visit | None:
        """Take the innermost call of a module off the open ones; None if there is none."""
        opened = self._open
        if opened and opened[-1].module is module:
            return opened.pop()
        if not any(visit.module is module for visit in opened):
            return None
        while opened[-1].module is not module:  # an error skipped its hook
            opened.pop().module = None
        return opened.pop()

    def _outputs(self, visit: Visit, args: Any, output: Any, above: Visit | None) -> Iterator[int]:
        """Yield the rows of what a module returned; new rows where only this hook saw them."""
        unseen: list[Row] = []
        places = _places(output)
        for number, tensor in enumerate(tensors_in(output)):
            row = self.ledger.row_of(tensor)
            if row is None:
                row = self._unseen(visit, args, number, tensor)
                unseen.append(row)
            if row.inside is visit and places is not None:
                row.output, row.count = places[number], len(output)
            self._came_out(row, visit, above)
            yield row.index
        if unseen:
            self.ledger.settle(unseen[0], visit.start)

    def _came_out(self, row: Row, visit: Visit, above: Visit | None) -> None:
        """Note that a module returned a row."""
        if row.seen_by[:1] != HOOK:
            row.seen_by = HOOK + row.seen_by
        if row.inside is visit:
            row.inside = above.inside if above else None

    def _unseen(self, visit: Visit, args: Any, number: int, tensor: Tensor) -> Row:
        """Enter a tensor that only this hook and the dispatcher saw."""
        row = self.ledger.add_row(tensor, visit.kind.name, visit.start, tuple(tensors_in(args)))
        row.kind, row.site, row.output, row.inside = "module", caller(), number, visit
        row.seen_by = ("dispatch",)
        return row


def _places(output: Any) -> list[int] | None:
    """Return where the tensors of a flat tuple are, as of `out, None`; None of anything else."""
    if type(output) is not tuple or any(type(e) not in (Tensor, NoneType) for e in output):
        return None
    return [place for place, element in enumerate(output) if element is not None]
