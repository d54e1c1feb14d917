"""torch.einsum: which letter has which sizes, in which of the operands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

from attntrace.analysis.diagnosis.call import Culprit, Explained, FailedCall, Given, Proposal
from attntrace.analysis.diagnosis.products.equation import dots, fits, named, ranked, spelled
from attntrace.analysis.diagnosis.products.factors import unsplit_width
from attntrace.analysis.diagnosis.products.unsplit import unsplit
from attntrace.analysis.diagnosis.shapes import broadcast
from attntrace.analysis.diagnosis.text import counted, divided, listed, plain, quoted, sized
from attntrace.analysis.diagnosis.writing import amended

_FREE = "nmijklxyzabcdefghopqrstuvw"


def explain(call: FailedCall) -> Explained | None:
    """Return why an einsum failed: operands, ranks, letters of the result, then sizes."""
    if plain(call.op) != "einsum" or not isinstance(call[0], str):
        return None
    given = call.args[1:]
    listing = len(given) == 1 and isinstance(given[0], (list, tuple))
    operands = [*(given[0] if listing else given)]
    if not operands or not all(isinstance(x, Given) and x.shape is not None for x in operands):
        return None
    sum_ = _Sum(call, call[0].replace(" ", ""), operands, listing)
    return sum_.count() or sum_.ranks() or sum_.result() or sum_.sizes()


@dataclass(frozen=True, slots=True)
class _Sum:
    """An equation and its operands."""

    call: FailedCall
    equation: str
    operands: list[Given]
    listing: bool
    """Whether the operands stand in a list."""

    @property
    def terms(self) -> list[str]:
        return self.equation.split("->")[0].split(",")

    @property
    def output(self) -> str | None:
        return self.equation.split("->")[1] if "->" in self.equation else None

    def count(self) -> Explained | None:
        """Return what is said of an equation for more or fewer operands."""
        terms, given = self.terms, self.operands
        if len(terms) == len(given):
            return None
        return Explained(
            rule=f"{quoted(self.call)} names {counted(len(terms), 'operand')} in "
            f'"{self.call[0]}", but is given {len(given)}: '
            f"{listed(tensor.name for tensor in given)}.",
        )

    def ranks(self) -> Explained | None:
        """Return what is said of a term with another number of letters than axes."""
        for place, (term, tensor) in enumerate(zip(self.terms, self.operands, strict=True)):
            letters = term.replace("...", "")
            if not ranked(term, tensor.rank):
                return Explained(
                    rule=f'`"{term}"` names {counted(len(letters), "axis")}, but {tensor.name} has '
                    f"{tensor.rank}: {tensor.shape}.",
                    culprits=(Culprit(tensor=tensor, dim=None),) if tensor.rank else (),
                    proposals=(*self._other_rank(place, letters),),
                )
        return None

    def _other_rank(self, place: int, letters: str) -> Iterator[Proposal]:
        if self.operands[place].rank < len(letters):
            found = unsplit(self.terms, self.operands, place)
            yield from [self._operand(place, *found)] if found else self._widened()
            yield from self._fewer_letters(place, letters)
        else:
            yield from self._more_letters()

    def _misfits(self) -> list[int]:
        pairs = zip(self.terms, self.operands, strict=True)
        return [place for place, (term, x) in enumerate(pairs) if not ranked(term, x.rank)]

    def _widened(self) -> Iterator[Proposal]:
        """Yield all operands that lack one axis with it."""
        misfits = self._misfits()
        for dim in range(len(self.terms[misfits[0]])):
            moved = {place: self.operands[place].then("unsqueeze", dim) for place in misfits}
            shapes = [
                self._shape(place, dim if place in moved else None)
                for place in range(len(self.terms))
            ]
            if fits(self.terms, self.output, shapes) and not self.listing:
                names = listed(self.operands[place].name for place in misfits)
                said = f"give {names} the axis {self.terms[misfits[0]][dim]} that is missing"
                yield amended(
                    self.call, said, {place + 1: tensor for place, tensor in moved.items()}
                )
                return

    def _shape(self, place: int, dim: int | None) -> tuple[int, ...]:
        shape = self.operands[place].shape or ()
        return shape if dim is None else (*shape[:dim], 1, *shape[dim:])

    def _fewer_letters(self, place: int, letters: str) -> Iterator[Proposal]:
        """Yield the equation without a letter that every operand lacks, as without a batch."""
        for letter in letters:
            terms = [term.replace(letter, "") for term in self.terms]
            output = None if self.output is None else self.output.replace(letter, "")
            if self._consistent(terms, output):
                said = f"leave {letter} out, {self.operands[place].name} has no such axis"
                yield self._equation(terms, output, said)
                return

    def _more_letters(self) -> Iterator[Proposal]:
        """Yield the equation with a letter more where an operand has one axis more."""
        misfits, output = self._misfits(), self.output
        known = "".join(dict.fromkeys("".join(self.terms).replace(".", "")))
        first = "ht" if self.operands[misfits[0]].rank > 3 else "tn"
        new = next(letter for letter in first + _FREE if letter not in known)
        for letter in (new, *known):
            for dim in (1, 2, 0, 3, 4):
                terms = [
                    term[:dim] + letter + term[dim:] if place in misfits else term
                    for place, term in enumerate(self.terms)
                ]
                wide = (
                    output
                    if output is None or letter in output
                    else output[:dim] + letter + output[dim:]
                )
                if "." not in "".join(terms) and self._consistent(terms, wide):
                    names = listed(self.operands[place].name for place in misfits)
                    yield self._equation(terms, wide, f"name every axis of {names}")
                    return

    def result(self) -> Explained | None:
        """Return what is said of a letter of the result that no operand has, or that is twice."""
        output = (self.output or "").replace("...", "")
        known = "".join(self.terms)
        for letter in output:
            if letter not in known:
                return Explained(
                    rule=f"The result `{output}` has the axis {letter}, which no operand of "
                    f'`"{self.call[0]}"` has.',
                    proposals=(*self._renamed(letter),),
                )
            if output.count(letter) > 1:
                new = next(name for name in _FREE if name not in known)
                return Explained(
                    rule=f"The result `{output}` has the axis {letter} {output.count(letter)} times: "
                    "each of its axes needs a letter of its own.",
                    proposals=(*self._renamed(new, letter),),
                )
        return None

    def _renamed(self, letter: str, only: str = "") -> Iterator[Proposal]:
        """Yield the equation with a letter of one operand renamed to one of the result's."""
        output = self.output
        if only and output is not None:
            last = output.rindex(only)
            output = output[:last] + letter + output[last + 1 :]
        for place in reversed(range(len(self.terms))):
            term = self.terms[place]
            letters = [*reversed(term.replace(".", ""))]
            for old in only or sorted(letters, key=lambda name: name not in (self.output or "")):
                others = "".join(t for at, t in enumerate(self.terms) if at != place)
                terms = [*self.terms]
                terms[place] = term.replace(old, letter)
                if old in others and self._consistent(terms, output):
                    said = f"call the axis {old} of {self.operands[place].name} {letter}"
                    yield self._equation(terms, output, said)
                    return

    def sizes(self) -> Explained | None:
        """Return what is said of a letter that has two sizes."""
        met: dict[str, tuple[int, int, int]] = {}
        for letter, size, place, dim in self._seen():
            first = met.get(letter)
            if first is None or (first[0] == 1 and first[1] != place):
                met[letter] = (size, place, dim)
            elif size != first[0] and (size != 1 or first[1] == place):
                return self._two_sizes(letter, first, (size, place, dim))
        return self._dots()

    def _dots(self) -> Explained | None:
        """Return what is said of axes under the dots that do not broadcast."""
        pairs = zip(self.terms, self.operands, strict=True)
        dotted = [(x, dots(term, x.shape or ())) for term, x in pairs if "..." in term]
        one, *others = dotted or [(self.operands[0], ())]
        other = next((found for found in others if broadcast(one[1], found[1]) is None), None)
        if other is None:
            return None
        return Explained(
            rule=f'The dots of `"{self.call[0]}"` are {one[1]} in {one[0].name} but {other[1]} in '
            f"{other[0].name}: these do not broadcast.",
            culprits=tuple(Culprit(tensor=x, dim=0) for x, _ in (other, one)),
        )

    def _two_sizes(
        self, letter: str, first: tuple[int, int, int], second: tuple[int, int, int]
    ) -> Explained:
        (size, place, dim), (other_size, other_place, other_dim) = first, second
        one, other = self.operands[place], self.operands[other_place]
        said = [*self._reordered()]
        told = [] if said else [*self._repeated(first, second)]
        return Explained(
            rule=f'The axis {letter} of `"{self.call[0]}"` is {size} in {one.name} '
            f"({sized(one, dim).rsplit(',', 1)[0]}) but {other_size} in {other.name} "
            f"({sized(other, other_dim).rsplit(',', 1)[0]}).",
            culprits=(Culprit(tensor=other, dim=other_dim), Culprit(tensor=one, dim=dim)),
            proposals=(*said, *told, *self._told(letter, first, second)),
        )

    def _reordered(self) -> Iterator[Proposal]:
        """Yield one operand's letters with two swapped, so that they name its axes as they are."""
        for place in reversed(range(len(self.terms))):
            term = self.terms[place]
            for one, other in combinations(range(len(term)), 2):
                swapped = [*term]
                swapped[one], swapped[other] = swapped[other], swapped[one]
                terms = [*self.terms]
                terms[place] = "".join(swapped)
                if "." in term or terms == self.terms or not self._consistent(terms, self.output):
                    continue
                tensor = self.operands[place]
                said = f"swap axes {one} and {other} of {tensor.name}, for `{term}`"
                yield self._operand(place, tensor.then("transpose", one, other), said)
                said = f"or name the axes of {tensor.name} as they are, `{terms[place]}`"
                yield self._equation(terms, self.output, said)
                return

    def _repeated(
        self, first: tuple[int, int, int], second: tuple[int, int, int]
    ) -> Iterator[Proposal]:
        """Yield the smaller operand repeated along a batch or heads."""
        (small, place, dim), (large, *_) = sorted((first, second))
        letter = self.terms[place].replace("...", "")[dim - self.operands[place].rank]
        if "." in self.terms[place] or letter not in (self.output or "") or large % small:
            return
        tensor = self.operands[place]
        times = large // small
        said = f"repeat each of the {small} of {tensor.name} {times} times, {divided(large, small)}"
        text = f"{tensor.name}.repeat_interleave({times}, dim={dim})"
        yield self._operand(place, tensor.then("repeat_interleave", times, dim), said, text)

    def _told(
        self, letter: str, first: tuple[int, int, int], second: tuple[int, int, int]
    ) -> Iterator[Proposal]:
        """Yield what no change of the call can mend: two widths, or two lengths."""
        if len(self.operands) != 2 or first[1] == second[1] or letter in (self.output or ""):
            return
        a, b = (term.replace("...", "") for term in self.terms)
        one, other = self.operands
        sizes = f"{first[0]} in {one.name}, {second[0]} in {other.name}"
        fitted = [*(other.shape or ())]
        fitted[second[2]] = first[0]
        if a.endswith(letter) and b.endswith(letter):
            said = f"build {one.name} and {other.name} with one width ({letter} is {sizes}"
            said += f"{unsplit_width(one.shape or (), other.shape or ())})"
        elif a.endswith(letter) and min(one.rank, other.rank) > 2:
            said = (
                f"keys and values must have the same length ({letter} is {sizes}): take both from "
                "one sequence, and check the order of the arguments, as query, key and value may "
                "be swapped"
            )
        else:
            said = f"make {letter} the same size in both ({sizes})"
        yield Proposal(said=said, call=self._at(second[1], other.of_shape(*fitted)))

    def _seen(self) -> Iterator[tuple[str, int, int, int]]:
        """Yield each letter with its size, the operand's place and the axis."""
        for place, (term, tensor) in enumerate(zip(self.terms, self.operands, strict=True)):
            for letter, dim in named(term, tensor.rank):
                yield letter, (tensor.shape or ())[dim], place, dim

    def _consistent(self, terms: list[str], output: str | None) -> bool:
        """Return whether an equation fits the operands."""
        return fits(terms, output, [tensor.shape or () for tensor in self.operands], exact=True)

    def _equation(self, terms: list[str], output: str | None, said: str) -> Proposal:
        equation = spelled(self.call[0], terms, output)
        code = self.call.code({0: f'"{equation}"'})
        said = f"{said}: `{code or equation}`"
        return Proposal(said=said, code=code, call=self.call.at({0: equation}))

    def _at(self, place: int, tensor: Given) -> FailedCall:
        if not self.listing:
            return self.call.at({place + 1: tensor})
        operands = [*self.operands]
        operands[place] = tensor
        return self.call.at({1: operands})

    def _operand(self, place: int, tensor: Given, said: str, text: str = "") -> Proposal:
        if self.listing:
            return Proposal(said=said, call=self._at(place, tensor))
        return amended(self.call, said, {place + 1: tensor}, {place + 1: text} if text else None)
