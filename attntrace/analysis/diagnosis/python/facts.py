"""What is known of a failure that is no call of torch's, beyond the tensors of its call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """The call that gave a value."""

    text: str
    """"self.lstm(x)"."""
    called: str
    """"self.lstm"."""
    type: str = ""
    """Of a module its class, "LSTM"."""
    target: str = ""
    """The name that the value was assigned to; "" where it was used at once."""
    returns: str | None = None
    """Of a function without a `return` the name that its last line assigns, "" for none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoTensor:
    """A value where a tensor is wanted."""

    name: str
    """As the author wrote it."""
    type: str
    """"tuple", "NoneType", "ndarray"."""
    value: Any = None
    """As `FailedCall` has arguments; None where nobody knows it any more."""
    parts: tuple[tuple[str, Any], ...] = ()
    """Of a dict or an object its tensors, by what is written after its name: ".logits"."""
    key: int | str | None = None
    """Which argument it is; None where something was asked of it."""
    asked: str = ""
    """What was asked of it: ".shape", "[:, -1]", "()"."""
    made: Made | None = None
    parameter_of: str = ""
    """The function that has it as a parameter with a default: "forward(self, x, mask=None)"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """What a function takes."""

    name: str
    kind: str = "plain"
    """"plain", "keyword" for one that has none but its name, "*" or "**"."""
    default: str | None = None
    """Its text; None where it must be given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Takes:
    """A function that was given too few arguments, too many, or others."""

    name: str
    """"Block.forward"."""
    called: str
    """"self.block"."""
    type: str
    """Of a module its class."""
    parameters: tuple[Parameter, ...]
    """Without `self`."""
    placed: int
    """How many were given in order."""
    named: tuple[str, ...]
    """Which were given by keyword."""
    is_torchs: bool = False
    known: tuple[str, ...] = ()
    """Names that stand for something where it is called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lacks:
    """Something that was asked for what it has not."""

    owner: str
    """"self", "torch"; "" for a name that is not defined."""
    type: str
    name: str
    alike: tuple[str, ...] = ()
    """What it has of like names, the likeliest first."""
    has: tuple[str, ...] = ()
    """All keys of a container, in order."""
    is_key: bool = False
    """Whether it is a key or a place of a container, and no attribute."""
    is_early: bool = False
    """Whether it is a module before `super().__init__()`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One part of a condition."""

    text: str
    value: Any
    """As `FailedCall` has arguments."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A condition of the author's own, which did not hold, or held before a `raise`."""

    text: str
    sides: tuple[Side, ...]
    """What it compares, and what that is made of."""
    is_wanted: bool
    """Whether it had to hold, as that of an `assert`."""
    sizes: tuple[Side, ...] = ()
    """Numbers among the sides that are sizes of the call's tensors: `text` is the number's, `value`
    (place of the tensor, dim)."""
    settings: tuple[str, ...] = ()
    """Texts of sides that the module was built with, "self.dim"."""


About = NoTensor | Takes | Lacks | Checked
