"""From a traceback to the call that failed, with everything that it was given."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import attntrace
from attntrace.analysis.diagnosis import Given
from attntrace.capture.failed.crashed import crashed

X, Q, K = torch.ones(2, 5, 8), torch.ones(2, 4, 5, 3), torch.ones(2, 4, 5, 3)
IDS, MASK = torch.arange(9), torch.ones(5, 7, dtype=torch.bool)


class Author(nn.Module):
    """A module of the author's own: what it returns is lost when its line fails."""

    def forward(self, x):
        return x * 2


class Model(nn.Module):
    """Calls whatever it is asked to."""

    def __init__(self):
        super().__init__()
        self.qkv, self.norm, self.table = nn.Linear(7, 24), nn.LayerNorm(9), nn.Embedding(4, 8)
        self.conv, self.heads = nn.Conv2d(3, 6, 3, bias=False), 4
        self.net = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(17, 3))
        self.attn, self.rnn = nn.MultiheadAttention(8, 2), nn.LSTM(6, 5)
        self.own, self.loss = Author(), nn.CrossEntropyLoss(label_smoothing=0.1)
        self.pos = nn.Parameter(torch.ones(1, 6, 8))

    def forward(self, call):
        return call(self)


MODEL = Model()


def call_of(function):
    """Return the call that fails in a function of the model."""
    with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever it is
        MODEL(function)
    return crashed(caught.value).call


def brief(value):
    """Return a tensor by name and shape, anything else as it is."""
    if isinstance(value, Given):
        return value.name, value.shape
    if isinstance(value, (tuple, list)):
        return [brief(part) for part in value]
    return value


def matmul(self):
    return Q @ K


def lost(self):
    return (Q * self.heads**-0.5) @ torch.cat([K, K], dim=-1).transpose(-2, -1)


def reflected(self):
    return [1, 2] - Q


def added(self):
    return X + self.pos


def in_place(self):
    x = X
    x += self.pos
    return x


def compared(self):
    return X > MASK


def indexed(self):
    return X[:, 7]


def masked(self):
    return X[MASK]


def stored(self):
    X[0, :] = MASK


def negated(self):
    return -MASK


def branched(self):
    if X > 0:
        return 1
    return 2


def viewed(self):
    return X.view(2, 5, self.heads, -1, 3)


def starred(self):
    return X.view(*X.shape[:-1], self.heads, 3)


def joined(self):
    return torch.cat([X, self.norm.weight], dim=1)


def given_by_name(self):
    return torch.einsum("bij,bkj->bik", X, K[0].half()).add(other=X[:, :3], alpha=2)


def functional(self):
    return F.cross_entropy(X.view(-1, 8), IDS, reduction="sum")


def unpacked(self):
    a, b = X.shape
    return a, b


def unpacked_size(self):
    (a, b, c, d) = X[0].size()
    return a, b, c, d


def unpacked_tensor(self):
    q, k, v = X
    return q, k, v


def unpacked_value(self):
    a, *rest, b, c = X.shape[-2:]
    return a, rest, b, c


@pytest.mark.parametrize(
    ("function", "op", "args", "kwargs"),
    [
        (matmul, "matmul", [("Q", (2, 4, 5, 3)), ("K", (2, 4, 5, 3))], {}),
        (
            lost,
            "matmul",
            [
                ("Q * self.heads**-0.5", (2, 4, 5, 3)),
                ("torch.cat([K, K], dim=-1).transpose(-2, -1)", (2, 4, 6, 5)),
            ],
            {},
        ),
        (reflected, "rsub", [[1, 2], ("Q", (2, 4, 5, 3))], {}),
        (added, "add", [("X", (2, 5, 8)), ("self.pos", (1, 6, 8))], {}),
        (in_place, "add_", [("x", (2, 5, 8)), ("self.pos", (1, 6, 8))], {}),
        (compared, "gt", [("X", (2, 5, 8)), ("MASK", (5, 7))], {}),
        (indexed, "getitem", [("X", (2, 5, 8)), [slice(None), 7]], {}),
        (masked, "getitem", [("X", (2, 5, 8)), ("MASK", (5, 7))], {}),
        (stored, "setitem", [("X", (2, 5, 8)), [0, slice(None)], ("MASK", (5, 7))], {}),
        (negated, "neg", [("MASK", (5, 7))], {}),
        (branched, "bool", [("X > 0", (2, 5, 8))], {}),
        (viewed, "view", [("X", (2, 5, 8)), 2, 5, 4, -1, 3], {}),
        (starred, "view", [("X", (2, 5, 8)), 2, 5, 4, 3], {}),
        (joined, "cat", [[("X", (2, 5, 8)), ("self.norm.weight", (9,))]], {"dim": 1}),
        (
            functional,
            "cross_entropy",
            [("X.view(-1, 8)", (10, 8)), ("IDS", (9,))],
            {"reduction": "sum"},
        ),
        (unpacked, "unpack", [("X", (2, 5, 8)), 2], {"names": ["a", "b"], "of": "shape"}),
        (
            unpacked_size,
            "unpack",
            [("X[0]", (5, 8)), 4],
            {"names": ["a", "b", "c", "d"], "of": "shape"},
        ),
        (
            unpacked_tensor,
            "unpack",
            [("X", (2, 5, 8)), 3],
            {"names": ["q", "k", "v"], "of": "value"},
        ),
        (
            unpacked_value,
            "unpack",
            [[5, 8], 4],
            {"names": ["a", "*rest", "b", "c"], "of": "value", "whole": ("X", (2, 5, 8))},
        ),
    ],
    ids=lambda given: getattr(given, "__name__", None),
)
def test_what_a_call_was_given(function, op, args, kwargs):
    """The op as torch names it, each tensor by the author's expression, the rest as data."""
    call = call_of(function)
    named = {key: brief(value) for key, value in call.kwargs.items()}
    assert (call.op, brief(call.args), named) == (op, args, kwargs)
    for key, _ in call.tensors():
        if op != "unpack" and key in call.spans:
            begin, end = call.spans[key]
            assert call.text[begin:end]


