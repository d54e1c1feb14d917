"""From how a dimension moves over several runs to the formula that it follows.

Never from equal values: a symbol stands for a dimension only where both have moved alike. A form
with numbers to fit, such as `2*chan+7`, would fit almost anything over two runs, and is looked for
where there are three.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import combinations_with_replacement
from math import gcd, isqrt
from typing import NamedTuple

from attntrace.analysis.floors import Floor, floors
from attntrace.notation.arithmetic import evaluate

Values = tuple[int, ...]
Sizes = Sequence[Mapping[str, int]]
ENOUGH = 3
"""Runs that a form with numbers to fit takes."""
_MOST = 64
"""The largest number that such a form is thought to have."""
_PAIRED = 24
"""The most symbols of which sums of products are looked for: their number grows with its cube."""
_FEW = 8
"""The largest in a quotient of symbols."""
_BELIEVED = (0, _MOST, 4)
"""The largest coefficient of so many symbols that two runs are enough for."""
_HALVES = (2, 4)
"""What two runs are enough to divide by."""


class Term(NamedTuple):
    """A product of symbols, and its value in each run."""

    names: tuple[str, ...]
    values: Values


def formula(values: Sequence[int], sizes: Sizes) -> str | None:
    """Return the simplest formula for one dimension, from its value and all sizes in each run.

    A dimension that never moves is its number. None where nothing fits. Of formulas that the runs
    cannot tell apart it is the one with fewer symbols, in the order of `sizes`.
    """
    return Formulas(sizes).of(tuple(values))


class Formulas:
    """The formulas of the dimensions of the same runs; what is found serves the next."""

    def __init__(self, sizes: Sizes) -> None:
        self.sizes, self.runs = sizes, len(sizes)
        self.kinds = len({tuple(of.values()) for of in sizes})
        atoms: dict[Values, Term] = {}
        for name in sizes[0] if sizes else ():
            values = tuple(of.get(name, -1) for of in sizes)
            if min(values) > 0 and len(set(values)) > 1:
                atoms.setdefault(values, Term((name,), values))
        self.atoms = list(atoms.values())
        self.by_values = {atom.values: atom for atom in self.atoms}
        self.order = {atom.names[0]: place for place, atom in enumerate(self.atoms)}
        self._known: dict[Values, str | None] = {}

    def of(self, values: Values) -> str | None:
        """Return the formula of a dimension with these values; None where nothing fits."""
        if len(set(values)) == 1:
            return str(values[0])
        if values not in self._known:
            self._known[values] = next(self._found(values), None)
        return self._known[values]

    def prefer(self, text: str, values: Values) -> None:
        """Let a dimension that moves so be called as the author calls it, if no symbol does."""
        unnamed = values not in self._known and values not in self.by_values
        if unnamed and len(set(values)) > 1:
            worth = [evaluate(text, of) for of in self.sizes]
            if worth == [*values]:
                self._known[values] = text

    def learn(self, of: str, values: Values) -> None:
        """Let a formula that was found be a part of others, as `tokens//4` of `4*(tokens//4)`."""
        if values not in self.by_values and min(values) > 0:
            atom = Term((of if of.isidentifier() else f"({of})",), values)
            self.atoms.append(atom)
            self.by_values[values] = atom
            self.order[atom.names[0]] = len(self.order)
            for built in ("_ones", "_two", "_pairs"):
                vars(self).pop(built, None)
            self._known = {known: text for known, text in self._known.items() if text}

    def floor(self, values: Values) -> Floor | None:
        """Return the quotient that is rounded and fits best, with all that fit as well."""
        return next(floors(self.atoms, values), None)

    def _found(self, values: Values) -> Iterator[str]:
        whole = min(values) > 0
        if whole:
            yield from self._products(values)
            yield from self._quotients(values)
        yield from self._plain_sums(values)
        if self.kinds >= ENOUGH:
            yield from self._sums(values)
            yield from (found.text for found in floors(self.atoms, values))
            yield from self._squares(values)

    def _products(self, values: Values) -> Iterator[str]:
        """Yield products of up to four symbols, with a coefficient.

        Over two runs the more symbols there are to choose from, the less is a coefficient believed.
        """
        for times, names in (*_multiples(values, self._ones), *_multiples(values, self._pairs)):
            if self.kinds >= ENOUGH or times <= _BELIEVED[len(names)]:
                yield self._text(times, names)
        for names, by in (*self.atoms, *self._two):
            if all(v % b == 0 for v, b in zip(values, by, strict=True)):
                rest = tuple([v // b for v, b in zip(values, by, strict=True)])
                for known in (self._ones, self._pairs):
                    for times, product in _multiples(rest, known):
                        if self.kinds < ENOUGH and times > 1:
                            continue
                        yield self._text(times, (*names, *product))

    def _quotients(self, values: Values) -> Iterator[str]:
        """Yield `3*chan//2` and `experts//groups`."""
        for known in (self._ones, self._pairs):
            for over in range(2, _MOST + 1) if self.kinds >= ENOUGH else _HALVES:
                more = tuple([v * over for v in values])
                yield from (f"{self._text(*of)}//{over}" for of in _multiples(more, known, over))
        for (name,), by in self.atoms:
            more = tuple([v * b for v, b in zip(values, by, strict=True)])
            enough = self.kinds >= ENOUGH
            for known in (self._ones, self._pairs) if enough else (self._ones,):
                yield from (
                    f"{self._text(*of)}//{name}"
                    for of in _multiples(more, known)
                    if of[0] <= (_FEW if enough else 1) and name not in of[1]
                )

    def _text(self, times: int, names: Sequence[str]) -> str:
        return _product(times, sorted(names, key=self.order.__getitem__))

    @cached_property
    def _two(self) -> list[Term]:
        return [_times(a, b) for a, b in combinations_with_replacement(self.atoms, 2)]

    @cached_property
    def _ones(self) -> dict[Values, list[Term]]:
        """The symbols by how they move."""
        return _by_ratio(self.atoms)

    @cached_property
    def _pairs(self) -> dict[Values, list[Term]]:
        """Products of two symbols by how they move."""
        return _by_ratio(self._two)

    def _plain_sums(self, values: Values) -> Iterator[str]:
        """Yield `past+tokens`, `tokens+1` and `rows-patch`."""
        for atom in self.atoms:
            rest = tuple(v - a for v, a in zip(values, atom.values, strict=True))
            other = self.by_values.get(rest)
            if other is not None:
                yield _sum([(1, atom.names), (1, other.names)])
            most = _MOST if len(set(values)) >= ENOUGH else 1
            if len(set(rest)) == 1 and abs(rest[0]) <= most:
                yield _sum([(1, atom.names), (rest[0], ())])
            other = self.by_values.get(tuple(-r for r in rest))
            if other is not None and len(set(values)) >= ENOUGH:
                yield _sum([(1, atom.names), (-1, other.names)])

    def _sums(self, values: Values) -> Iterator[str]:
        """Yield sums of two products with coefficients, then of three symbols."""
        one = Term((), (1,) * self.runs)
        singles = self.atoms
        doubles = self._two if len(singles) <= _PAIRED else []
        for left, right in (
            *((a, one) for a in (*singles, *doubles)),
            *((a, b) for n, a in enumerate(singles) for b in singles[n + 1 :]),
            *((a, b) for a in singles for b in doubles),
            *((a, b) for n, a in enumerate(doubles) for b in doubles[n + 1 :]),
        ):
            found = _fitted(values, left.values, right.values)
            if found is not None:
                yield _sum([(found[0], left.names), (found[1], right.names)])
        for atom in singles:
            rest = tuple(v - a for v, a in zip(values, atom.values, strict=True))
            for left, right in ((a, b) for n, a in enumerate(singles) for b in singles[n + 1 :]):
                found = _fitted(rest, left.values, right.values)
                if found is not None:
                    parts = ((found[0], left.names), (found[1], right.names))
                    yield _sum([(1, atom.names), *parts])

    def _squares(self, values: Values) -> Iterator[str]:
        """Yield `(2*window-1)*(2*window-1)`."""
        if min(values) > 0 and all(isqrt(v) ** 2 == v for v in values):
            side = self.of(tuple(map(isqrt, values)))
            if side is not None:
                yield f"({side})*({side})"


def _key(values: Values) -> Values:
    """Return values without what they all share: the same for all multiples of one product."""
    shared = gcd(*values)
    return tuple([value // shared for value in values])


def _times(one: Term, other: Term) -> Term:
    values = tuple([a * b for a, b in zip(one.values, other.values, strict=True)])
    return Term(one.names + other.names, values)


def _by_ratio(terms: Iterable[Term]) -> dict[Values, list[Term]]:
    found: dict[Values, list[Term]] = {}
    for term in terms:
        found.setdefault(_key(term.values), []).append(term)
    return found


def _multiples(
    values: Values, products: Mapping[Values, list[Term]], over: int = 1
) -> list[tuple[int, tuple[str, ...]]]:
    """Return the products that a dimension is a whole multiple of, the smallest multiple first.

    With `over`, which the dimension was multiplied by, no multiple that could be reduced.
    """
    found = [
        (values[0] // term.values[0], term.names)
        for term in products.get(_key(values), ())
        if values[0] % term.values[0] == 0 and gcd(values[0] // term.values[0], over) == 1
    ]
    return sorted(found, key=lambda one: one[0])


def _fitted(values: Values, left: Values, right: Values) -> tuple[int, int] | None:
    """Return whole numbers a, b with values = a*left + b*right in every run."""
    if len(set(zip(values, left, right, strict=True))) < ENOUGH:
        return None
    for n in range(1, len(values)):
        det = left[0] * right[n] - left[n] * right[0]
        if det:
            a, rest = divmod(values[0] * right[n] - values[n] * right[0], det)
            b, other = divmod(left[0] * values[n] - left[n] * values[0], det)
            if rest or other or not (a and b) or max(abs(a), abs(b)) > _MOST:
                return None
            fits = all(v == a * x + b * y for v, x, y in zip(values, left, right, strict=True))
            return (a, b) if fits else None
    return None


def _product(times: int, names: Sequence[str]) -> str:
    """Return "3*chan", "chan", "3"."""
    return "*".join([*([str(times)] if times != 1 or not names else []), *names])


def _sum(parts: list[tuple[int, tuple[str, ...]]]) -> str:
    """Return "past+tokens", "2*tokens-1", "heads*(nope_head_dim+head_dim)"."""
    parts = sorted((part for part in parts if part[0]), key=lambda part: part[0] < 0)
    shared = [name for name in parts[0][1] if all(name in names for _, names in parts)][:1]
    if shared:
        inside = [(times, _without(names, shared[0])) for times, names in parts]
        return f"{shared[0]}*({_sum(inside)})"
    first, *rest = parts
    more = "".join(f"{'-' if n < 0 else '+'}{_product(abs(n), names)}" for n, names in rest)
    return f"{_product(first[0], first[1])}{more}"


def _without(names: tuple[str, ...], name: str) -> tuple[str, ...]:
    at = names.index(name)
    return names[:at] + names[at + 1 :]
