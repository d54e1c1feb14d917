"""A call and all that it is given once more without memory, and with inputs of other sizes."""

from __future__ import annotations

import ast
import copy
import inspect
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from types import CodeType
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from attntrace.capture.describe import plain, shape_of
from attntrace.capture.inputs import named_inputs

Call = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]
Names = tuple[tuple[str, ...], ...]
"""What the dimensions of each tensor that goes in are called."""


class _WithoutMemory(TorchFunctionMode):
    """Copies tensors that are no parameters, such as those of a cache, to meta."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Return a twin for a copy; let everything else run."""
        del types
        if func is Tensor.__deepcopy__:
            twin = args[1][id(args[0])] = meta_twin(args[0])
            return twin
        return func(*args, **(kwargs or {}))


def meta_twin(tensor: Tensor, shape: tuple[int, ...] | None = None) -> Tensor:
    """Return a tensor on meta of the same format and strides, or of another shape."""
    if shape is not None:
        twin = torch.empty(shape, dtype=tensor.dtype, device="meta")
    else:
        twin = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")
    twin.requires_grad_(tensor.requires_grad)
    return nn.Parameter(twin, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else twin


def on_meta(call: Call) -> Call:
    """Return a copy of a call that allocates nothing and shares nothing with it.

    Raises whatever `copy.deepcopy` does where something cannot be copied.
    """
    subject = call[0]
    owner = subject if isinstance(subject, nn.Module) else getattr(subject, "__self__", None)
    memo: dict[int, Any] = {}
    if isinstance(owner, nn.Module):
        tensors = chain(owner.parameters(), owner.buffers())
        memo = {id(tensor): meta_twin(tensor) for tensor in tensors}
    with _WithoutMemory():
        copied: Call = copy.deepcopy(call, memo)
    return copied


def resized(call: Call, names: Names, sizes: Mapping[str, int]) -> Call:
    """Return a call on meta with the named dimensions of its inputs at these sizes."""
    subject, args, kwargs = call
    memo: dict[int, Any] = {}
    for (_, tensor), axes in zip(inputs_of(call), names, strict=True):
        shape = tuple(sizes.get(axis, size) for axis, size in zip(axes, tensor.shape, strict=True))
        memo[id(tensor)] = meta_twin(tensor, None if shape == tensor.shape else shape)
    with _WithoutMemory():
        args, kwargs = copy.deepcopy((args, kwargs), memo)
    return subject, args, kwargs


def inputs_of(call: Call) -> Iterator[tuple[str, Tensor]]:
    """Yield each tensor that goes in, once, under the name of its parameter."""
    seen = set[int]()
    for name, tensor in named_inputs(*call):
        if id(tensor) not in seen:
            seen.add(id(tensor))
            yield name, tensor


@dataclass(frozen=True, slots=True)
class Dimensions:
    """The dimensions of what goes in: what each is called, and how large it is."""

    names: Names
    sizes: dict[str, int]


def dimensions_of(call: Call, given: Mapping[str, tuple[str, ...]] | None = None) -> Dimensions:
    """Return what the dimensions of the inputs are called: as given, as the forward says, "x.0".

    A name that stands for two sizes is that of the first.
    """
    known = {**unpacked(call[0]), **(given or {})}
    names, sizes = [], dict[str, int]()
    for name, tensor in inputs_of(call):
        shape = plain(shape_of(tensor)) or ()
        words = known.get(name, ())
        axes = []
        for place, size in enumerate(shape):
            word = words[place] if len(words) == len(shape) else ""
            if "*" in word:  # a product, which follows
                axes.append("")
                continue
            fits = word.isidentifier() and word != "_" and sizes.get(word, size) == size
            axes.append(word if fits else f"{name}.{place}")
            sizes[axes[-1]] = size
        names.append(tuple(axes))
    return Dimensions(tuple(names), sizes)


def unpacked(subject: Callable[..., Any]) -> dict[str, tuple[str, ...]]:
    """Return the author's words in `B, T, C = x.shape` of a forward, by parameter."""
    called = subject.forward if isinstance(subject, nn.Module) else subject
    code = getattr(inspect.unwrap(getattr(called, "__func__", called)), "__code__", None)
    return {} if code is None else _words(code)


@lru_cache(maxsize=256)
def _words(code: CodeType) -> dict[str, tuple[str, ...]]:
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(code)))
    except (OSError, TypeError, SyntaxError):
        return {}
    found: dict[str, tuple[str, ...]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple):
            parameter = _whose_shape(node.value)
            words = node.targets[0].elts
            if parameter and all(isinstance(word, ast.Name) for word in words):
                named = tuple(word.id for word in words if isinstance(word, ast.Name))
                found.setdefault(parameter, named)
    return found


def _whose_shape(node: ast.expr) -> str | None:
    """Return "x" for `x.shape` and `x.size()`."""
    if isinstance(node, ast.Call) and not node.args and not node.keywords:
        node, wanted = node.func, "size"
    else:
        wanted = "shape"
    if isinstance(node, ast.Attribute) and node.attr == wanted and isinstance(node.value, ast.Name):
        return node.value.id
    return None
