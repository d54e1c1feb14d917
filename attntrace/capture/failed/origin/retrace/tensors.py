"""The shape of a tensor that a constructor makes, with what each size was written as."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from attntrace.capture.failed.origin.retrace.values import UNKNOWN, Sizes, Value, plain

_CREATES = ("zeros", "ones", "empty", "rand", "randn", "full", "normal", "randint")
_KEEPS = frozenset({
    "tril", "triu", "cos", "sin", "exp", "log", "sqrt", "rsqrt", "reciprocal", "neg", "abs",
    "clone", "detach", "contiguous", "to", "float", "double", "half", "bfloat16", "bool", "int",
    "long", "type", "cuda", "cpu", "requires_grad_", "normal_", "uniform_", "zero_", "fill_",
    "trunc_normal_", "xavier_uniform_", "xavier_normal_", "kaiming_uniform_", "kaiming_normal_",
    "constant_", "zeros_", "ones_", "orthogonal_", "mul", "mul_", "add", "add_", "sub", "div",
    "div_", "pow", "eq", "ne", "logical_not", "clamp", "masked_fill", "masked_fill_",
    "zeros_like", "ones_like", "empty_like", "rand_like", "randn_like", "full_like",
})  # fmt: skip
"""Functions and methods that give a tensor of the shape that the first has."""
_SHAPES = ("view", "reshape", "new_zeros", "new_ones", "new_empty", "new_full")


def made(name: str, args: tuple[list[Value], dict[str, Value]]) -> Value | None:
    """Return what a function of torch's makes; None where its shape is not known."""
    given, first = args[0], args[0][0] if args[0] else None
    if name in _CREATES:
        if name in ("normal", "randint"):
            shaped = [one for one in given if type(one.what) in (tuple, list)]
            given = shaped[:1]
        given = given[:1] if name == "full" else given
        return _of_sizes([args[1]["size"]] if "size" in args[1] else given)
    if name in ("arange", "linspace", "eye"):
        return _counted(name, given)
    if name in ("outer", "ger", "einsum"):
        return _outer([one for one in given if isinstance(one.what, Sizes)])
    if name in _KEEPS and first is not None and isinstance(first.what, Sizes):
        return first
    if first is not None and isinstance(first.what, Sizes):
        return method_of_tensor(first.what, name, (given[1:], args[1]))
    return None


def method_of_tensor(tensor: Sizes, name: str, args: tuple[list[Value], dict[str, Value]]) -> Value:
    """Return what a method of a tensor gives, as far as its shape is known."""
    sizes, numbers = list(tensor.sizes), [plain(one) for one in args[0]]
    rank = len(sizes)
    if name in _KEEPS:
        return Value(tensor)
    if name in _SHAPES:
        return _of_sizes(args[0]) or Value()
    if name == "unsqueeze" and numbers and type(numbers[0]) is int:
        sizes.insert(numbers[0] % (rank + 1), Value(1, "1"))
        return Value(Sizes(tuple(sizes)))
    if name in ("t", "T"):
        return Value(Sizes(tensor.sizes[::-1]))
    if name in ("transpose", "swapaxes") and len(numbers) == 2 and UNKNOWN not in numbers:
        one, other = numbers[0] % rank, numbers[1] % rank
        sizes[one], sizes[other] = sizes[other], sizes[one]
        return Value(Sizes(tuple(sizes)))
    return Value()


def _of_sizes(given: Sequence[Value]) -> Value | None:
    if len(given) == 1 and type(given[0].what) in (tuple, list):
        given = [one if isinstance(one, Value) else Value(one, str(one)) for one in given[0].what]
    return Value(Sizes(tuple(given))) if given else None


def _counted(name: str, given: Sequence[Value]) -> Value | None:
    if name == "eye" or (name == "arange" and len(given) == 1):
        many = list(given[:2]) * (2 if name == "eye" and len(given) == 1 else 1)
        return Value(Sizes(tuple(many)))
    numbers = [plain(one) for one in given]
    if name == "linspace" and len(given) > 2:
        return Value(Sizes((given[2],)))
    if not 2 <= len(numbers) <= 3 or any(type(one) not in (int, float) for one in numbers):
        return None
    begin, end, step = (*numbers, 1)[:3]
    text = f"{name}({', '.join(one.text for one in given)})"
    of = tuple(pair for one in given for pair in one.of)
    size = Value(ceil((end - begin) / step) if step else UNKNOWN, text, given[1].place, of)
    return Value(Sizes((size,)))


def _outer(given: Sequence[Value]) -> Value | None:
    if len(given) == 2 and all(len(one.what.sizes) == 1 for one in given):
        return Value(Sizes((given[0].what.sizes[0], given[1].what.sizes[0])))
    return None