def test_a_tensor_in_all_its_detail():
    """Format, device and layout are there, of whole numbers the range, of a parameter the path."""
    call = call_of(functional)
    assert (call[1].least, call[1].most, call[1].dtype) == (0, 8, "int64")
    weight = call_of(joined).args[0][1]
    assert (weight.path, weight.requires_grad, weight.stride) == ("norm.weight", True, (1,))
    assert call_of(lost)[1].stride == (120, 30, 1, 6)


def linear(self):
    return self.qkv(X)


def layer_norm(self):
    return self.norm(self.own(X))


def embedding(self):
    return self.table(IDS)


def conv(self):
    return self.conv(X[None])


def deeper(self):
    return self.net(X)


def attention(self):
    return self.attn(X, X, value=X, key_padding_mask=MASK)


def recurrent(self):
    return self.rnn(X)


def loss(self):
    return self.loss(X[0], IDS)


@pytest.mark.parametrize(
    ("function", "op", "module", "args"),
    [
        (linear, "linear", "self.qkv", [("X", (2, 5, 8)), ("self.qkv.weight", (24, 7)),
                                        ("self.qkv.bias", (24,))]),
        (layer_norm, "layer_norm", "self.norm", [
            ("self.own(X)", (2, 5, 8)), [9], ("self.norm.weight", (9,)), ("self.norm.bias", (9,)),
            1e-05]),
        (embedding, "embedding", "self.table", [("IDS", (9,)), ("self.table.weight", (4, 8)),
                                                None, None, 2.0, False, False]),
        (conv, "conv2d", "self.conv", [("X[None]", (1, 2, 5, 8)), ("self.conv.weight", (6, 3, 3, 3)),
                                       None, [1, 1], [0, 0], [1, 1], 1]),
        (deeper, "linear", "self.net[2]", [("its input", (2, 5, 16)),
                                           ("self.net[2].weight", (3, 17)),
                                           ("self.net[2].bias", (3,))]),
        (attention, "MultiheadAttention", "self.attn", [("X", (2, 5, 8)), ("X", (2, 5, 8))]),
        (recurrent, "LSTM", "self.rnn", [("X", (2, 5, 8))]),
        (loss, "cross_entropy", "self.loss", [("X[0]", (5, 8)), ("IDS", (9,))]),
    ],
    ids=lambda given: getattr(given, "__name__", None),
)  # fmt: skip
def test_a_module_of_torchs(function, op, module, args):
    """The function below it with its weights, or its type; what it was given, also if it is lost."""
    call = call_of(function)
    assert (call.op, call.module.text, brief(call.args)) == (op, module, args)
    assert call.module.path == module.removeprefix("self.").replace("[2]", ".2")


def test_the_settings_of_a_module():
    """What its constructor takes is there, and so are its keywords and paths."""
    call = call_of(attention)
    assert call.module.settings["num_heads"] == 2
    assert brief(call.kwargs["key_padding_mask"]) == ("MASK", (5, 7))
    assert call_of(deeper)[1].path == "net.2.weight"


def raises(self):
    raise ValueError("mine")


def asserts(self):
    assert X.shape == K.shape, "mine"


def missing(self):
    return {"a": X}["b"]


def too_few(self):
    return self.own()


def of_the_authors(self):
    return self.own(X) @ self.own.no_such


@pytest.mark.parametrize("function", [raises, asserts, missing, too_few])
def test_what_is_no_call_of_torchs(function):
    """An error of the author's own has a text and a message, and no op."""
    call = call_of(function)
    assert (call.op, call.args) == ("", ())
    assert call.message


