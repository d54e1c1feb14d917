"""From how a dimension moves to its formula; the oracle is sizes that were not seen."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attntrace.analysis.formulas import Formulas, formula
from attntrace.notation.arithmetic import evaluate, names_in

BASE = {
    "batch": 4, "past": 7, "tokens": 100, "dim": 49, "chan": 64, "heads": 4, "head_dim": 16,
    "window": 9, "image_rows": 225,
}  # fmt: skip
FACTORS = {
    "batch": 2, "past": 3, "tokens": 5, "dim": 7, "chan": 143, "heads": 11, "head_dim": 13,
    "window": 17, "image_rows": 19,
}  # fmt: skip
RUNS = [
    BASE,
    {name: size * FACTORS[name] for name, size in BASE.items()},
    {
        "batch": 11, "past": 25, "tokens": 507, "dim": 350, "chan": 64 * 17 * 19, "heads": 4 * 17,
        "head_dim": 16 * 19, "window": 164, "image_rows": 4289,
    },
]  # fmt: skip
UNSEEN = {
    "batch": 6, "past": 10, "tokens": 37, "dim": 12, "chan": 96, "heads": 6, "head_dim": 16,
    "window": 5, "image_rows": 131,
}  # fmt: skip


def of(text, runs):
    """Return the formula that is found for the values of a formula."""
    return formula([evaluate(text, sizes) for sizes in runs], runs)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("tokens", 100),
        ("3", 3),
        ("3*chan", 192),
        ("past+tokens-1", 106),
        ("heads*(past+tokens)//2", 214),
        ("ceil(tokens/7)", 15),
        ("ceil((tokens+6)/7)*2", 32),
        ("(image_rows-7+2*2)//4+1", 56),
        ("unknown", None),
        ("tokens-", None),
        ("-tokens", None),
        ("tokens//0", None),
        ("tokens/7", None),
        ("(tokens", None),
        ("__import__('os')", None),
        ("", None),
    ],
)
def test_what_a_formula_is_worth(text, value):
    """Names, whole numbers, + - * //, ceil and brackets have a value; nothing else has."""
    assert evaluate(text, BASE) == value


def test_names_of_inputs():
    """A dimension of an input is a name, also of one inside a structure."""
    sizes = {"x.0": 3, "state[0].1": 5}
    assert evaluate("x.0*state[0].1+1", sizes) == 16
    assert names_in("x.0*state[0].1+x.0") == ("x.0", "state[0].1")


@pytest.mark.parametrize("text", ["tokens", "3*chan", "past+tokens", "tokens+1", "batch*heads",
                                  "chan//2", "batch*tokens*tokens", "5"])  # fmt: skip
def test_two_runs_are_enough(text):
    """A form without numbers to fit is found from two runs."""
    assert of(text, RUNS[:2]) == text


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("2*tokens-1", "2*tokens-1"),
        ("tokens-past", "tokens-past"),
        ("2*head_dim+past", "past+2*head_dim"),
        ("batch*(past+tokens)", "batch*(past+tokens)"),
        ("tokens//7", "tokens//7"),
        ("ceil(tokens/7)", "ceil(tokens/7)"),
        ("7*ceil(tokens/7)", "7*ceil(tokens/7)"),
        ("(2*window-1)*(2*window-1)", "(2*window-1)*(2*window-1)"),
        ("heads*head_dim", "chan"),
        ("chan//heads", "head_dim"),
    ],
)
def test_three_runs(text, found):
    """Sums, rounded quotients and squares are found from three; of two words the single one."""
    assert of(text, RUNS) == found


@pytest.mark.parametrize("text", ["2*tokens+7", "tokens-past", "5*batch+3*heads"])
def test_two_runs_are_not_enough(text):
    """A form with numbers to fit is not guessed at from two runs."""
    assert of(text, RUNS[:2]) is None


def test_equal_sizes_are_told_apart():
    """Two sizes that are equal in the run are never taken for each other."""
    assert BASE["batch"] == BASE["heads"]
    assert of("batch*heads*tokens", RUNS[:2]) == "batch*tokens*heads"
    assert (of("heads", RUNS[:2]), of("batch", RUNS[:2])) == ("heads", "batch")
    assert formula([4, 4], [{"batch": 4}, {"batch": 8}]) == "4"


def test_a_size_that_does_not_move_explains_nothing():
    """A dimension that moves is not named after a size that is equal and stays."""
    assert formula([4, 8], [{"batch": 4}, {"batch": 4}]) is None


def test_a_rounded_quotient_that_the_runs_leave_open():
    """Where several steps and shifts fit, the next size to try tells them apart, to the end."""
    runs = [{"rows": 65}, {"rows": 130}, {"rows": 199}]
    for _ in range(8):
        values = tuple((sizes["rows"] + 5) // 8 for sizes in runs)
        floor = Formulas(runs).floor(values)
        if len(floor.pairs) == 1:
            break
        runs.append({"rows": floor.deciding(65)})
    assert floor.pairs == ((8, 5),)
    assert floor.text == "(rows+5)//8"


NAMES = st.sampled_from([*BASE])
PRODUCTS = st.lists(NAMES, min_size=1, max_size=3).map("*".join)
FORMULAS = st.one_of(
    st.builds("{}*{}".format, st.integers(1, 9), PRODUCTS),
    st.builds("{}+{}".format, NAMES, NAMES),
    st.builds("{}*{}+{}".format, st.integers(1, 5), NAMES, st.integers(1, 9)),
    st.builds("{}*{}+{}*{}".format, st.integers(1, 5), NAMES, st.integers(1, 5), NAMES),
    st.builds("{}*({}+{})".format, NAMES, NAMES, NAMES),
)


@settings(derandomize=True, database=None, deadline=None, max_examples=150)
@given(FORMULAS)
def test_any_formula(text):
    """What is found for a random formula is worth the same at sizes that no run had."""
    found = of(text, RUNS)
    assert found is not None
    assert evaluate(found, UNSEEN) == evaluate(text, UNSEEN)
