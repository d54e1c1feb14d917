"""Settings that are each legal and do not go together."""

from __future__ import annotations

import pytest

from attntrace.errors import SettingsError
from attntrace.spec import load

HEADS_3 = (
    "chan 64 is not divisible by heads 3 (64 = 3*21 + 1); nearest heads that divide 64: 2, 4. "
    "Or set head_dim"
)
OTHER = "or use impl eager or sdpa"


def problems_of(**given):
    with pytest.raises(SettingsError) as caught:
        load(**given)
    return str(caught.value).splitlines()


@pytest.mark.parametrize(
    ("chan", "heads", "message"),
    [
        (64, 3, HEADS_3),
        (
            60,
            7,
            (
                "chan 60 is not divisible by heads 7 (60 = 7*8 + 4); nearest heads that divide 60: "
                "6, 10. Or set head_dim"
            ),
        ),
        (
            64,
            65,
            (
                "chan 64 is not divisible by heads 65 (64 = 65*0 + 64); nearest heads that divide "
                "64: 64. Or set head_dim"
            ),
        ),
    ],
)
def test_heads_that_do_not_divide_chan(chan, heads, message):
    """The message shows the division and the nearest numbers of heads that work."""
    assert problems_of(chan=chan, heads=heads) == [f"heads={heads}: {message}"]


def test_a_huge_chan_is_judged_at_once():
    """Nearest heads are found for a chan with too many numbers below it to try each."""
    chan, heads = 10**11, 3
    assert problems_of(chan=chan, heads=heads) == [
        (
            f"heads={heads}: chan {chan} is not divisible by heads 3 ({chan} = 3*33333333333 + 1); "
            f"nearest heads that divide {chan}: 2, 4. Or set head_dim"
        )
    ]


def test_skip_input_needs_equal_widths():
    """The input cannot be added to an output of another width."""
    assert problems_of(attention={"skip": "input"}) == [
        (
            "attention.skip='input': skip=input adds x of width dim 49 to an output of width chan 64; "
            "use skip value or none, or set dim 64"
        )
    ]


def test_skip_value_needs_heads_that_fill_chan():
    """The values cannot be added to an output of another width."""
    assert problems_of(heads=4, head_dim=10, attention={"skip": "value"}) == [
        (
            "attention.skip='value': skip=value adds v of width heads*head_dim 40 to an output of "
            "width chan 64; use skip none, or set chan 40"
        )
    ]


@pytest.mark.parametrize(
    ("given", "where", "message"),
    [
        (
            {"dim": 49},
            "attention.impl='torch'",
            (
                "impl=torch cannot project dim 49 to chan 64: nn.MultiheadAttention keeps the width "
                f"of its input; set dim 64, {OTHER}"
            ),
        ),
        (
            {"heads": 4, "head_dim": 10},
            "attention.impl='torch'",
            (
                "impl=torch has head_dim chan/heads and no other, got head_dim 10 for chan 64 and "
                f"heads 4; leave head_dim out, {OTHER}"
            ),
        ),
        (
            {"attention": {"qk_scale": "embed"}},
            "attention.qk_scale='embed'",
            (
                "impl=torch always scales by head_dim^-0.5, got qk_scale embed; "
                f"leave qk_scale at head, {OTHER}"
            ),
        ),
        (
            {"attention": {"qk_scale": 0.0}},
            "attention.qk_scale=0.0",
            (
                "impl=torch always scales by head_dim^-0.5, got qk_scale 0.0; "
                f"leave qk_scale at head, {OTHER}"
            ),
        ),
        (
            {"attention": {"skip": "value"}},
            "attention.skip='value'",
            f"impl=torch keeps its values inside; use skip input or none, {OTHER}",
        ),
        (
            {"attention": {"out_bias": True}},
            "attention.out_bias=True",
            (
                "impl=torch has one bias switch for both projections, got qkv_bias false and out_bias "
                f"true; leave out_bias out, {OTHER}"
            ),
        ),
    ],
)
def test_what_torch_cannot_express(given, where, message):
    """Each thing that nn.MultiheadAttention does not do is refused with the way out."""
    attention = {"impl": "torch", **given.pop("attention", {})}
    assert problems_of(**given, attention=attention) == [f"{where}: {message}"]


@pytest.mark.parametrize(
    ("impl", "reason"),
    [
        ("sdpa", "impl=sdpa never materialises the weights; use impl torch, or impl eager"),
        ("eager", "impl=eager shows them as probs in any case; leave need_weights at none"),
    ],
)
@pytest.mark.parametrize("wanted", ["averaged", "per-head"])
def test_weights_are_only_for_torch_to_return(impl, reason, wanted):
    """Weights asked of an implementation that has none to return are refused."""
    attention = {"impl": impl, "need_weights": wanted}
    assert problems_of(attention=attention) == [f"attention.need_weights={wanted!r}: {reason}"]


def test_mps_has_no_float64():
    """A dtype that a device lacks is refused, with both ways out."""
    assert problems_of(run={"device": "mps", "dtype": "float64"}) == [
        "run.dtype='float64': mps has no float64; use float32, or device cpu"
    ]


def test_rules_of_different_rooms_are_reported_together():
    """A problem of the sizes and one of the run come in one error."""
    assert problems_of(heads=3, run={"device": "mps", "dtype": "float64"}) == [
        f"heads=3: {HEADS_3}",
        "run.dtype='float64': mps has no float64; use float32, or device cpu",
    ]


def test_heads_do_not_hide_a_skip_that_does_not_fit():
    """Heads that do not divide chan leave a skip of the wrong width to be reported too."""
    assert problems_of(heads=3, attention={"skip": "input"}) == [
        f"heads=3: {HEADS_3}",
        (
            "attention.skip='input': skip=input adds x of width dim 49 to an output of width chan 64; "
            "use skip value or none, or set dim 64"
        ),
    ]


def test_a_rule_is_silent_about_a_field_that_is_wrong_itself():
    """Where heads is no number, nothing is said about dividing chan by it."""
    assert problems_of(heads=0, chan=65) == ["heads=0: heads must be a whole number >= 1, got 0"]


@pytest.mark.parametrize("key", ["set", "nearest", "a(", "c++", ""])
def test_an_unknown_key_hides_no_rule(key):
    """A key that is unknown, whatever its letters, leaves the rules between others in force."""
    given = {key: 1, "heads": 3}
    assert problems_of(**given)[1:] == [f"heads=3: {HEADS_3}"]