def lost_for_good(self):
    return self.own(X) @ X


def test_what_the_authors_module_returned_is_lost():
    """It is said by its text, and the other operand is there."""
    call = call_of(lost_for_good)
    assert (call.op, brief(call.args)) == ("matmul", ["<self.own(X)>", ("X", (2, 5, 8))])


class Hostile(nn.Module):
    """Whatever is looked at but its own attributes raises."""

    def __init__(self):
        super().__init__()
        self.scale, self.asked = 2.0, []

    def __getattr__(self, name):
        if name == "forward":
            return super().__getattr__(name)
        raise RuntimeError(f"asked for {name}")

    def __repr__(self):
        raise RuntimeError("broken repr")

    @property
    def width(self):
        self.asked.append("width")
        raise RuntimeError("has effects")

    def forward(self, x):
        return (x * self.scale).view(3, 3)


class Said(Exception):  # noqa: N818
    """An error that cannot be printed."""

    def __str__(self):
        raise RuntimeError("broken str")


def test_hostile_objects_are_left_alone():
    """No `__getattr__`, no property, no `__repr__` of the author's is run."""
    module = Hostile()
    with pytest.raises(RuntimeError) as caught:
        module(torch.ones(2, 4))
    call = crashed(caught.value).call
    assert (call.op, brief(call[0])) == ("view", ("x * self.scale", (2, 4)))
    assert module.asked == []


def test_an_error_that_cannot_be_printed():
    """Its message is what Python shows then."""

    def fails(self):
        raise Said

    assert call_of(fails).message == "<exception str() failed>"


def test_an_error_that_nobody_raised():
    """There is no call to tell of."""
    assert crashed(ValueError("never raised")) is None


def test_the_root_and_the_path():
    """The outermost module is known, and where in it the author's forward was running."""
    outer = nn.Sequential(nn.Identity(), MODEL)
    outer[0].forward = lambda x: x
    with pytest.raises(RuntimeError) as caught:
        outer(matmul)
    crash = crashed(caught.value)
    assert (crash.root, crash.path) == (outer, "1")


def test_a_program_on_the_command_line(monkeypatch):
    """`python -c` has a source, too, which the interpreter keeps, here within a comprehension."""
    program = "[q @ torch.ones(3, 7).T for q in [torch.ones(2, 5)]]\n"
    monkeypatch.setattr("attntrace.capture.source._command", lambda: [program])
    with pytest.raises(RuntimeError) as caught:
        exec(program, {"torch": torch})  # noqa: S102
    call = crashed(caught.value).call
    assert (call.op, call.text, brief(call.args)) == (
        "matmul", "q @ torch.ones(3, 7).T", [("q", (2, 5)), ("torch.ones(3, 7).T", (7, 3))]
    )  # fmt: skip


def test_a_cell_of_a_notebook():
    """Its source is where IPython puts it: in linecache, under a name that is no file."""
    import linecache

    text, name = "q = torch.ones(2, 5)\nq @ q\n", "/tmp/ipykernel_7/4.py"  # noqa: S108
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    with pytest.raises(RuntimeError) as caught:
        exec(compile(text, name, "exec"), {"torch": torch})  # noqa: S102
    call = crashed(caught.value).call
    assert (call.op, call.text, brief(call.args)) == (
        "matmul", "q @ q", [("q", (2, 5)), ("q", (2, 5))]
    )  # fmt: skip


def test_a_large_tensor_is_not_looked_through():
    """Of more than 2**22 ids the range is not known; nor are they copied."""
    ids = torch.zeros(1, dtype=torch.long).expand(2**40)

    def large(self):
        return ids.view(3)

    call = call_of(large)
    assert (call[0].shape, call[0].least) == ((2**40,), None)


OF_TORCH = {
    "Linear": (
        nn.Linear(48, 4),
        "`Linear` takes in_features=48, but the last size of input is 40.",
    ),
    "LSTM": (
        nn.LSTM(48, 4),
        "`nn.LSTM` was built for input_size=48, and the last size of input (2, 5, 40) is 40.",
    ),
    "TransformerEncoderLayer": (
        nn.TransformerEncoderLayer(48, 4),
        (
            "`TransformerEncoderLayer` was built for d_model=48, "
            "and the last size of src (2, 5, 40) is 40."
        ),
    ),
}


@pytest.mark.parametrize(("module", "rule"), OF_TORCH.values(), ids=OF_TORCH)
def test_a_module_of_torchs_that_no_line_of_the_authors_calls(module, rule):
    """Traced by itself, it has the names of its forward's parameters and of its class."""
    with pytest.raises(attntrace.ForwardError) as caught:
        attntrace.trace(module, torch.randn(2, 5, 40))
    found = caught.value.diagnosis
    assert (found.rule, found.source, found.operands[0].row) == (rule, None, 0)
    assert found.fixes[0].tried == "on cpu"
