"""The two modes: what the author called, and what the dispatcher ran.

The first use of a plain `TorchDispatchMode` subclass imports `torch._dynamo`, which takes as long as
`import torch`; a subclass whose `_should_skip_dynamo` returns False does not (the class documents
that override). Inside `__torch_dispatch__` we call nothing that could be compiled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from torch import Tensor, autograd, is_inference_mode_enabled
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from attntrace.capture.arguments import NOTED, arguments_of
from attntrace.capture.attention import SDPA, AttentionWitness
from attntrace.capture.backward import BackwardWitness
from attntrace.capture.drafts import Row
from attntrace.capture.fence import is_innermost, taken_apart, unasked
from attntrace.capture.ledger import Ledger
from attntrace.capture.source import caller
from attntrace.capture.stopped import Stopped
from attntrace.capture.structure import PLAIN, flat_tensors, tensors_in
from attntrace.record import Witness

BOTH: tuple[Witness, ...] = ("function", "dispatch")
CALL_ONLY: tuple[Witness, ...] = ("function",)
BACKWARD = frozenset({Tensor.backward, autograd.backward, autograd.grad})


class CallWitness(TorchFunctionMode):
    """Sees each Python-level call as the author wrote it: the outermost call, never its inside."""

    def __init__(self, ledger: Ledger, stopped: Stopped) -> None:
        super().__init__()
        self.ledger, self.stopped = ledger, stopped
        self.attention = AttentionWitness()
        self.watching = False
        self.inside: object = None

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Run the call; enter a row for each tensor that it returns."""
        ledger = self.ledger
        if ledger.dispatching:  # an op that C++ called: no one wrote this call
            return func(*args, **(kwargs or {}))
        if self.stopped.error is not None:
            self.stopped.forget_handled()
        start = len(ledger.ops)
        try:
            if func in BACKWARD:
                with self._backward(args):
                    out = func(*args, **(kwargs or {}))
            else:
                out = func(*args, **kwargs) if kwargs else func(*args)
        except BaseException as error:
            self.stopped.at_call(error, func, op_name(func), (args, kwargs))
            raise
        try:
            if isinstance(out, Tensor):
                row = ledger.add_row(out, op_name(func), start, flat_tensors(args, kwargs))
                row.count = 0
                if (noted := NOTED.get(func)) is not None:
                    row.arguments = arguments_of(noted, args, kwargs)
                self._sign(row, start)
                ledger.settle(row, start)
            elif type(out) not in PLAIN and isinstance(out, (tuple, list)):
                self._enter(out, start, func, flat_tensors(args, kwargs))
            if func is SDPA:
                ran = start, len(ledger.ops)
                with unasked():
                    self.attention.attended(args, kwargs or {}, ledger.path, ran)
        except Exception as bug:
            self.stopped.bug = bug
            raise
        return out

    @contextmanager
    def _backward(self, args: tuple[Any, ...]) -> Iterator[None]:
        """Follow a backward that the author called."""
        ledger, self.watching = self.ledger, False  # a function mode is off while it handles a call
        roots = flat_tensors(args, None)
        try:
            with ledger.in_phase("backward"), BackwardWitness(ledger).attached(roots):
                yield
        finally:
            self.watching = True

    def _enter(self, out: Sequence[Any], start: int, func: Any, given: list[Tensor]) -> None:
        """Enter each tensor of a structure that a call returned."""
        rows = [
            self.ledger.add_row(tensor, op_name(func), start, given) for tensor in tensors_in(out)
        ]
        for number, row in enumerate(rows):
            self._sign(row, start)
            row.output, row.count = number, len(rows)
        if rows:
            self.ledger.settle(rows[0], start)

    def _sign(self, row: Row, start: int) -> None:
        """Note who saw a row, and where in the author's code the call stands."""
        row.seen_by = BOTH if len(self.ledger.ops) > start else CALL_ONLY
        row.site, row.inside = caller(3), self.inside

    def watch(self, wanted: bool) -> bool:
        """Step onto the mode stack or off it; return whether that could be done.

        It cannot where the author's own function mode lies above this one: the stack is a stack.
        """
        if wanted and not self.watching:
            self.__enter__()  # type: ignore[no-untyped-call]
            self.watching = True
        elif self.watching and not wanted and is_innermost(self):
            self.stop()
        return self.watching == wanted

    def stop(self) -> None:
        """Leave the mode stack, where the run is over and whatever was above has been left."""
        if self.watching:
            self.__exit__(None, None, None)  # type: ignore[no-untyped-call]
            self.watching = False


class Runner(Protocol):
    """What runs each op instead of the witness."""

    def call(self, func: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Return what the op makes of its arguments."""


class Spans(Protocol):
    """What is told of the spans that profilers show."""

    def at_span(self, func: Any, args: tuple[Any, ...]) -> None:
        """Note that a span begins or ends."""


class KernelWitness(TorchDispatchMode):
    """Sees each op that the dispatcher runs, with every tensor that it returns."""

    supports_higher_order_operators = True
    spans: Spans | None = None

    def __init__(self, ledger: Ledger, stopped: Stopped, runner: Runner | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.ledger, self.stopped, self.runner = ledger, stopped, runner

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Run the op and enter it."""
        if self.spans is not None and func.namespace == "profiler":
            self.spans.at_span(func, args)
        if is_inference_mode_enabled():
            with self:
                whole = taken_apart(func, args, kwargs or {})
            if whole is not NotImplemented:
                return whole
        ledger = self.ledger
        ledger.dispatching = True
        try:
            if self.runner is not None:
                out = self.runner.call(func, args, kwargs or {})
            else:
                out = func(*args, **kwargs) if kwargs else func(*args)
        except BaseException as error:
            self.stopped.at_op(error, func, (args, kwargs))
            raise
        finally:
            ledger.dispatching = False
        try:
            ledger.add_op(func, args, kwargs, out)
        except Exception as bug:
            self.stopped.bug = bug
            raise
        return out


_CALLS: dict[Any, str] = {}


def op_name(func: Any) -> str:
    """Return "matmul" for torch.matmul, "getitem" for x[0], "T" for the property x.T."""
    name = _CALLS.get(func)
    if name is None:
        name = getattr(func, "__name__", type(func).__name__)
        if name == "__get__":
            name = getattr(getattr(func, "__self__", None), "__name__", name)
        name = _CALLS[func] = name.strip("_") if name.startswith("__") else name
    return name
