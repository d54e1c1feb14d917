"""From what the user wrote below `expect:` to expectations, with every problem at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from attntrace.errors import Problem, SettingsError, nearest
from attntrace.notation.dtypes import dtype_of
from attntrace.spec.document import EXPECT, Setting
from attntrace.spec.expect.bounds import BYTES, COUNT, bound_of
from attntrace.spec.expect.dims import dims_of, without_worth
from attntrace.spec.expect.model import (
    DtypeOf,
    Expectation,
    KernelIs,
    NoWarnings,
    ShapeOf,
    Within,
)
from attntrace.spec.problems import as_yaml

NBYTES = ("peak_memory", "training_peak_memory", "saved_for_backward")
COUNTS = ("parameters", "flops")
KERNELS = ("none", "math", "flash", "efficient", "cudnn", "fused")
"""What `kernel` may be: no fused one, PyTorch's own steps, or one of the fused."""
_FILES = ("file", "preset", "")
"""Where it may stand; "" is a mapping of its own."""
IN_A_FILE = "what a run must be stands in a YAML file; in Python, call trace.assert_matches({...})"


def expectations(*mappings: Mapping[str, Any]) -> tuple[Expectation, ...]:
    """Return what mappings such as {"q": ["batch", "tokens", 64]} expect, as `expect:` has it.

    A shape may also be a tuple, or a text: "batch tokens 64".

    Raises:
        SettingsError: with every problem at once.

    """
    given = (one for mapping in mappings for one in _flat(mapping, EXPECT))
    found, problems = read(Setting(path, value, "", "") for path, value in given)
    if problems:
        raise SettingsError(problems)
    return found


def _flat(mapping: Mapping[str, Any], above: str) -> Iterator[tuple[str, Any]]:
    for key, value in mapping.items():
        path = f"{above}.{key}"
        if isinstance(value, Mapping) and value:
            yield from _flat(value, path)
        else:
            yield path, value


def without_expected(layer: Iterable[Setting], expected: list[Setting]) -> list[Setting]:
    """Return the settings of one source; what it expects goes to `expected`."""
    settings = list[Setting]()
    for setting in layer:
        is_expected = setting.path.partition(".")[0] == EXPECT
        (expected if is_expected else settings).append(setting)
    return settings


def read(
    settings: Iterable[Setting], sizes: Mapping[str, int] | None = None
) -> tuple[tuple[Expectation, ...], list[Problem]]:
    """Return what settings below `expect` ask for, and what is wrong with them.

    `sizes` are those of the block, of which expressions are made; None where only a run knows.
    """
    found, problems = list[Expectation](), list[Problem]()
    for setting in settings:
        name = setting.path[len(EXPECT) + 1 :]
        if name in _PARTS and setting.value in (None, {}, [], ()):
            continue
        try:
            if setting.origin not in _FILES:
                raise ValueError(IN_A_FILE)  # noqa: TRY301 - told as the others are
            one = _of(name, setting.value, setting.where)
        except ValueError as error:
            said = [str(error)]
        else:
            said = [] if sizes is None else list(dict.fromkeys(_without_worth(one, sizes)))
            found.append(one)
        problems += [Problem(setting.path, why + _meant(name), setting.where) for why in said]
    return tuple(found), problems


def _without_worth(one: Expectation, sizes: Mapping[str, int]) -> Iterator[str]:
    """Yield why dimensions of an expected shape have no value."""
    if isinstance(one, ShapeOf):
        yield from filter(None, (without_worth(dim, sizes) for dim in one.dims))


def _of(name: str, value: Any, where: str) -> Expectation:
    """Return what one entry expects. ValueError where it means nothing."""
    word, dot, below = name.partition(".")
    if not dot and word in _SINGLE:
        return _SINGLE[word](name, value, where)
    if word in _SINGLE:
        raise ValueError(f"{word} is a single entry, with nothing below it; leave {below!r} out")
    if not dot and word in _PARTS:
        got = as_yaml(value)
        raise ValueError(f"an entry such as {_PARTS[word]} was expected below it, got {got}")
    if word == "dtype":
        return DtypeOf(name=name, where=where, tensor=below, dtype=_dtype(value))
    tensor = below if word == "tensors" else name
    return ShapeOf(name=name, where=where, tensor=tensor, dims=dims_of(value))


def _meant(name: str) -> str:
    """Return what is said besides of a wrong entry that is no tensor's, but nearly a word's."""
    known = name.partition(".")[0] in {*_SINGLE, *_PARTS}
    near = get_close_matches(name, _SINGLE, n=1, cutoff=0.8)
    hint = f"; {name!r} is read as a tensor, did you mean {near[0]!r}?" if near else ""
    return "" if known else hint


def _within(name: str, value: Any, where: str) -> Within:
    if isinstance(value, float) and value.is_integer():  # 1e9
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | str):
        such_as = BYTES if name in NBYTES else COUNT
        said = f"a bound such as {such_as} was expected, got {as_yaml(value)}"
        raise ValueError(said)  # noqa: TRY004 - as others
    bound = bound_of(str(value), in_bytes=name in NBYTES)
    return Within(name=name, where=where, bound=bound)


def _kernel(name: str, value: Any, where: str) -> KernelIs:
    given = value if isinstance(value, list | tuple) and value else [value]
    kernels = tuple(str(one).partition(" ")[0] for one in given)  # of "flash (cpu)" the first
    for kernel in kernels:
        if kernel not in KERNELS:
            raise ValueError(f"no kernel {kernel!r}; {nearest(kernel, KERNELS)}")
    return KernelIs(name=name, where=where, kernels=kernels)


def _warnings(name: str, value: Any, where: str) -> NoWarnings:
    if value not in ("none", [], ()):
        raise ValueError(
            f"warnings may be none, got {as_yaml(value)}; what is meant so is named in run.allow"
        )
    return NoWarnings(name=name, where=where)


def _dtype(value: Any) -> str:
    found = dtype_of(str(value) if type(value).__module__ == "torch" else value)
    if found is None:
        raise ValueError("a number format such as float32 was expected, got nothing")
    return found


_SINGLE: dict[str, Callable[[str, Any, str], Expectation]] = {
    **dict.fromkeys((*NBYTES, *COUNTS), _within), "kernel": _kernel, "warnings": _warnings,
}  # fmt: skip
_PARTS = {
    "": "q: [batch, tokens, 64]", "dtype": "scores: float32", "tensors": "q: [batch, tokens, 64]",
}  # fmt: skip
"""Where other entries stand: below `expect` itself, `dtype` and `tensors`."""
