"""The arithmetic of sizes: what a formula such as `heads*(past+tokens)` means and is worth.

Whole numbers, names, + - * //, ceil(a/b) and brackets, read letter by letter and never by eval.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

Formula = int | str | tuple["Formula", str, "Formula"]
"""A number, a name, or two formulas and what is done with them."""
LETTERS, DEEP, LARGEST = 300, 32, 2**63 - 1
"""The longest text, the most brackets inside each other, and the largest number in one."""
_SPACE = re.compile(r"\s*")
_TOKEN = re.compile(
    r"(?P<number>[0-9]+(?:_[0-9]+)*)"
    r"|(?P<ceil>ceil\s*\()"
    r"|(?P<name>[^\W\d][\w.]*(?:\[[^\]]*\][\w.]*)*)"
    r"|(?P<mark>//|\.\.\.|[-+*/(),])"
)
_BINARY: dict[str, Callable[[int, int], int]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "//": lambda a, b: a // b,
    "/": lambda a, b: -(-a // b),
}
"""`/` stands in `ceil(a/b)` alone."""
_EXACT = {"+": operator.add, "-": operator.sub, "*": operator.mul}
_TIGHT = {"+": 1, "-": 1, "*": 2, "//": 2, "/": 2}


class UnreadableError(ValueError):
    """A text that is no formula, no shape or no bound: what was expected, and at which letter."""

    def __init__(self, text: str, at: int, said: str) -> None:
        shown = text if len(text) <= LETTERS else f"{text[:40]}..."
        super().__init__(f"{shown!r}, letter {at + 1}: {said}")


def evaluate(formula: str, sizes: Mapping[str, int]) -> int | None:
    """Return what the text of a formula is worth.

    None where it has a name that `sizes` lacks, divides by zero, or is no formula.
    """
    size = sizes.get(formula)
    if size is not None:
        return size
    if formula.isdecimal():
        return int(formula)
    tree = _known(formula)
    try:
        return None if tree is None else worth(tree, sizes)
    except (KeyError, ZeroDivisionError):
        return None


def names_in(formula: str) -> tuple[str, ...]:
    """Return the names that the text of a formula has, each once, in order."""
    return tuple(dict.fromkeys(one["name"] for one in _TOKEN.finditer(formula) if one["name"]))


def formula_of(text: str) -> Formula:
    """Return the formula that a text is. Raises UnreadableError."""
    reader = Reader(text)
    formula = reader.sum()
    reader.expect("", "an operator such as * was expected")
    return formula


def worth(formula: Formula, sizes: Mapping[str, int]) -> int:
    """Return what a formula comes to. KeyError with a name that has no size; ZeroDivisionError."""
    if isinstance(formula, tuple):
        left, sign, right = formula
        return _BINARY[sign](worth(left, sizes), worth(right, sizes))
    return sizes[formula] if isinstance(formula, str) else formula


def exactly(formula: Formula, sizes: Mapping[str, int]) -> Fraction:
    """Return what a formula comes to where nothing is rounded. Raises as `worth` does."""
    if isinstance(formula, tuple):
        left, sign, right = formula
        one, two = exactly(left, sizes), exactly(right, sizes)
        return one / two if sign in ("//", "/") else Fraction(_EXACT[sign](one, two))
    return Fraction(sizes[formula] if isinstance(formula, str) else formula)


def written(formula: Formula) -> str:
    """Return the text of a formula, with no more brackets than it needs."""
    if not isinstance(formula, tuple):
        return str(formula)
    left, sign, right = formula
    text = f"{_inside(left, _TIGHT[sign])}{sign}{_inside(right, _TIGHT[sign] + 1)}"
    return f"ceil({text})" if sign == "/" else text


def _inside(formula: Formula, least: int) -> str:
    """Return the text of an operand, in brackets where it binds looser than `least`."""
    loose = isinstance(formula, tuple) and formula[1] != "/" and _TIGHT[formula[1]] < least
    return f"({written(formula)})" if loose else written(formula)


@lru_cache(maxsize=4096)
def _known(text: str) -> Formula | None:
    try:
        return formula_of(text)
    except UnreadableError:
        return None


class Token(NamedTuple):
    """One word of a text, "" at its end, and where it begins and ends."""

    text: str
    start: int
    end: int
    kind: str | None = None


class Reader:
    """Recursive descent over the words of a text; whoever reads several goes on where one ended."""

    def __init__(self, text: str) -> None:
        self.text, self.deep = text, 0
        if len(text) > LETTERS:
            raise UnreadableError(text, LETTERS, f"{LETTERS} letters at most were expected")
        self.before = Token("", 0, 0)
        self.next = self._token(0)

    def _token(self, at: int) -> Token:
        space = _SPACE.match(self.text, at)
        start = space.end() if space else at
        found = _TOKEN.match(self.text, start)
        if found is None:
            if start < len(self.text):
                said = f"a size or a whole number was expected, got {self.text[start]!r}"
                raise UnreadableError(self.text, start, said)
            return Token("", start, start)
        return Token(found[0], start, found.end(), found.lastgroup)

    def advance(self) -> Token:
        """Return the word that is next, and go on to the one behind it."""
        self.before, self.next = self.next, self._token(self.next.end)
        return self.before

    def refused(self, expected: str) -> UnreadableError:
        """Return the error of something else being next than was expected."""
        got = f"got {self.next.text!r}" if self.next.text else "but the text ends"
        fix = "; // divides" if self.next.text == "/" else ""
        return UnreadableError(self.text, self.next.start, f"{expected}, {got}{fix}")

    def expect(self, mark: str, expected: str = "") -> None:
        """Go on behind a mark. Raises UnreadableError where something else is next."""
        if self.next.text != mark:
            raise self.refused(expected or f"{mark!r} was expected")
        if mark:
            self.advance()

    def sum(self) -> Formula:
        """Read products, added up from the left."""
        formula = self.product()
        while self.next.text in ("+", "-"):
            formula = (formula, self.advance().text, self.product())
        return formula

    def product(self) -> Formula:
        """Read factors, multiplied and divided from the left."""
        formula = self.factor()
        while self.next.text in ("*", "//"):
            formula = (formula, self.advance().text, self.factor())
        return formula

    def factor(self) -> Formula:
        """Read a number, a name, or what stands in brackets."""
        if self.next.text == "(" or self.next.kind == "ceil":
            return self._bracketed()
        if self.next.kind == "name" and self.next.text != "_":
            return self.advance().text
        if self.next.kind != "number":
            raise self.refused("a size or a whole number was expected")
        if int(self.next.text) > LARGEST:
            raise self.refused(f"a number up to {LARGEST:,} was expected")
        return int(self.advance().text)

    def _bracketed(self) -> Formula:
        if self.deep == DEEP:
            raise self.refused(f"no more than {DEEP} brackets inside each other were expected")
        self.deep += 1
        if self.advance().kind == "ceil":
            above = self.product()
            self.expect("/")
            formula: Formula = (above, "/", self.factor())
        else:
            formula = self.sum()
        self.expect(")")
        self.deep -= 1
        return formula
