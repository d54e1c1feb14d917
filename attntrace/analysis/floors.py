"""Quotients that are rounded: patches, strides, windows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

Values = tuple[int, ...]
ENOUGH = 3
"""Runs that differ, without which a step and a shift are a guess."""
_WIDEST = 256
"""The largest step that is looked for."""


class Floor(NamedTuple):
    """times*((name + shift)//step), with every pair of step and shift that fits the runs."""

    name: str
    times: int
    pairs: tuple[tuple[int, int], ...]
    """The simplest first."""

    @property
    def text(self) -> str:
        """The formula of the simplest pair."""
        step, shift = self.pairs[0]
        if shift == 0:
            inner = f"{self.name}//{step}"
        elif shift == step - 1:
            inner = f"ceil({self.name}/{step})"
        else:
            inner = f"({self.name}{shift:+d})//{step}"
        if self.times == 1:
            return inner
        return f"{self.times}*{inner if inner.startswith('ceil') else f'({inner})'}"

    def deciding(self, size: int) -> int:
        """Return another value of the symbol, at which the pairs that fit come apart best."""
        step = max(step for step, _ in self.pairs)
        pairs = self.pairs[:_WIDEST]

        def largest_group(value: int) -> int:
            worth = [(value + shift) // step for step, shift in pairs]
            return max(worth.count(one) for one in set(worth))

        return min(range(size + 1, size + 2 * step + 2), key=largest_group)


def floors(atoms: Sequence[tuple[tuple[str, ...], Values]], values: Values) -> Iterator[Floor]:
    """Yield the symbols that a dimension is a rounded quotient of: alone, or times the step."""
    for names, sizes in atoms:
        found = sorted(_pairs(sizes, values), key=_plainness)
        if found:
            yield Floor(names[0], 1, tuple(found))
        steps = {step for step in range(2, _WIDEST + 1) if all(v % step == 0 for v in values)}
        for step in sorted(steps):
            whole = tuple(v // step for v in values)
            padded = [pair for pair in _pairs(sizes, whole, [step]) if pair[1] in (0, step - 1)]
            if padded:
                yield Floor(names[0], step, tuple(padded))


def _plainness(pair: tuple[int, int]) -> tuple[int, int, int]:
    """Order: no shift, then rounded up, then the smallest shift."""
    step, shift = pair
    return (0 if shift == 0 else 1 if shift == step - 1 else 2, abs(shift), step)


def _pairs(
    sizes: Values, values: Values, steps: Sequence[int] = range(2, _WIDEST + 1)
) -> Iterator[tuple[int, int]]:
    """Yield each step and shift with value = (size + shift)//step in every run."""
    both = sorted(set(zip(sizes, values, strict=True)))
    if len(both) < ENOUGH:
        return
    (low, least), (high, most) = both[0], both[-1]
    for step in steps:
        if not (most - least - 1) * step < high - low < (most - least + 1) * step:
            continue
        first = max(step * v - s for s, v in both)
        last = min(step * v - s for s, v in both) + step - 1
        yield from ((step, shift) for shift in range(first, last + 1) if abs(shift) < 2 * step)
