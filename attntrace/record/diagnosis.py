"""What is said of a forward that failed, and of one that ran and is hardly meant so."""

from __future__ import annotations

from dataclasses import dataclass

from attntrace.record.tensors import Shape

Mark = tuple[int, int]
"""Where in the text of a line an expression begins and ends, in letters."""


TRAPS = (
    "batch-attention", "batch-recurrence", "causal-offset", "heads-attention", "heads-view", "kv-lengths", "mask-fill",
    "mask-inverted", "one-key", "outer-broadcast", "softmax-axis", "tokens-view",
)  # fmt: skip
"""The names of all traps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operand:
    """One tensor that a call was given."""

    name: str
    """The author's own expression for it; of a module's own tensor its path, "norm.weight"."""
    shape: Shape | None
    axes: tuple[str, ...] | None = None
    dtype: str
    device: str
    row: int | None
    """The row that shows it, None for a parameter and for what no row shows."""
    source: str | None = None
    """`file:line` where it was made."""
    holds: str | None = None
    """What is known of its values: "0 to 79"; None where nobody looked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One line of the author's on the way of a wrong size from where it was set."""

    said: str
    """What the line does with it, in one sentence with the number."""
    source: str | None = None
    """`file:line`."""
    line: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fix:
    """One change that makes the call work."""

    said: str
    """What to do, in one sentence with the numbers."""
    code: str | None = None
    """The expression or the line to write instead."""
    tried: str | None = None
    """How it is known to work: "on meta" where the call was run with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What is said of one line: where it is, what it was given, what is wrong, and what to do."""

    op: str | None
    """The call as torch names it, or the module's type; "assert" or "raise" for a check of the
    author's own; None where no call of torch's is known."""
    path: str
    """The module whose forward was running."""
    source: str | None
    line: str | None
    mark: Mark | None = None
    """The expression within `line`."""
    operands: tuple[Operand, ...]
    rule: str | None = None
    """What does not hold, in one sentence with the two numbers; None where nobody knows."""
    origin: tuple[Step, ...] = ()
    """Where the wrong size came from, the nearest first, the line that set it last."""
    fixes: tuple[Fix, ...] = ()
    """The likeliest first."""
    called_from: str | None = None
    """`file:line` of the author's own call, where `source` is in a library."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis(Finding):
    """Where and why a forward stopped."""

    error: str
    """The type of what was raised."""
    message: str

    def __str__(self) -> str:
        place = f" in {self.path}" if self.path else ""
        at = f" at {self.source}" if self.source else ""
        return f"{self.op or 'the forward'} failed{place}{at}: {self.error}: {self.message}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trap(Finding):
    """A call that ran, and hardly does what was meant."""

    name: str
    """What `# attntrace: allow NAME` on its line silences it by."""
    row: int | None
    """The row that the call returned."""

    def __str__(self) -> str:
        at = f" at {self.source}" if self.source else ""
        return f"{self.name}{at}: {self.rule}"
