"""The largest size that fits, among measures that grow and measures that do not."""

from __future__ import annotations

from math import isqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attntrace.analysis.search import LIMIT, Search

SIZES = st.integers(1, 10**6)


def search(measure, budget, start, refused=lambda size: None):
    """Return what a search found, and the sizes that it measured, each time it did."""
    measured = []

    def counted(size):
        measured.append(size)
        return measure(size)

    return Search(counted, refused, budget).largest(start), measured


@st.composite
def growing(draw):
    """Return a function that never falls: the larger of polynomials, in blocks of 1 to 512."""
    terms = draw(st.lists(st.tuples(*[st.integers(0, 1000)] * 2, st.integers(1, 9)), min_size=1))
    block = draw(st.sampled_from([1, 4, 512]))

    def measure(size):
        nbytes = max(a * size * size + b * size + c for a, b, c in terms)
        return -(-nbytes // block) * block

    return measure if measure(LIMIT) > measure(1) else lambda size: size


@given(measure=growing(), boundary=SIZES, start=SIZES, slack=st.integers(0, 5))
def test_the_boundary_is_found(measure, boundary, start, slack):
    """Of a measure that grows, the answer fits and the next size does not, and both were measured."""
    budget = measure(boundary) + slack
    found, measured = search(measure, budget, start)
    assert found.fits.nbytes == measure(found.fits.size) <= budget < found.beyond.nbytes
    assert found.beyond.nbytes == measure(found.beyond.size)
    assert found.beyond.size == found.fits.size + 1
    assert found.over == found.beyond
    assert {found.fits.size, found.beyond.size} <= set(measured)


@given(measure=growing(), boundary=SIZES, start=SIZES)
def test_no_size_is_measured_twice_and_few_are(measure, boundary, start):
    """Doubling and halving alone would take 2 log2 of the answer; guards may treble halving."""
    _, measured = search(measure, measure(boundary), start)
    assert len(measured) == len(set(measured))
    assert len(measured) < 100


@given(
    a=st.integers(1, 99), b=st.integers(0, 9999), c=SIZES, boundary=SIZES, start=st.integers(1, 100)
)
def test_a_polynomial_takes_a_handful(a, b, c, boundary, start):
    """What tensors cost is exact at once: a batch of any size is found with about ten measures."""

    def measure(size):
        return a * size * size + b * size + c

    found, measured = search(measure, measure(boundary), start)
    assert found.fits.size == boundary
    assert len(measured) <= 16


@given(st.dictionaries(st.integers(1, 64), st.integers(0, 99)), st.integers(1, 64))
def test_what_does_not_grow_is_told_honestly(bytes_of, start):
    """Of any measure at all, the answer fits, the next size does not, and both were measured."""

    def measure(size):
        return bytes_of.get(size, 50) if size <= 64 else 1000

    found, measured = search(measure, 50, start)
    assert set(measured) == {probe.size for probe in found.tried}
    assert found.beyond.nbytes == measure(found.beyond.size) > 50
    if found.fits is None:
        assert found.beyond.size == 1
    else:
        assert found.fits.nbytes == measure(found.fits.size) <= 50
        assert found.beyond.size == found.fits.size + 1


@given(budget=st.integers(0, 99), start=SIZES)
def test_nothing_fits(budget, start):
    """Where even 1 is over the budget, there is no answer, and 1 was measured."""
    found, measured = search(lambda size: 100 * size, budget, start)
    assert (found.fits, found.over.size, found.beyond.size) == (None, 1, 1)
    assert 1 in measured


@pytest.mark.parametrize("limit", [1, 2, 100, 1024, 4096, 100_000])
def test_a_limit_of_the_rules_is_the_answer(limit):
    """Where larger sizes are refused, the largest legal one is the answer, with the reason."""
    found, measured = search(
        lambda size: size, 10**9, 1, lambda size: f"at most {limit}" if size > limit else None
    )
    assert found.fits.size == limit
    assert (found.beyond.size, found.beyond.refusal) == (limit + 1, f"at most {limit}")
    assert found.over is None
    assert max(measured) == limit


@pytest.mark.parametrize("limit", [1, 2, 100, 1024, 2047, 100_000])
def test_a_size_that_fails_ends_the_search(limit):
    """Where a measure fails from a size on, the one before it is the answer, in a few tries."""
    found, measured = search(lambda size: "no more" if size > limit else size, 10**9, 1)
    assert (found.fits.size, found.over) == (limit, None)
    assert (found.beyond.size, found.beyond.refusal) == (limit + 1, "no more")
    assert len(measured) < 64


@pytest.mark.parametrize(
    ("budget", "answer", "over"), [(10_000, 10_000, 10_201), (99, 81, 100), (5000, 4900, 5041)]
)
def test_sizes_with_gaps_between_them(budget, answer, over):
    """Where only squares are legal, the answer is the largest square, and the next was measured."""
    found, _ = search(
        lambda size: size,
        budget,
        100,
        lambda size: None if isqrt(size) ** 2 == size else "no square",
    )
    assert (found.fits.size, found.over.size) == (answer, over)
    assert (found.beyond.size, found.beyond.refusal) == (answer + 1, "no square")


def test_one_size_alone_is_legal():
    """Where the start is the only legal size, it is the answer or nothing is."""

    def refused(size):
        return None if size == 13 else "13 lengths"

    fits, measured = search(lambda size: size, 13, 13, refused)
    assert (fits.fits.size, fits.beyond.refusal, measured) == (13, "13 lengths", [13])
    none, measured = search(lambda size: size, 12, 13, refused)
    assert (none.fits, none.over.size, measured) == (None, 13, [13])


def test_a_measure_that_stands_still_ends():
    """A measure that never reaches the budget ends at the limit, with nothing beyond it."""
    found, _ = search(lambda size: 7, 10, 3)
    assert (found.fits.size, found.beyond) == (LIMIT, None)
