"""A call that failed, as data: what the explainers read, change and hand back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from attntrace.analysis.diagnosis.python.facts import About
from attntrace.record import Shape, Step

Key = int | str
"""Which argument: its place in order, or its keyword."""
Span = tuple[int, int]
"""Where in a text a part of it begins and ends, in letters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """One tensor as a call got it, or as it would be after `steps`."""

    name: str
    """The author's expression for it, "k.transpose(-2, -1)"; "self.qkv.weight" for a parameter."""
    shape: Shape | None
    stride: Shape | None = None
    dtype: str = "float32"
    device: str = "cpu"
    requires_grad: bool = False
    is_leaf: bool = True
    row: int | None = None
    """The row that shows it, None if none does."""
    path: str | None = None
    """Of a parameter or a buffer its path from the outermost module: "encoder.0.qkv.weight"."""
    least: int | None = None
    most: int | None = None
    """Of whole numbers that were looked at: the smallest and the largest. None if not looked at."""
    steps: tuple[tuple[str, tuple[Any, ...]], ...] = ()
    """Methods to call on it, one after the other, before it is handed over."""

    @property
    def rank(self) -> int:
        """How many dimensions it has; 0 for a nested tensor, which has no shape."""
        return len(self.shape or ())

    def then(self, method: str, *args: Any) -> Self:
        """Return what a method of torch.Tensor makes of it: `k.then("transpose", -2, -1)`."""
        return replace(self, steps=(*self.steps, (method, args)))

    def of_shape(self, *shape: int) -> Self:
        """Return another, contiguous tensor in its place, as when it is built otherwise."""
        return replace(self, shape=shape, stride=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    """A module of torch's own that was called."""

    type: str
    """"MultiheadAttention"."""
    text: str
    """As the author wrote it, "self.attn"."""
    path: str
    """From the outermost module, "layers.0.attn"."""
    settings: dict[str, Any]
    """What its constructor takes, with the values that it has: {"embed_dim": 64, ...}."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedCall:
    """The innermost call of the author's that raised, with everything it was given.

    Tensors are `Given` wherever they are: in `args`, in `kwargs`, and in lists, tuples and dicts
    there. A torch.dtype is the text "torch.float16", a device "cuda:0", a module `Called`; other
    objects are their type's name in angle brackets: "<Rope>".
    """

    op: str
    """The function or method as torch names it: "matmul" also for `@`, "add" for `+`, "getitem".

    Inside a module of torch's own the function below it ("linear", "layer_norm", "embedding",
    "conv2d"), with its weight and bias as `Given`; the type's name ("LSTM", "MultiheadAttention")
    where the module refused before any function. "unpack" for `a, b = x`; "assert" and "raise"
    for a check, (tensor, dim, sign, number) where it compares a size; "" for code that is no
    call of torch's.
    """
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    text: str = ""
    """The failing expression as the author wrote it; "" where there is no source."""
    spans: dict[Key, Span] = field(default_factory=dict)
    """Where in `text` each argument stands that is written there; those of a method call count
    from the tensor, which is 0."""
    module: Called | None = None
    """The module of torch's that the call is, or is inside of."""
    error: str = "RuntimeError"
    message: str = ""
    about: About | None = None
    """What else is known, where plain Python refused: no tensor, an argument, a name, a check."""
    origin: tuple[Step, ...] = ()
    """The lines that made what is wrong, where they are known already."""

    def __getitem__(self, key: Key) -> Any:
        """Return an argument by place or keyword; None if it was not given."""
        if isinstance(key, str):
            return self.kwargs.get(key)
        return self.args[key] if -len(self.args) <= key < len(self.args) else None

    def argument(self, place: int, name: str, default: Any = None) -> Any:
        """Return an argument that may stand in order or have a keyword."""
        if place < len(self.args):
            return self.args[place]
        return self.kwargs.get(name, default)

    def key(self, place: int, name: str) -> Key:
        """Return how an argument was given: its place, else its keyword."""
        return place if place < len(self.args) else name

    def tensors(self) -> list[tuple[Key, Given]]:
        """Return every tensor with the argument that it is, or is a part of."""
        named: list[tuple[Key, Any]] = [*enumerate(self.args), *self.kwargs.items()]
        return [(key, tensor) for key, value in named for tensor in given_in(value)]

    def given(self, **changes: Any) -> Self:
        """Return the call with other arguments by keyword; what stood in order goes to `at`."""
        return replace(self, kwargs={**self.kwargs, **changes})

    def at(self, changes: Mapping[Key, Any]) -> Self:
        """Return the call with some arguments replaced: `call.at({1: k.then("transpose", 0, 1)})`."""
        args = tuple(changes.get(place, value) for place, value in enumerate(self.args))
        named = {key: value for key, value in changes.items() if isinstance(key, str)}
        return replace(self, args=args, kwargs={**self.kwargs, **named})

    def code(self, texts: Mapping[Key, str]) -> str | None:
        """Return the author's expression with some arguments written otherwise.

        None where one of them does not stand in it.
        """
        if not self.text or any(key not in self.spans for key in texts):
            return None
        code = self.text
        for key in sorted(texts, key=lambda key: self.spans[key], reverse=True):
            begin, end = self.spans[key]
            code = code[:begin] + texts[key] + code[end:]
        return code


def given_in(value: Any) -> Iterator[Given]:
    """Yield the tensors of an argument, in order."""
    if isinstance(value, Given):
        yield value
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from given_in(item)
    elif isinstance(value, dict):
        yield from given_in([*value.values()])


@dataclass(frozen=True, slots=True, kw_only=True)
class Culprit:
    """A size, or a number of axes, that does not fit: where it is, so that it can be followed to where it was set."""

    tensor: Given
    dim: int | None
    """Counted from the front, 0 to rank - 1; None where it is the number of axes that is wrong."""
    setting: str | None = None
    """Of a parameter: the constructor argument of its module that sets this size, "in_features"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A change that may make the call work. It is offered only once it was tried."""

    said: str
    """One sentence with numbers: "give `qkv` in_features=147: nn.Linear(147, 192)"."""
    code: str | None = None
    """What to write instead of the failing expression."""
    call: FailedCall | None = None
    """The changed call, which is run on meta; None where only the rule itself can tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """Why a call failed."""

    rule: str
    """What does not hold, in one sentence with the two numbers that had to agree."""
    culprits: tuple[Culprit, ...] = ()
    """The likelier to be wrong first."""
    proposals: tuple[Proposal, ...] = ()
    """The likeliest first."""
