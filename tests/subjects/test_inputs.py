"""What goes in: every form of input, its values, its place in the call, and what does not fit."""

from __future__ import annotations

import pytest
import torch

from attntrace.errors import TooLargeError
from attntrace.spec import load_subject
from attntrace.subjects import opened

CODE = """
    import torch
    from torch import nn

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.words = nn.Embedding(50, 8)
            self.kinds = nn.Embedding(3, 8)
            self.norm = nn.LayerNorm(8)

        def forward(self, ids, kinds=None, *, mask=None, scale=1.0, **more):
            return self.norm(self.words(ids)) * scale

    class Image(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(5, 4, 3)
        def forward(self, image, token_ids, attn_mask, n: int, memory):
            return self.conv(image)

    class Features(nn.Module):
        def __init__(self, kind, *args):
            super().__init__()
            self.first = getattr(nn, kind)(*args)
        def forward(self, x, y=None):
            return x

    def linear(): return Features("Linear", 24, 3)
    def embedding(): return Features("Embedding", 24, 3)
    def conv1d(): return Features("Conv1d", 6, 3, 1)
    def conv3d(): return Features("Conv3d", 6, 3, 1)
    def layernorm(): return Features("LayerNorm", (5, 7))
    def gru(): return Features("GRU", 9, 3)
    def mha(): return Features("MultiheadAttention", 12, 3)
    def relu(): return Features("ReLU")

    def anything(*args, **kwargs): return args, kwargs
    def three(a, b, c=None): return a, b, c
    def only(a, /, b): return a, b
    def recipe(): return Two(), (torch.ones(1), torch.ones(2)), {"c": torch.ones(3)}
    class Two(nn.Module):
        def forward(self, a, b, c=None, d=None): return a, b, c, d
"""


@pytest.fixture(autouse=True)
def code(write):
    """Have `code.py` in the current folder."""
    return write(code=CODE)


@pytest.fixture
def given():
    """Return a function that returns what a target would be called with: args, kwargs."""

    def arguments(target, inputs, sizes=None, **run):
        spec = load_subject(f"code.py:{target}", inputs=inputs, sizes=sizes or {}, run=run).spec
        with opened(spec) as ready:
            return ready.args, ready.kwargs

    return arguments


def shapes(value):
    """Return a structure with a tensor's shape and dtype in its place."""
    if isinstance(value, torch.Tensor):
        return (*value.shape, str(value.dtype).removeprefix("torch."))
    if isinstance(value, dict):
        return {key: shapes(item) for key, item in value.items()}
    return [shapes(item) for item in value] if isinstance(value, list | tuple) else value


@pytest.mark.parametrize(
    ("inputs", "args", "kwargs"),
    [
        (["2,3", "int64[4]"], [(2, 3, "float32"), (4, "int64")], {}),
        ({"a": "2,3", "b": "bool[]"}, [], {"a": (2, 3, "float32"), "b": ("bool",)}),
        ({"0": "2,3", "b": 0.5}, [(2, 3, "float32")], {"b": 0.5}),
        ({"a": "batch,3*n", "b": "n"}, [], {"a": (13, 6, "float32"), "b": 2}),
        ({"a": [2, "n"], "b": "text"}, [], {"a": (2, 2, "float32"), "b": "text"}),
        (
            {"a": {"x": [2, 3], "y": ["4,", None]}, "b": {"shape": "5,", "dtype": "complex64"}},
            [],
            {"a": {"x": (2, 3, "float32"), "y": [(4, "float32"), None]}, "b": (5, "complex64")},
        ),
        ({"a": {"value": [2, 3]}, "b": True, "c": None}, [], {"a": [2, 3], "b": True, "c": None}),
        (["uint8[2]", "float8_e4m3fn[2]", "half[2]"], [(2, "uint8"), (2, "float8_e4m3fn"), (2, "float16")], {}),
        (["[0, 3]", "float32[]"], [(0, 3, "float32"), ("float32",)], {}),
    ],
)  # fmt: skip
def test_what_goes_where(inputs, args, kwargs, given):
    """Inputs in order and by name, tensors, scalars and structures, reach the call as they are."""
    made = given("three", inputs, {"batch": 13, "n": 2})
    assert (shapes(made[0]), shapes(made[1])) == (args, kwargs)
    on_meta = given("three", inputs, {"batch": 13, "n": 2}, device="meta")
    assert (shapes(on_meta[0]), shapes(on_meta[1])) == (args, kwargs)


def test_any_arguments_at_all(given):
    """What goes into `*args` and `**kwargs` is not judged."""
    args, kwargs = given("anything", {"0": "2,", "1": 5, "z": "3,"})
    assert (shapes(args), shapes(kwargs)) == ([(2, "float32"), 5], {"z": (3, "float32")})


def test_inputs_over_those_of_a_recipe(given):
    """What is given replaces what a recipe brings, by name or by place; the rest stays."""
    args, kwargs = given("recipe", {"1": "5,", "a": "6,", "d": "7,"})
    assert shapes(args) == [(6, "float32"), (5, "float32")]
    assert shapes(kwargs) == {"c": (3, "float32"), "d": (7, "float32")}


def test_one_place_two_ways(given):
    """An input in order and one by name that mean one parameter: the later one wins."""
    args, kwargs = given("three", {"0": "2,", "b": "3,", "a": "4,", "1": "5,"})
    assert (shapes(args), shapes(kwargs)) == ([(4, "float32"), (5, "float32")], {})


