"""What holds for every spec, not only for those that someone thought of."""

from __future__ import annotations

import re

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from attntrace.errors import SettingsError
from attntrace.spec import load, show
from attntrace.spec.fields import fields

ENCODER = {"block": "encoder", "chan": 64, "heads": 4, "layers": 2}
BASES = [
    {},
    {"heads": 4, "attention": {"impl": "torch"}},
    {"attention": {"source": "cross"}, "context_tokens": 7, "context_dim": 10},
    {"attention": {"kind": "additive", "align_dim": 5}},
    {"attention": {"kind": "linear"}},
    {"attention": {"kind": "window", "window": 5}},
    {"attention": {"kind": "mla", "kv_lora_rank": 8, "nope_head_dim": 6, "rope_head_dim": 4},
     "value_head_dim": 5, "heads": 3},
    ENCODER,
    {**ENCODER, "stack": {"vocab": 100, "head": "vocab"}},
    {**ENCODER, "image": {"stem": "patch"}, "stack": {"head": "classes", "classes": 10}},
    {**ENCODER, "image": {"stem": "t2t"}},
    {**ENCODER, "feed_forward": {"kind": "moe", "experts": 8, "experts_per_token": 2}},
    {"block": "decoder", "heads": 4, "kv_heads": 2, "positions": {"kind": "rope"}, "cache": {"past": 9}},
    {"block": "decoder", "stack": {"cross": True, "vocab": 50}, "context_tokens": 7},
    {"block": "encoder-decoder", "context_tokens": 7, "heads": 2},
    {"block": "encoder-decoder", "tokens": 9, "image": {"map": "3x5"}, "stack": {"queries": True}},
    {"block": "patch-embed", "positions": {"kind": "learned"}},
    {"block": "t2t"},
    {"block": "psa", "chan": 256, "heads": 2},
    {"block": "rnn-seq2seq", "context_tokens": 7, "recurrent": {"alignment": "dot"}},
]  # fmt: skip
"""One of each block, and of each kind of attention and feed-forward."""

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


def values_of(field):
    """Return a strategy for values that a setting may have."""
    schema = field.kind.schema
    if field.kind.choices:
        return st.sampled_from([c for c in field.kind.choices if c != "cuda:N"])
    if schema.get("type") == "boolean":
        return st.booleans()
    if schema.get("type") == "integer":
        return st.integers(schema.get("minimum", 0), 64)
    if schema.get("type") == "number":
        return st.sampled_from([1e-30, 1e-05, 0.125, 0.5, 1.0, 1e4, 1e22])
    if schema.get("type") == "array":
        return st.lists(st.integers(1, 9), min_size=1, max_size=4)
    return st.tuples(st.integers(1, 99), st.integers(1, 99)).map(list)


one_setting = st.sampled_from(list(fields().values())).flatmap(
    lambda field: st.tuples(st.just(field.path), values_of(field))
)


@settings(untimed, max_examples=400)
@given(st.sampled_from(BASES), st.lists(one_setting, max_size=3))
def test_every_block_survives_being_shown(scratch, base, changes):
    """Whatever block loads with whatever changes, what is shown is the same spec again."""
    try:
        loaded = load(**base, **dict(changes))
    except (SettingsError, TypeError):  # a change of what the base gives is another keyword
        return
    scratch.write_text(show(loaded))
    assert load(scratch).spec == loaded.spec


@pytest.mark.parametrize("base", BASES, ids=str)
def test_each_base_is_a_block(base):
    """What the test above starts from does load."""
    assert load(**base).spec


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
