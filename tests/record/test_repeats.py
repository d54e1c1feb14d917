"""Lines that repeat: written once, in whatever order, and as they were when they are read again."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attntrace.record.repeats import Line, Repeat, folded, length, unfolded

untimed = settings(deadline=None, max_examples=200)
NAMES = ("a{0}b", "{1}.{0}", "x", "{{0}}", "}0{", "{0}{0}", "0{0}")


def lines(*texts):
    """Return lines of one text each."""
    return [Line((text,), ("op",)) for text in texts]


def layers(*numbers, of="qkv"):
    """Return the lines of numbered layers."""
    return lines(*(f"layers.{number}.{name}" for number in numbers for name in of))


def shown(items):
    """Return folded lines as texts and tuples of them."""
    return [
        (item.times, item.step, shown(item.of)) if isinstance(item, Repeat) else item.texts[0]
        for item in items
    ]


@pytest.mark.parametrize(
    ("given", "written"),
    [
        (layers(0, 1, 2), [(3, 1, ["layers.{0}.q", "layers.{0}.k", "layers.{0}.v"])]),
        (layers(5, 3, 1), [(3, -2, ["layers.{5}.q", "layers.{5}.k", "layers.{5}.v"])]),
        (layers(*"0000000", of="q"), [(7, 0, ["layers.0.q"])]),
        (
            [line for n in (0, 2, 4) for line in layers(n, of="ab") + layers(n + 1, of="c")],
            [(3, 2, ["layers.{0}.a", "layers.{0}.b", "layers.{1}.c"])],
        ),
        (
            layers(*range(4), of=[f"heads.{n}" for n in range(9)]),
            [(4, 1, [(9, 1, ["layers.{{0}}.heads.{0}"])])],
        ),
        (lines(*(f"past[{n}].{k}" for n in range(9, 13) for k in "kv")),
         [(4, 1, ["past[{9}].k", "past[{9}].v"])]),
    ],
    ids=["up", "down", "the same", "two in turn", "inside each other", "from one digit to two"],
)  # fmt: skip
def test_what_repeats_is_there_once(given, written):
    """Numbers count up or down by one step, or stay; a repeat may be in a repeat."""
    assert shown(folded(given)) == written
    assert list(unfolded(folded(given))) == given
    assert length(folded(given)) == len(given)


@pytest.mark.parametrize(
    "given",
    [
        layers(0, 1, 3, of="qk"),
        layers(0, 1, of="qkvop"),
        lines(*(f"layers.{n:03}.q" for n in range(9))),
        lines(*(f"layers.{10**18 + n}.q" for n in range(9))),
    ],
    ids=["other steps", "too few", "leading zeros", "longer than any count"],
)
def test_what_does_not_repeat_is_left(given):
    """Nothing is folded that would save no lines, or could not be told again."""
    assert folded(given) == tuple(given)


def test_a_repeat_begins_where_a_layer_does():
    """Where the first layer has a line more, the others are folded, and not its second half."""
    given = [*layers(0, of="qnkv"), *layers(1, 2, 3, 4)]
    assert shown(folded(given)) == [
        "layers.0.q", "layers.0.n", "layers.0.k", "layers.0.v",
        (4, 1, ["layers.{1}.q", "layers.{1}.k", "layers.{1}.v"]),
    ]  # fmt: skip


@untimed
@given(
    st.lists(
        st.tuples(
            st.lists(st.sampled_from(NAMES), min_size=1, max_size=3),
            st.integers(0, 12), st.integers(-2, 2), st.integers(1, 12),
        ),
        max_size=3,
    )
)  # fmt: skip
def test_nothing_is_lost(stacks):
    """The same lines come back, with whatever braces and numbers, and never more than there were."""
    given = [
        Line((name.replace("0", str(start + step * turn)), name), ("op",))
        for names, start, step, times in stacks
        for turn in range(times)
        for name in names
    ]
    found = folded(given)
    assert list(unfolded(found)) == given
    assert len(found) <= len(given)
