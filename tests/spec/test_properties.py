"""What holds for every spec, not only for those that someone thought of."""

from __future__ import annotations

import re

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from attntrace.errors import SettingsError
from attntrace.spec import load, show
from attntrace.spec.fields import fields

untimed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
sizes = st.integers(1, 10**6)
attention = st.fixed_dictionaries(
    {
        "impl": st.sampled_from(["eager", "sdpa"]),
        "qkv_bias": st.booleans(),
        "out_bias": st.booleans(),
        "qk_scale": st.sampled_from(["head", "embed", "input", "none"])
        | st.floats(allow_nan=False, allow_infinity=False),
        "skip": st.sampled_from(["auto", "none", "value"]),
    }
)
run = st.fixed_dictionaries(
    {
        "device": st.sampled_from(["cpu", "cuda", "cuda:1", "meta"]),
        "dtype": st.sampled_from(["float64", "float32", "bfloat16", "float16"]),
        "seed": st.integers(0, 2**63 - 1),
        "mode": st.sampled_from(["eval", "train"]),
        "grad": st.booleans(),
    }
)
MESSAGE = re.compile(
    r"heads=(?P<heads>\d+): chan (?P<chan>\d+) is not divisible by heads (?P=heads) "
    r"\((?P=chan) = (?P=heads)\*(?P<quotient>\d+) \+ (?P<rest>\d+)\); "
    r"nearest heads that divide (?P=chan): (?P<near>\d+(?:, \d+)?)\. Or set head_dim"
)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    """Return a file that every example may overwrite."""
    return tmp_path_factory.mktemp("shown") / "block.yaml"


@untimed
@given(st.integers(1, 999), st.integers(1, 999), sizes, sizes, sizes, attention, run)
def test_every_spec_survives_being_shown(scratch, heads, each, batch, tokens, dim, layer, where):
    """Sizes whose heads divide chan load, and the shown document is the same spec again."""
    loaded = load(
        heads=heads,
        chan=heads * each,
        batch=batch,
        tokens=tokens,
        dim=dim,
        attention=layer,
        run=where,
    )
    assert loaded.spec.head_dim == each
    scratch.write_text(show(loaded))
    assert load(scratch).spec == loaded.spec


@untimed
@given(chan=st.integers(1, 5000), heads=st.integers(1, 6000))
def test_heads_that_do_not_divide_get_true_arithmetic(chan, heads):
    """The division in the message is right, and the heads it proposes are the nearest that work."""
    assume(chan % heads)
    with pytest.raises(SettingsError) as caught:
        load(chan=chan, heads=heads)
    found = MESSAGE.fullmatch(str(caught.value))
    assert (int(found["chan"]), int(found["heads"])) == (chan, heads)
    assert chan == heads * int(found["quotient"]) + int(found["rest"])
    assert 0 < int(found["rest"]) < heads
    near = [int(n) for n in found["near"].split(", ")]
    assert all(chan % n == 0 for n in near)
    low, high = min(near), max(near)
    assert low < heads
    assert not any(chan % n == 0 for n in range(low + 1, max(high, heads)) if n != high)


def problems_of(*args, **kwargs):
    """Return the problems that loading meets, none where it makes a spec."""
    try:
        load(*args, **kwargs)
    except SettingsError as error:
        return error.problems
    return ()


paths = st.sampled_from([*fields(), "attention", "run", "zzz", "a(", "run.zzz", "heads.x"])
values = st.none() | st.booleans() | st.integers(-9, 9999) | st.floats() | st.text(max_size=5)


@untimed
@given(st.dictionaries(paths, values, max_size=6))
def test_any_settings_make_a_spec_or_messages(given):
    """Whatever is set to whatever, the answer is a spec or a SettingsError, and never a crash."""
    assert all(problem.message for problem in problems_of(**given))


@untimed
@given(st.text(max_size=40) | st.tuples(paths, st.text(max_size=9)).map("=".join))
def test_any_text_of_a_set_makes_a_spec_or_messages(text):
    """Whatever stands behind `--set`, the answer is a spec or a SettingsError that quotes it."""
    assert all(p.where == f"--set {text}" for p in problems_of(sets=[text]))


@untimed
@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_file_makes_a_spec_or_messages(scratch, content):
    """Whatever bytes a file holds, the answer is a spec or a SettingsError that names it."""
    scratch.write_bytes(content)
    assert all(p.where.startswith(str(scratch)) for p in problems_of(scratch))
