"""The arithmetic of sizes: Python is the oracle of what a formula is worth."""

from __future__ import annotations

import pytest
from hypothesis import given

from attntrace.notation.arithmetic import (
    LARGEST,
    LETTERS,
    UnreadableError,
    evaluate,
    formula_of,
    worth,
    written,
)
from tests.notation.formulas import FORMULAS, SIZES, TEXTS, by_python


@given(FORMULAS)
def test_what_is_written_reads_the_same(formula):
    """A formula is its own text read again, with the value that Python gives that text."""
    text = written(formula)
    assert formula_of(text) == formula
    assert evaluate(text, SIZES) == by_python(text)


@given(TEXTS)
def test_any_text_is_a_formula_or_refused(text):
    """No text does anything but read, the same again when written, or raise the one error."""
    try:
        formula = formula_of(text)
    except UnreadableError:
        return
    assert formula_of(written(formula)) == formula


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("heads*", "letter 7: a size or a whole number was expected, but the text ends"),
        ("", "letter 1: a size or a whole number was expected, but the text ends"),
        ("batch heads", "letter 7: an operator such as * was expected, got 'heads'"),
        ("3heads", "letter 2: an operator such as * was expected, got 'heads'"),
        ("1.5", "letter 2: a size or a whole number was expected, got '.'"),
        ("-heads", "letter 1: a size or a whole number was expected, got '-'"),
        ("chan/heads", "letter 5: an operator such as * was expected, got '/'; // divides"),
        ("(chan + 3", "letter 10: ')' was expected, but the text ends"),
        ("ceil(chan+1/2)", "letter 10: '/' was expected, got '+'"),
        ("chan %heads", "letter 6: a size or a whole number was expected, got '%'"),
        ("_+1", "letter 1: a size or a whole number was expected, got '_'"),
        (
            "2*9223372036854775808",
            f"letter 3: a number up to {LARGEST:,} was expected, got '9223372036854775808'",
        ),
        (
            "(" * 33,
            "letter 33: no more than 32 brackets inside each other were expected, got '('",
        ),
    ],
)
def test_what_is_no_formula(text, said):
    """The message has the text, the letter that is wrong, what was expected and what is there."""
    with pytest.raises(UnreadableError) as caught:
        formula_of(text)
    assert str(caught.value) == f"{text!r}, {said}"
    assert evaluate(text, {}) is None


def test_long_texts():
    """As many letters as are allowed are read; one more is refused, and the message is short."""
    text = "1" + "+1" * ((LETTERS - 1) // 2)
    assert worth(formula_of(text), {}) == len(text) // 2 + 1
    with pytest.raises(UnreadableError) as caught:
        formula_of("1" * 3000)
    assert str(caught.value) == f"'{'1' * 40}...', letter 301: 300 letters at most were expected"
