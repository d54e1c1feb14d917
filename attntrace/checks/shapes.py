"""A model's shapes against what a test expects of them, in names that the test gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeGuard

from attntrace import record
from attntrace.analysis.contract.rows import rows_named
from attntrace.api import Trace, trace
from attntrace.api.matching import assert_holds
from attntrace.notation.arithmetic import Formula
from attntrace.spec import Expectation, expectations
from attntrace.spec.expect.dims import ANY, REST
from attntrace.spec.expect.model import ShapeOf


def assert_shapes(
    model: Callable[..., Any],
    inputs: Any,
    expected: Mapping[str, Any],
    *,
    sizes: Mapping[str, int] | None = None,
) -> Trace:
    """Call a model once and raise AssertionError with all that is not as expected; return the trace.

    A mapping of `inputs` is keyword arguments, a tuple positional ones, and anything else is the
    only argument. `expected` has what `expect:` has in a YAML file: `{"x": "batch tokens dim",
    "scores": "batch 4 tokens tokens"}`. What stands there for an input names its dimensions.

    A name stands for what `sizes` says, else for the dimension of the input that it names, for
    the author's own `B, T, C = x.shape`, or for the first dimension that it is expected of alone;
    everywhere else it must be that size.

    Raises:
        ForwardError: the call raised.
        SettingsError: `expected` cannot be read.

    """
    __tracebackhide__ = True
    args, kwargs = _arguments(inputs)
    asked = expectations(expected)
    shapes = [one for one in asked if isinstance(one, ShapeOf)]
    words = _words_of_inputs((model, args, kwargs), shapes, dict(sizes or {}))
    found = trace(model, *args, axes=words or True, **kwargs)
    known = {**found.facts.sizes, **(sizes or {})}
    for name, size in _alone(shapes, found.facts):
        known.setdefault(name, size)
    facts = replace(found.facts, sizes=known)
    assert_holds([_without_unknown(one, known) for one in asked], facts)
    return found


def _arguments(inputs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if isinstance(inputs, Mapping):
        return (), dict(inputs)
    return (inputs if isinstance(inputs, tuple) else (inputs,)), {}


def _words_of_inputs(
    call: tuple[Any, tuple[Any, ...], dict[str, Any]], shapes: list[ShapeOf], known: dict[str, int]
) -> dict[str, tuple[str, ...]]:
    """Return what the dimensions of inputs are called, "" for one whose size is not that of the name."""
    from attntrace.capture.inputs import named_inputs

    expected = {one.tensor: one.dims for one in shapes}
    words = {}
    for name, tensor in named_inputs(*call):
        shape = tuple(tensor.shape)
        asked = expected.get(f"{name}@input", expected.get(name, ()))
        dims = list(_dims(asked, len(shape)))
        if dims:
            words[name] = tuple(
                dim if _is_name(dim) and known.setdefault(dim, size) == size else ""
                for dim, size in zip(dims, shape, strict=True)
            )
    return words


def _alone(shapes: list[ShapeOf], facts: record.Trace) -> Iterator[tuple[str, int]]:
    """Yield each name that stands alone for a dimension, and the size of that dimension.

    Dimensions that the run calls by another of these names come last, so that they decide least.
    """
    found = [
        (dim, size, symbol)
        for one in shapes
        for row in rows_named(facts, one.tensor)
        for dim, (size, symbol) in zip(_dims(one.dims, len(_axes(row))), _axes(row), strict=False)
        if _is_name(dim)
    ]
    names = {name for name, _, _ in found}
    found.sort(key=lambda one: one[2] != one[0] and one[2] in names)
    yield from ((name, size) for name, size, _ in found)


def _axes(row: record.TensorRecord) -> list[tuple[int, str | None]]:
    """Return the size of each axis of a row, and what it is called."""
    shape = row.shape or ()
    return list(zip(shape, row.axes or (None,) * len(shape), strict=True))


def _dims(dims: tuple[Formula, ...], rank: int) -> tuple[Formula, ...]:
    """Return what is expected of each of so many axes; nothing where their number is another."""
    if REST in dims:
        at, more = dims.index(REST), rank - len(dims) + 1
        dims = (*dims[:at], *(ANY,) * more, *dims[at + 1 :])
    return dims if len(dims) == rank else ()


def _without_unknown(one: Expectation, known: Mapping[str, int]) -> Expectation:
    """Return an expectation with `_` for each name that has no size: no row has so many axes."""
    if not isinstance(one, ShapeOf):
        return one
    dims = [ANY if _is_name(dim) and dim not in known else dim for dim in one.dims]
    return replace(one, dims=tuple(dims))


def _is_name(dim: Formula) -> TypeGuard[str]:
    return isinstance(dim, str) and dim not in (ANY, REST)
