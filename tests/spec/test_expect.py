"""`expect:` in YAML and in Python: what is read, and where each thing that is wrong stands."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attntrace.errors import SettingsError
from attntrace.notation.arithmetic import LARGEST, UnreadableError
from attntrace.notation.units import UNITS
from attntrace.spec import expectations, load, load_subject, show
from attntrace.spec.document import read_yaml
from attntrace.spec.expect.bounds import SIGNS, Bound, bound_of
from attntrace.spec.expect.dims import dims_of, text_of
from attntrace.spec.expect.model import DtypeOf, KernelIs, NoWarnings, ShapeOf, Within
from attntrace.spec.presets import names
from attntrace.spec.probes import Knobs
from attntrace.spec.symbols import are_tied
from tests.notation.formulas import FORMULAS, TEXTS

QKV = ("batch", "heads", "tokens", "head_dim")


def refused(mapping):
    """Return what is wrong with a mapping."""
    with pytest.raises(SettingsError) as caught:
        expectations(mapping)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    "value",
    [
        [*QKV],
        QKV,
        "batch heads tokens head_dim",
        "batch, heads,tokens , head_dim,",
        "(batch, heads, tokens, head_dim)",
        " [batch heads tokens head_dim] ",
    ],
)
def test_ways_to_write_a_shape(value):
    """A list, a tuple, a text with spaces or commas, and what the table shows are the same shape."""
    assert dims_of(value) == QKV


@pytest.mark.parametrize(
    ("value", "dims"),
    [
        ([], ()),
        ("()", ()),
        ("(13,)", (13,)),
        ([None, ..., 64], ("_", "...", 64)),
        ("_ ... 3 * chan", ("_", "...", (3, "*", "chan"))),
        (
            "(a+b)*2 (c+1)",
            ((("a", "+", "b"), "*", 2), ("c", "+", 1)),
        ),
        (["ceil(tokens/7)", "x.0*1_000"], (("tokens", "/", 7), ("x.0", "*", 1000))),
    ],
)
def test_what_a_dimension_may_be(value, dims):
    """Numbers, sizes, formulas, any size, and any number of dimensions."""
    assert dims_of(value) == dims


@given(st.lists(FORMULAS | st.just("_"), max_size=4), st.booleans())
def test_a_shape_that_is_written_reads_the_same(dims, has_rest):
    """A shape is its own text read again."""
    shape = (*dims, "...") if has_rest else tuple(dims)
    assert dims_of(text_of(shape)) == shape


@given(TEXTS)
def test_any_text_is_a_shape_or_refused(text):
    """No text does anything but read, the same again when written, or raise an error of ours."""
    try:
        dims = dims_of(text)
    except ValueError:  # an UnreadableError, or "... may stand once"
        return
    assert dims_of(text_of(dims)) == dims


@given(
    st.sampled_from(["", "=", *SIGNS]),
    st.integers(0, 10**6),
    st.integers(0, 99),
    st.sampled_from(sorted(UNITS)),
    st.integers(-2, 2),
)
def test_a_bound_is_what_it_says(sign, whole, hundredths, unit, beside):
    """Each sign compares as Python does with the exact number; written and read it is the same."""
    text = f"{sign} {whole}.{hundredths:02d} {unit}"
    exact = Fraction(f"{whole}.{hundredths:02d}") * UNITS[unit]
    compare = SIGNS[{"": "==", "=": "=="}.get(sign, sign)]
    if exact > LARGEST or (sign in ("", "=", "==") and exact.denominator > 1):
        with pytest.raises(UnreadableError):
            bound_of(text, in_bytes=True)
        return
    bound = bound_of(text, in_bytes=True)
    near = int(exact) + beside
    assert bound.holds(near) == compare(near, exact)
    assert bound_of(str(bound), in_bytes=True) == bound


@given(TEXTS, st.booleans())
def test_any_text_is_a_bound_or_refused(text, in_bytes):
    """No text does anything but read, the same again when written, or raise the one error."""
    try:
        bound = bound_of(text, in_bytes=in_bytes)
    except UnreadableError:
        return
    assert bound_of(str(bound), in_bytes=in_bytes) == bound


def test_powers_of_ten():
    """A bound may be written as 1e9, which YAML reads as a number without a sign before it."""
    bounds = (bound_of(text, in_bytes=False) for text in ("<= 1e9", "<= 1.5E3", "<= 1_000e+6"))
    assert [bound.limit for bound in bounds] == [10**9, 1500, 10**9]
    assert str(bound_of("<= 6.5e3 KiB", in_bytes=True)) == "<= 6.5e3 KiB"


def test_all_kinds_of_entries():
    """Each word has its kind, everything else is a tensor, also inside mappings and `tensors`."""
    assert expectations(
        {
            "q": "batch 4",
            "encoder": {"layers.*": {"k": ["batch", "_"]}},
            "x.q@transpose": "4",
            "dtype": {"q": "half", "x.y": "torch.bfloat16"},
            "tensors": {"dtype": [1]},
            "peak_memory": "<= 6 MiB",
            "saved_for_backward": 1024,
            "parameters": "13,568",
            "flops": 1e9,
            "kernel": ["flash (cpu)", "math"],
            "warnings": "none",
        }
    ) == (
        ShapeOf(name="q", tensor="q", dims=("batch", 4)),
        ShapeOf(name="encoder.layers.*.k", tensor="encoder.layers.*.k", dims=("batch", "_")),
        ShapeOf(name="x.q@transpose", tensor="x.q@transpose", dims=(4,)),
        DtypeOf(name="dtype.q", tensor="q", dtype="float16"),
        DtypeOf(name="dtype.x.y", tensor="x.y", dtype="bfloat16"),
        ShapeOf(name="tensors.dtype", tensor="dtype", dims=(1,)),
        Within(name="peak_memory", bound=Bound("<=", 6 * 2**20, "6 MiB")),
        Within(name="saved_for_backward", bound=Bound("==", 1024, "1,024 B")),
        Within(name="parameters", bound=Bound("==", 13_568, "13,568")),
        Within(name="flops", bound=Bound("==", 10**9, "1,000,000,000")),
        KernelIs(name="kernel", kernels=("flash", "math")),
        NoWarnings(name="warnings"),
    )
    assert expectations({"dtype": {}, "tensors": {}}) == ()


NO_UNIT = (
    "a size with a unit was expected, such as 80GiB or 80GB (units B, KiB, MiB, GiB, TiB, KB, kB, "
    "MB, GB, TB); got '6mib'; did you mean 6MiB?"
)
WRONG = [
    (
        "q",
        "batch heads*",
        "'batch heads*', letter 13: a size or a whole number was expected, but the text ends",
    ),
    (
        "q",
        ["batch heads"],
        "'batch heads', letter 7: a comma or an operator such as * was expected, got 'heads'",
    ),
    (
        "q",
        "3heads",
        "'3heads', letter 2: a comma, a space or an operator such as * was expected, got 'heads'",
    ),
    ("q", "_+1", "'_+1', letter 2: _ stands alone; a comma or the end was expected, got '+'"),
    ("q", [1, -1], "a dimension is a size, a whole number or _, got -1"),
    ("q", [True], "a dimension is a size, a whole number or _, got true"),
    ("q", 64, "a list of dimensions such as [batch, tokens, 64] was expected, got 64"),
    ("q", None, "a list of dimensions such as [batch, tokens, 64] was expected, got nothing"),
    ("q", ["...", "..."], "... is any number of dimensions, and may stand once"),
    (
        "paramters",
        13,
        (
            "a list of dimensions such as [batch, tokens, 64] was expected, got 13; "
            "'paramters' is read as a tensor, did you mean 'parameters'?"
        ),
    ),
    ("dtype", "half", "an entry such as scores: float32 was expected below it, got half"),
    ("dtype.q", "flot32", "no number format 'flot32'; did you mean 'float32'?"),
    ("dtype.q", None, "a number format such as float32 was expected, got nothing"),
    ("tensors", [3], "an entry such as q: [batch, tokens, 64] was expected below it, got [3]"),
    ("peak_memory", "6 mib", f"'6 mib', letter 1: {NO_UNIT}"),
    (
        "peak_memory",
        "4.9 MiB",
        "'4.9 MiB', letter 1: a whole number was expected, got 5,138,022.4; write <= or >=",
    ),
    (
        "peak_memory",
        "<= 6 MiB or so",
        "'<= 6 MiB or so', letter 10: a bound such as '<= 6 MiB' or 5_158_400 was expected",
    ),
    ("peak_memory", True, "a bound such as '<= 6 MiB' or 5_158_400 was expected, got true"),
    (
        "parameters",
        "=< 13",
        "'=< 13', letter 2: a bound such as 13_568 or '<= 14_000' was expected",
    ),
    ("parameters", "13 KiB", "'13 KiB', letter 1: this is a count and has no unit; write 13"),
    ("parameters", "9" * 20, f"{'9' * 20!r}, letter 1: a number up to {LARGEST:,} was expected"),
    ("flops.matmul", 3, "flops is a single entry, with nothing below it; leave 'matmul' out"),
    ("kernel", "flsh", "no kernel 'flsh'; did you mean 'flash'?"),
    ("kernel", None, "no kernel 'None'; did you mean 'none'?"),
    (
        "warnings",
        ["softmax-axis"],
        "warnings may be none, got ['softmax-axis']; what is meant so is named in run.allow",
    ),
]


@pytest.mark.parametrize(("name", "value", "said"), WRONG)
def test_what_is_refused(name, value, said):
    """The message has what was expected and what is there, of a text at which letter."""
    assert refused({name: value}) == [f"expect.{name}: {said}"]


def test_all_problems_at_once():
    """Each entry that is wrong is told, in order."""
    assert [
        line.partition(":")[0] for line in refused({"q": 3, "k": [4], "v": -1, "kernel": "x"})
    ] == [
        "expect.q",
        "expect.v",
        "expect.kernel",
    ]


BLOCK = """\
heads: 4
chan: 64
expect:
  q: [batch, heads, tokens, head_dim]
  "layers.*.k": [batch, kv_heads, tokens, value_head_dim]
  attention:
    v: (batch, ..., 3*chan)
  dtype:
    scores: float32
  peak_memory: "<= 6 MiB"
