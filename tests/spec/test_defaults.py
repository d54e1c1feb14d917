"""What a spec is when nothing, or little, is said."""

from __future__ import annotations

import pytest

from attntrace.spec import load

ARTICLE = {"batch": 13, "tokens": 100, "dim": 49, "chan": 64, "heads": 1, "head_dim": 64}


def settings(**given):
    return load(**given).spec


def test_nothing_given_is_the_layer_of_the_article():
    """Without any setting the spec is the article's single-head layer."""
    spec = settings()
    assert spec.sizes == ARTICLE
    assert spec.model_dump(include={*ARTICLE}) == ARTICLE
    assert (spec.block, spec.kind, spec.qkv, spec.skip) == ("attention", "mha", "fused", "value")
    assert (spec.masks, spec.positions_on, spec.map) == ((), "none", (10, 10))
    assert spec.run.model_dump() == {
        "device": "cpu",
        "as_device": None,
        "dtype": "float32",
        "seed": 0,
        "mode": "eval",
        "grad": False,
        "optimizer": "none",
        "checkpoint": False,
        "allow": (),
    }


def test_the_article_adds_the_values_because_the_input_does_not_fit():
    """With dim 49 and chan 64 the skip is the values."""
    assert settings().skip == "value"


@pytest.mark.parametrize(
    ("given", "skip"),
    [
        ({"dim": 64}, "input"),
        ({"dim": 48, "chan": 48, "heads": 3}, "input"),
        ({"dim": 48}, "value"),
        ({"head_dim": 7}, "none"),
        ({"dim": 64, "head_dim": 7}, "input"),
        ({"dim": 64, "attention": {"skip": "value"}}, "value"),
        ({"attention": {"skip": "none"}}, "none"),
    ],
)
def test_skip_auto_is_decided_by_the_widths(given, skip):
    """Left at auto the skip is the input where it fits, else the values, else nothing."""
    assert settings(**given).skip == skip


@pytest.mark.parametrize(("chan", "heads", "head_dim"), [(64, 4, 16), (60, 5, 12), (7, 7, 1)])
def test_head_dim_is_chan_shared_out(chan, heads, head_dim):
    """Left out, head_dim is chan / heads, and the heads side by side are chan wide."""
    spec = settings(chan=chan, heads=heads)
    assert (spec.head_dim, spec.width) == (head_dim, chan)


def test_head_dim_is_free_of_chan_and_heads():
    """A head_dim that is given stands, also where heads do not divide chan."""
    spec = settings(heads=3, head_dim=10)
    assert (spec.head_dim, spec.width, spec.chan, spec.skip) == (10, 30, 64, "none")


def test_torch_keeps_the_width_of_its_input():
    """With impl torch dim is chan unless it is given."""
    assert settings(chan=60, heads=4, attention={"impl": "torch"}).dim == 60
    assert settings(chan=60, heads=4, attention={"impl": "sdpa"}).dim == 49


@pytest.mark.parametrize(
    ("attention", "out_bias"),
    [
        ({}, True),
        ({"qkv_bias": True}, True),
        ({"impl": "sdpa"}, True),
        ({"out_bias": False}, False),
        ({"impl": "torch"}, False),
        ({"impl": "torch", "qkv_bias": True}, True),
    ],
)
def test_out_bias_follows_where_there_is_one_switch(attention, out_bias):
    """The output projection has a bias, but with impl torch it has what qkv has."""
    assert settings(attention=attention).attention.out_bias is out_bias


@pytest.mark.parametrize(
    ("qk_scale", "scale"),
    [
        ("head", 16**-0.5),
        ("embed", 64**-0.5),
        ("input", 49**-0.5),
        ("none", None),
        (0.0, 0.0),
        (0, 0.0),
        (-2.5, -2.5),
    ],
)
def test_scale_is_what_its_name_says(qk_scale, scale):
    """Each name of qk_scale is a width to the power -1/2, and 0.0 is a number, not "unset"."""
    assert settings(heads=4, attention={"qk_scale": qk_scale}).scale == scale


def test_a_spec_is_frozen():
    """A spec cannot be changed once it is made."""
    with pytest.raises(ValueError, match="frozen"):
        settings().heads = 4


def test_an_empty_section_changes_nothing():
    """A section given as nothing at all leaves its defaults."""
    assert settings(attention=None, run={}) == settings()


def test_an_empty_section_does_not_wipe_what_was_set_before():
    """An empty section on top of a setting in it leaves that setting alone."""
    spec = load(sets=["attention.impl=sdpa", "attention={}"]).spec
    assert spec.attention.impl == "sdpa"