def test_the_values(given):
    """Normal numbers, ids below the smallest table, ones for a mask of numbers, random bools."""
    _, values = given(
        "Model",
        {
            "ids": "int64[200,30]",
            "scale": "200,30",
            "mask": "int64[40,30]",
            "float_mask": "40,30",
            "bool_mask": "bool[40,30]",
            "place": "arange(3,5)",
            "ones": "ones(2,)",
            "zeros": "zeros(bool[2])",
            "half": "bfloat16[100]",
        },
    )
    assert values["ids"].unique().tolist() == [0, 1, 2]
    assert abs(values["scale"].mean()) < 0.1
    assert abs(values["scale"].std() - 1) < 0.1
    assert values["mask"].unique().tolist() == [1]
    assert values["float_mask"].unique().numel() > 100
    assert values["bool_mask"].unique().tolist() == [False, True]
    assert values["place"].tolist() == [[0, 1, 2, 3, 4]] * 3
    assert values["place"].dtype == torch.int64
    assert values["place"].untyped_storage().nbytes() == 3 * 5 * 8
    assert values["ones"].tolist() == [1, 1]
    assert values["zeros"].tolist() == [False, False]
    assert values["half"].unique().numel() > 20


def test_the_values_are_seeded(given):
    """The same seed draws the same numbers, whatever the constructor drew; another one others."""
    drawn = [given("three", ["9,", "9,"], seed=seed)[0] for seed in (3, 3, 4)]
    assert torch.equal(drawn[0][0], drawn[1][0])
    assert not torch.equal(drawn[0][0], drawn[0][1])
    assert not torch.equal(drawn[0][0], drawn[2][0])


def needs(signature, names, command, more=""):
    """Return the message of inputs that are missing."""
    return (
        "SettingsError",
        (
            f"target: {signature} needs {names}; say what goes in, such as\n"
            f"        attntrace run code.py:{command}{more}"
        ),
    )


@pytest.mark.parametrize(
    ("target", "shape"),
    [
        ("linear", "2,16,24"),
        ("embedding", "'x=int64[2,16]'"),
        ("conv1d", "2,6,32"),
        ("conv3d", "2,6,8,32,32"),
        ("layernorm", "2,16,5,7"),
        ("gru", "2,16,9"),
        ("mha", "2,16,12"),
        ("relu", "2,16,64"),
    ],
)
def test_the_shape_to_start_from(target, shape, refused, run):
    """The first layer that says what it takes suggests the shape; the command line works."""
    said = shape if shape.startswith("'") else f"x={shape}"
    assert refused(f"code.py:{target}") == needs(
        "forward(x, y=None)", "x", f"{target} --input {said}"
    )
    text = shape.strip("'").removeprefix("x=")
    assert run(f"code.py:{target}", inputs={"x": text}).output is not None


def test_what_the_names_suggest(refused):
    """ids, masks and annotated numbers are suggested as what they are called."""
    assert refused("code.py:Image", inputs={"memory": "2,n"}, sizes={"n": 7}) == needs(
        "forward(image, token_ids, attn_mask, n, memory)",
        "image, token_ids, attn_mask, n",
        "Image --input memory=2,n --size n=7 --input image=2,5,32,32 --input "
        "'token_ids=int64[2,16]' --input 'attn_mask=bool[2,16]' --input n=2",
    )


@pytest.mark.parametrize(
    ("target", "inputs", "message"),
    [
        (
            "three",
            {"a": "2,", "bb": "3,", "zzz": 3},
            "inputs.bb: three(a, b, c=None) takes no 'bb'; did you mean 'b'?\ninputs.zzz: three(a, b, c=None) takes no 'zzz'",
        ),
        ("three", ["2,", "2,", "2,", "2,"], "inputs.3: three(a, b, c=None) takes 3 in order"),
        (
            "Image",
            {"img": "2,"},
            "inputs.img: forward(image, token_ids, attn_mask, n, memory) takes no 'img'; did you mean 'image'?",
        ),
    ],
)
def test_inputs_that_do_not_fit(target, inputs, message, refused):
    """Unknown names, and more than there is room for, are refused with the signature."""
    assert refused(f"code.py:{target}", inputs=inputs) == ("SettingsError", message)


def test_inputs_that_no_machine_holds(run, refused):
    """Inputs larger than the memory are refused before they are drawn, but not on meta."""
    huge = [f"{2**20},{2**22}"]
    with pytest.raises(
        TooLargeError, match=r"^the inputs take 16\.0 TiB, and cpu has .* left; use "
    ):
        run("torch:relu", inputs=huge)
    assert run("torch:relu", inputs=huge, run={"device": "meta"}).output.shape == (2**20, 2**22)
    assert (
        refused("torch:relu", inputs=[f"{2**30},{2**30},{2**30}"], run={"device": "meta"})[0]
        == "BuildError"
    )


def test_axes_of_inputs(run):
    """Rows of inputs with named sizes have them as axes, in structures too; sizes are the trace's."""
    trace = run(
        "code.py:three",
        inputs={"a": ["batch,7,dim", "2,3"], "b": {"k": "dim*batch,"}, "c": "batch,5"},
        sizes={"batch": 13, "dim": 2},
    )
    assert [(row.name, row.axes) for row in trace.tensors] == [
        ("a[0]", ("batch", "7", "dim")),
        ("a[1]", None),
        ("b['k']", ("dim*batch",)),
        ("c", ("batch", "5")),
    ]
    assert trace.facts.sizes == {"batch": 13, "dim": 2}


def test_the_number_format_of_a_model_of_ids(run):
    """A model that is given ids has the number format of its weights."""
    trace = run("code.py:Model", inputs=["int64[2,5]"], run={"dtype": "bfloat16"})
    assert (trace.tensors[0].dtype, trace.facts.environment.dtype) == ("int64", "bfloat16")
