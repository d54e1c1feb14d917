"""The grammar of inputs: what each text, list and mapping asks for, and what is nearly a shape."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attntrace.notation.dtypes import DTYPES
from attntrace.spec.document import parse_value
from attntrace.spec.subject.tensors import FILLS, TensorOf, quoted, tensors_of, wanted

DIMS = st.lists(
    st.one_of(
        st.integers(0, 10**6),
        st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True),
        st.just("heads*head_dim"),
        st.just("2*tokens"),
    ),
    max_size=6,
)
NOT_A_SHAPE = (
    "a shape has whole numbers >= 0 or names of sizes, such as 2,128,512 or int64[2,128]; got "
)


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("2,128,512", TensorOf((2, 128, 512))),
        ("[2,128,512]", TensorOf((2, 128, 512))),
        ("[ 2, 128 ,512 ]", TensorOf((2, 128, 512))),
        ("2, 128", TensorOf((2, 128))),
        ("[128]", TensorOf((128,))),
        ("128,", TensorOf((128,))),
        ("0,3", TensorOf((0, 3))),
        ("float32[]", TensorOf((), "float32")),
        ("float32[2,128]", TensorOf((2, 128), "float32")),
        ("torch.int64[2,128]", TensorOf((2, 128), "int64")),
        ("bool[1,1,8,8]", TensorOf((1, 1, 8, 8), "bool")),
        ("long[3,]", TensorOf((3,), "int64")),
        ("int[3]", TensorOf((3,), "int32")),
        ("half[3]", TensorOf((3,), "float16")),
        ("float[3]", TensorOf((3,), "float32")),
        ("double[3]", TensorOf((3,), "float64")),
        ("complex64[3]", TensorOf((3,), "complex64")),
        ("zeros(2,8)", TensorOf((2, 8), fill="zeros")),
        ("ones(bool[2,8])", TensorOf((2, 8), "bool", "ones")),
        ("arange(128)", TensorOf((128,), fill="arange")),
        ("arange(int32[2,8])", TensorOf((2, 8), "int32", "arange")),
        ("zeros()", TensorOf((), fill="zeros")),
        ("batch,tokens,64", TensorOf(("batch", "tokens", 64))),
        ("batch,heads*head_dim", TensorOf(("batch", "heads*head_dim"))),
        ("batch, 2 * heads", TensorOf(("batch", "2*heads"))),
        ("{shape: [2, 8]}", TensorOf((2, 8))),
        ("{shape: '2,n', dtype: long, fill: ones}", TensorOf((2, "n"), "int64", "ones")),
        ("{shape: 5, dtype: bool}", TensorOf((5,), "bool")),
        ("{shape: []}", TensorOf(())),
        ("0.5", 0.5),
        ("true", True),
        ("5", 5),
        ("-3", -3),
        ("text", "text"),
        ("two words, or three", "two words, or three"),
        ("null", None),
        ("{value: [2, 3]}", [2, 3]),
        ("{value: 'a,b'}", "a,b"),
        ("[]", []),
        ("{}", {}),
        ("[[2, 3], [4]]", [TensorOf((2, 3)), TensorOf((4,))]),
        ("['int64[2,3]', 0.5]", [TensorOf((2, 3), "int64"), 0.5]),
        ("{ids: 'int64[2,3]', n: 4}", {"ids": TensorOf((2, 3), "int64"), "n": 4}),
        ("{shape: [2], other: 3}", {"shape": TensorOf((2,)), "other": 3}),
    ],
)
def test_what_a_text_asks_for(text, asked):
    """Each form of an input, as YAML or on the command line, is read as it is documented."""
    assert wanted(parse_value(text)) == asked


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("2,-1", f"{NOT_A_SHAPE}'2,-1'"),
        ("int64[2,x y]", f"{NOT_A_SHAPE}'int64[2,x y]'"),
        ("{shape: [2.5]}", f"{NOT_A_SHAPE}'[2.5]'"),
        ("flaot32[2]", "no number format 'flaot32'; did you mean 'float32'?"),
        (
            "{shape: [2], dtype: zzz}",
            (
                "no number format 'zzz'; there are float64, float32, bfloat16, float16, float8_e4m3fn, "
                "float8_e5m2, int64, int32, int16, int8, uint8, bool, complex64, complex128"
            ),
        ),
        ("{shape: [2], dtype: 3}", "dtype must be text such as int64; got 3"),
        ("{shape: 2, fill: noise}", "fill must be one of random, zeros, ones, arange; got 'noise'"),
        ("zeros(a b)", "zeros(...) has a shape inside, such as zeros(2,128); got 'a b'"),
        ("ones(zeros(2))", "ones(...) has a shape inside, such as ones(2,128); got 'zeros(2)'"),
    ],
)
def test_what_is_nearly_a_shape(text, message):
    """A shape with a mistake in it is refused, with what a shape may be."""
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        wanted(parse_value(text))


@given(DIMS, st.sampled_from([None, *DTYPES]), st.sampled_from(FILLS))
def test_what_is_asked_for_can_be_written(dims, dtype, fill):
    """The text of a tensor, read again through YAML, asks for the same tensor."""
    asked = TensorOf(tuple(dims), dtype, fill)
    again = wanted(parse_value(str(asked)))
    assert again == (asked if dims or dtype or fill != "random" else [])


@given(st.lists(st.integers(0, 999), min_size=1, max_size=6))
def test_every_way_to_write_a_shape(sizes):
    """Commas, brackets, a list and a mapping say the same shape."""
    comma = ",".join(map(str, sizes))
    ways = [f"{comma},", f"[{comma}]", f"{{shape: [{comma}]}}", f"{{shape: '{comma}'}}"]
    assert [wanted(parse_value(way)).shape({}) for way in ways] == [tuple(sizes)] * 4


def test_the_shape_of_named_sizes():
    """Names and products come to numbers, and are the axes; plain numbers have no axes."""
    asked = TensorOf(("batch", 7, "heads*head_dim", "2*heads"))
    assert asked.shape({"batch": 13, "heads": 3, "head_dim": 5}) == (13, 7, 15, 6)
    assert list(asked.names) == ["batch", "heads", "head_dim", "heads"]
    assert asked.axes == ("batch", "7", "heads*head_dim", "2*heads")
    assert TensorOf((2, 3)).axes is None


def test_tensors_in_a_structure():
    """Tensors are found in lists and mappings of lists."""
    asked = wanted({"a": [[2], "int64[3]"], "b": {"c": "4,", "d": 0.5}})
    assert [tensor.dims for tensor in tensors_of(asked)] == [(2,), (3,), (4,)]


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("int64[2,128]", "int64[2,128]"),
        ("{ids: int64[2, 8], mask: ones(2,8)}", '{ids: "int64[2, 8]", mask: "ones(2,8)"}'),
        ("{ids: zeros(int64[b]), n: 3}", '{ids: "zeros(int64[b])", n: 3}'),
        ("[torch.int64[2], [2,3], 'ones(2)']", "[\"torch.int64[2]\", [2,3], 'ones(2)']"),
        ("[[int8[2], x], {y: [2, 3]}]", '[["int8[2]", x], {y: [2, 3]}]'),
    ],
)
def test_shapes_between_braces(text, read):
    """A shape with brackets of its own needs no quotes in a mapping or a list."""
    assert quoted(text) == read


def test_a_shape_that_a_mapping_takes_apart():
    """Of {x: 2,128} YAML makes two keys: it is refused, not passed on."""
    with pytest.raises(ValueError, match="between braces has brackets, such as"):
        wanted({"x": 2, 128: None})
