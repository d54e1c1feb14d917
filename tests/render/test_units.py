"""Numbers as people read them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attntrace.render.units import exact, nbytes_text, tuple_text

FACTORS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40, "PiB": 2**50}


@pytest.mark.parametrize(
    ("nbytes", "text"),
    [
        (0, "0 B"),
        (912, "912 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (332_800, "325.0 KiB"),
        (1_048_524, "1,023.9 KiB"),
        (1_048_525, "1.0 MiB"),
        (5_158_400, "4.9 MiB"),
        (2**30, "1.0 GiB"),
        (2**40, "1.0 TiB"),
        (5 * 2**60, "5,120.0 PiB"),
    ],
)
def test_bytes_have_binary_units(nbytes, text):
    """Bytes are shown in the largest unit that leaves at least 1, with one decimal."""
    assert nbytes_text(nbytes) == text


@settings(deadline=None)
@given(st.integers(0, 2**60))
def test_the_text_is_within_its_rounding(nbytes):
    """The number and unit that are shown are the bytes, to half of the last digit."""
    number, unit = nbytes_text(nbytes).split()
    shown = float(number.replace(",", "")) * FACTORS[unit]
    assert abs(shown - nbytes) <= 0.0501 * FACTORS[unit]


@pytest.mark.parametrize(
    ("nbytes", "text"), [(0, "0 B"), (912, "912 B"), (5_158_400, "4.9 MiB (5,158,400 B)")]
)
def test_exact_says_every_byte(nbytes, text):
    """Where the unit rounds, the bytes follow."""
    assert exact(nbytes) == text


@pytest.mark.parametrize(
    ("items", "text"), [((), "()"), ((13,), "(13,)"), ((13, 100, 49), "(13, 100, 49)")]
)
def test_tuples_are_as_in_python(items, text):
    """A shape is written as Python writes it, also with one item."""
    assert tuple_text(items) == text