expect.warnings: none
"""


def test_a_file(write_yaml):
    """Each entry knows its line and column; what runs the file and shows its settings passes by."""
    loaded = load(write_yaml(BLOCK))
    assert [(one.name, one.where) for one in loaded.expect] == [
        ("q", "block.yaml:4:3"),
        ("layers.*.k", "block.yaml:5:3"),
        ("attention.v", "block.yaml:7:5"),
        ("dtype.scores", "block.yaml:9:5"),
        ("peak_memory", "block.yaml:10:3"),
        ("warnings", "block.yaml:11:1"),
    ]
    assert loaded.spec == load(heads=4, chan=64).spec
    assert load(write_yaml(show(loaded))).spec == loaded.spec
    for nothing in ("expect:\n", "expect: {}\n", "expect: {dtype: }\n", "heads: 4\n"):
        assert load(write_yaml(nothing)).expect == ()


SIZES = "there are batch, tokens, dim, chan, heads, head_dim, kv_heads, value_head_dim"


def test_what_is_wrong_in_a_file(write_yaml):
    """All of it is told at its place, beside what is wrong with the settings."""
    file = write_yaml(
        "heads: 0\nexpct: 3\nexpect:\n  q: [batch, 3heads]\n  dtype: {k: flot32}\n  kernel: flsh\n"
    )
    with pytest.raises(SettingsError) as caught:
        load(file)
    assert str(caught.value).splitlines() == [
        "block.yaml:1:1: heads must be a whole number >= 1, got 0",
        "block.yaml:2:1: unknown key 'expct'; did you mean 'expect'?",
        "block.yaml:4:3: '3heads', letter 2: a comma or an operator such as * was expected, got 'heads'",
        "block.yaml:5:11: no number format 'flot32'; did you mean 'float32'?",
        "block.yaml:6:3: no kernel 'flsh'; did you mean 'flash'?",
    ]


def test_sizes_that_the_block_has_not(write_yaml):
    """A word that is no size is told with those there are, unless something overrules the file."""
    file = write_yaml("expect: {q: [batch, head, tokens, 2*head], out: [tokens//(heads-1), x]}")
    with pytest.raises(SettingsError) as caught:
        load(file, flags={"run.seed": "3"})
    assert str(caught.value).splitlines() == [
        f"block.yaml:1:10: no size named 'head'; {SIZES}; did you mean 'heads'?",
        "block.yaml:1:44: tokens//(heads-1) divides by 0",
        f"block.yaml:1:44: no size named 'x'; {SIZES}",
    ]
    assert len(load(file, flags={"heads": "2"}).expect) == 2
    with pytest.raises(SettingsError) as caught:
        load(write_yaml("expect: 3"))
    said = "an entry such as q: [batch, tokens, 64] was expected below it, got 3"
    assert str(caught.value) == f"block.yaml:1:1: {said}"


def test_a_merged_entry(write_yaml):
    """What a YAML merge brings in stands where it is written, in that mapping or another."""
    file = write_yaml(
        "tensors: &all\n  q: [1]\n  deep: {k: [2]}\n"
        "expect:\n  v: [3]\n  <<: [{v: [4], scores: [1]}, *all]\n"
    )
    expected = [setting for setting in read_yaml(Path(file)) if setting.path.startswith("expect")]
    assert {setting.path: setting.where for setting in expected} == {
        "expect.v": "block.yaml:5:3",
        "expect.scores": "block.yaml:6:17",
        "expect.q": "block.yaml:2:3",
        "expect.deep.k": "block.yaml:3:10",
    }


def test_it_stands_in_a_file_alone(write_yaml):
    """As a setting of a flag or of Python's it is refused, and what to do instead is told."""
    instead = (
        "what a run must be stands in a YAML file; in Python, call trace.assert_matches({...})"
    )
    for settings in ({"sets": ["expect.q=[batch]"]}, {"expect": {"q": "batch"}}):
        for read in (load, load_subject):
            with pytest.raises(SettingsError) as caught:
                read(write_yaml("target: a.b:C" if read is load_subject else ""), **settings)
            (problem,) = caught.value.problems
            assert (problem.path, problem.message) == ("expect.q", instead)


