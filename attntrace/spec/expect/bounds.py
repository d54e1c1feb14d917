"""A number that is expected: `<= 6 MiB`, `> 0`, `13_568`."""

from __future__ import annotations

import operator
import re
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor

from attntrace.notation.arithmetic import LARGEST, LETTERS, UnreadableError
from attntrace.notation.units import UNITS, nbytes_of

SIGNS = {
    "<=": operator.le, "<": operator.lt, ">=": operator.ge, ">": operator.gt, "==": operator.eq,
}  # fmt: skip
_PARTS = (
    re.compile(r"\s*(<=|>=|==|<|>|=|)\s*"),
    re.compile(
        r"((?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+(?:_[0-9]+)*)(?:\.[0-9]+)?(?:[eE]\+?[0-9]{1,2})?)\s*"
    ),
    re.compile(r"([A-Za-z]*)\s*"),
    re.compile(r"()$"),
)
"""A sign, a number, a unit and the end of the text."""
COUNT, BYTES = "13_568 or '<= 14_000'", "'<= 6 MiB' or 5_158_400"


@dataclass(frozen=True, slots=True)
class Bound:
    """What a whole number must be, against another one."""

    sign: str
    """One of `SIGNS`."""
    limit: int
    written: str
    """The number as it was given, with its unit: "6 MiB"."""

    def holds(self, number: int) -> bool:
        """Return whether a number is within the bound."""
        return bool(SIGNS[self.sign](number, self.limit))

    def __str__(self) -> str:
        return f"{self.sign} {self.written}"


def bound_of(text: str, *, in_bytes: bool) -> Bound:
    """Return the bound that a text is: a sign, == where there is none, a number, of bytes a unit.

    Raises:
        UnreadableError: anything else; the message says what was expected, and at which letter.

    """
    expected = f"a bound such as {BYTES if in_bytes else COUNT} was expected"
    if len(text) > LETTERS:
        raise UnreadableError(text, LETTERS, expected)
    found, at = list[str](), 0
    for part in _PARTS:
        match = part.match(text, at)
        if match is None:
            raise UnreadableError(text, at, expected)
        found.append(match[1])
        at = match.end()
    sign, number, unit, _ = found
    try:
        return _bound(sign, number.replace("_", "").replace(",", ""), unit, in_bytes=in_bytes)
    except ValueError as error:
        raise UnreadableError(text, text.index(number), str(error)) from None


def _bound(sign: str, number: str, unit: str, *, in_bytes: bool) -> Bound:
    """Return the bound. ValueError where the number and its unit are not of its kind."""
    if unit and not in_bytes:
        raise ValueError(f"this is a count and has no unit; write {number}")
    if unit and unit not in UNITS:
        nbytes_of(number + unit)  # raises, with the unit that was meant
    unit = unit or "B"
    amount = Fraction(number) * UNITS[unit]
    sign = "==" if sign in ("", "=") else sign
    if amount > LARGEST:
        raise ValueError(f"a number up to {LARGEST:,} was expected")
    if sign == "==" and amount.denominator > 1:
        raise ValueError(f"a whole number was expected, got {float(amount):,}; write <= or >=")
    limit = ceil(amount) if sign in (">=", "<") else floor(amount)
    whole, dot, rest = number.partition(".")
    written = f"{int(whole):,}{dot}{rest}" if whole.isdecimal() else number
    return Bound(sign, limit, f"{written} {unit}" if in_bytes else written)