def test_a_file_with_a_target(write_yaml):
    """Code of the user's own may expect any size, which the run will know, each at its place."""
    file = write_yaml(
        "target: a.b:C\ninputs: {x: 'batch,8'}\nsizes: {batch: 3}\n"
        "expect:\n  y: [B, any_word]\n  encoder: {k: [3]}\n  dtype: {y: float32, z: int64}\n"
    )
    loaded = load_subject(file)
    assert [(one.name, one.where) for one in loaded.expect] == [
        ("y", "block.yaml:5:3"),
        ("encoder.k", "block.yaml:6:13"),
        ("dtype.y", "block.yaml:7:11"),
        ("dtype.z", "block.yaml:7:23"),
    ]
    with pytest.raises(SettingsError) as caught:
        load_subject(write_yaml("target: a.b:C\nexpect:\n  y: [a b]\nexpct: {y: [3]}\n"))
    assert str(caught.value).splitlines() == [
        "block.yaml:4:9: unknown key 'expct'; did you mean 'expect'?",
        "block.yaml:3:3: 'a b', letter 3: a comma or an operator such as * was expected, got 'b'",
    ]


def test_sizes_that_a_block_ties():
    """Of all presets, two equal sizes that no other sizes of the block tell apart may be tied."""
    for name in names():
        spec = load(name).spec
        knobs = Knobs(spec)
        others = [knobs.changed(knobs.factors(dict.fromkeys(knobs.names, turn))) for turn in (0, 1)]
        moved = [other.sizes for other in others if other is not None]
        for one in spec.sizes:
            for two in spec.sizes:
                moves = any(sizes[one] != spec.sizes[one] for sizes in moved)
                alike = all(sizes[one] == sizes[two] for sizes in (spec.sizes, *moved))
                if moves and alike and one != two:
                    assert are_tied(one, two), (name, one, two)
