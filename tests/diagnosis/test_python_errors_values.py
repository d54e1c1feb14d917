"""Tuples, None, arrays and lists where a tensor is wanted, and forwards that are called wrongly."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.diagnosis.plain_python import both

X = torch.ones(2, 5, 8)


def lstm():
    return nn.LSTM(8, 8, batch_first=True)


def attention():
    return nn.MultiheadAttention(8, 2, batch_first=True)


def handed_on(self, x):
    return self.fc(self.lstm(x))


def handed_on_by_name(self, x):
    out = self.lstm(x)
    return self.fc(out)


def added(self, x):
    return self.norm(x + self.attn(x, x, x))


def added_to(self, x):
    return self.attn(x, x, x) + x


def normed(self, x):
    mixed = self.attn(x, x, x)
    return self.norm(mixed)


def shape_of(self, x):
    out = self.lstm(x)
    return out.shape


def indexed(self, x):
    out = self.lstm(x)
    return out[:, -1]


def in_sequence(self, x):
    return self.net(x)


def ranked(self, x):
    best = x.max(-1)
    return F.relu(best)


@pytest.mark.parametrize(
    ("function", "kept", "rule", "fix", "tried"),
    [
        (
            handed_on,
            {"lstm": lstm(), "fc": nn.Linear(8, 8)},
            (
                "`self.fc(self.lstm(x))` needs a tensor, and `self.lstm(x)` is a tuple "
                "(output, (h, c))."
            ),
            "self.fc(self.lstm(x)[0])",
            "on cpu",
        ),
        (
            handed_on_by_name,
            {"lstm": lstm(), "fc": nn.Linear(8, 8)},
            (
                "`self.fc(out)` needs a tensor, and `out` is a tuple (output, (h, c)), which "
                "`self.lstm(x)` returns."
            ),
            "out, _ = self.lstm(x)",
            "on cpu",
        ),
        (
            handed_on_by_name,
            {"lstm": nn.GRU(8, 8, batch_first=True), "fc": nn.Linear(8, 8)},
            (
                "`self.fc(out)` needs a tensor, and `out` is a tuple (output, h), which "
                "`self.lstm(x)` returns."
            ),
            "out, _ = self.lstm(x)",
            "on cpu",
        ),
        (
            added,
            {"attn": attention(), "norm": nn.LayerNorm(8)},
            (
                "`x + self.attn(x, x, x)` needs a tensor, and `self.attn(x, x, x)` is a tuple "
                "(output, weights)."
            ),
            "x + self.attn(x, x, x)[0]",
            "on cpu",
        ),
        (
            added_to,
            {"attn": attention()},
            (
                "`self.attn(x, x, x) + x` needs a tensor, and `self.attn(x, x, x)` is a tuple "
                "(output, weights)."
            ),
            "self.attn(x, x, x)[0] + x",
            "on cpu",
        ),
        (
            normed,
            {"attn": attention(), "norm": nn.LayerNorm(8)},
            (
                "`self.norm(mixed)` needs a tensor, and `mixed` is a tuple (output, weights), which "
                "`self.attn(x, x, x)` returns."
            ),
            "mixed, _ = self.attn(x, x, x)",
            "on cpu",
        ),
        (
            shape_of,
            {"lstm": lstm()},
            (
                "A tensor has `.shape`, and `out` is a tuple (output, (h, c)), which `self.lstm(x)` "
                "returns."
            ),
            "out, _ = self.lstm(x)",
            None,
        ),
        (
            indexed,
            {"lstm": lstm()},
            (
                "A tensor has `[:, -1]`, and `out` is a tuple (output, (h, c)), which `self.lstm(x)` "
                "returns."
            ),
            "out, _ = self.lstm(x)",
            None,
        ),
        (
            in_sequence,
            {"net": nn.Sequential(lstm(), nn.Linear(8, 8))},
            (
                "`self.net[1]` needs a tensor, and the output of self.net[0] is a tuple "
                "(output, (h, c))."
            ),
            "out, _ = self.net[0](x)",
            "on cpu",
        ),
        (
            ranked,
            {},
            (
                "`F.relu(best)` needs a tensor, and `best` is a torch.return_types.max "
                "(values, indices), which `x.max(-1)` returns."
            ),
            "best, _ = x.max(-1)",
            "on cpu",
        ),
    ],
)
def test_a_tuple(function, kept, rule, fix, tried):
    """What returns a tuple is said with what is in it, and its output was tried alone."""
    found = both(function, X, **kept)
    assert (found.rule, found.fix, found.tried) == (rule, fix, tried)


def test_the_line_that_made_a_tuple():
    """It is shown, and the tensors in the tuple are operands."""
    found = both(handed_on_by_name, X, lstm=lstm(), fc=nn.Linear(8, 8))
    assert found.origin == ["out is what `self.lstm(x)` returned."]
    assert found.operands == ["out[0] (2, 5, 8)", "out[1][0] (1, 2, 8)", "out[1][1] (1, 2, 8)"]


class Own(nn.Module):
    """A module of the author's that returns what it is built with, made of its input."""

    def __init__(self, made):
        super().__init__()
        self.made = made

    def forward(self, x):
        """Return it."""
        return self.made(x)


def of_own(self, x):
    made = self.own(x)
    return self.fc(made)


@pytest.mark.parametrize(
    ("made", "said", "fix"),
    [
        (lambda x: {"logits": x}, 'a dict with `["logits"]`', 'self.fc(made["logits"])'),
        (
            lambda x: SimpleNamespace(mask=None, last_hidden_state=x),
            "a SimpleNamespace with `.last_hidden_state`",
            "self.fc(made.last_hidden_state)",
        ),
        (
            lambda x: [x, x, x],
            "a list of 3 parts, (2, 5, 8) each",
            "self.fc(torch.stack(made))",
        ),
        (
            lambda x: (x, x.mean()),
            "a tuple of 2 parts, (2, 5, 8) and ()",
            "made, _ = self.own(x)",
        ),
        (
            lambda _: np.ones((2, 8)),
            "an ndarray of shape (2, 8) and float64",
            "self.fc(torch.from_numpy(made).float())",
        ),
    ],
)
def test_what_a_module_of_the_authors_returns(made, said, fix):
    """The tensor in it is found, and was tried."""
    found = both(of_own, X, own=Own(made), fc=nn.Linear(8, 8))
    assert found.rule == (
        f"`self.fc(made)` needs a tensor, and `made` is {said}, which `self.own(x)` returns."
    )
    assert (found.fix, found.tried) == (fix, "on cpu")


class NoReturn(nn.Module):
    """Forgets to return what it makes."""

    def forward(self, x):
        """Make something of x."""
        y = x * 2  # noqa: F841


def test_a_forward_without_return():
    """The forward is named, and what its last line makes."""

    def forward(self, x):
        x = self.block(x)
        return x.shape

    found = both(forward, X, block=NoReturn())
    assert found.rule == "A tensor has `.shape`, and `x` is None: `self.block` returns nothing."
    assert found.origin == [
        "x is what `self.block(x)` returned.",
        "`self.block` returns nothing: NoReturn.forward has no `return`.",
    ]
    assert found.fixes[0] == "end NoReturn.forward with a return: `return y`"


def masked(self, x, mask=None):
    return x + mask


def reshaped(self, x, mask=None):
    return x.masked_fill(mask.unsqueeze(1), 0)


def filled(self, x, mask=None):
    return x.masked_fill(mask, 0)


@pytest.mark.parametrize(
    ("function", "wants", "fix"),
    [
        (masked, "`x + mask` needs a tensor", "x + mask if mask is not None else x"),
        (reshaped, "A tensor has `.unsqueeze`", "if mask is not None:"),
        (
            filled,
            "`x.masked_fill(mask, 0)` needs a tensor",
            "x.masked_fill(mask, 0) if mask is not None else x",
        ),
    ],
)
def test_an_optional_argument(function, wants, fix):
    """A parameter that has None as its default is said with the signature."""
    found = both(function, X)
    signature = f"{function.__name__}(x, mask=None)"
    assert found.rule == f"{wants}, and `mask` is None, as {signature} was given no other."
    assert found.origin[0] == f"mask=None is the default of {signature}."
    assert found.fixes[0] == f"hand mask over where {function.__name__} is called: `mask=...`"
    assert f"`{fix}`" in found.fixes[1]


class NoBias(nn.Module):
    """Adds a bias that it was built without."""

    def __init__(self):
        super().__init__()
        self.bias = None

    def forward(self, x):
        """Return the sum."""
        return x + self.bias


def test_an_attribute_that_is_none():
    """The line that sets it is shown."""

    def forward(self, x):
        return self.add(x)

    found = both(forward, X, add=NoBias())
    assert found.rule == "`x + self.bias` needs a tensor, and `self.bias` is None."
    assert found.origin == ["self.bias is set to None."]
    assert found.fix == "x + self.bias if self.bias is not None else x"


class Two(nn.Module):
    """Takes two inputs."""

    def forward(self, x, mask):
        """Return the first."""
        return x, mask


def missing(self, x):
    return self.own(x)


def missing_though_there(self, x):
    mask = x > 0
    return self.own(x), mask


def surplus(self, x):
    return self.own(x, x, x)


def misspelt(self, x):
    return self.own(x, msk=x)


def two_inputs(self, x):
    return self.net(x, x)


@pytest.mark.parametrize(
    ("function", "rule", "fix"),
    [
        (
            missing,
            "Two.forward(x, mask) needs mask, which is not given in `self.own(x)`.",
            "hand over mask: `self.own(x, mask=...)`",
        ),
        (
            missing_though_there,
            "Two.forward(x, mask) needs mask, which is not given in `self.own(x)`.",
            "self.own(x, mask=mask)",
        ),
        (
            surplus,
            "`self.own(x, x, x)` gives 3 arguments in order, and Two.forward(x, mask) takes 2.",
            "self.own(x, x)",
        ),
        (
            misspelt,
            "`self.own(x, msk=x)` gives msk, and Two.forward(x, mask) takes no msk.",
            "self.own(x, mask=x)",
        ),
        (
            two_inputs,
            "`self.net(x, x)` gives 2 arguments in order, and Sequential.forward(input) takes 1.",
            "for layer in self.net: x = layer(x, x)",
        ),
    ],
)
def test_arguments_of_a_forward(function, rule, fix):
    """The signature stands beside the call."""
    found = both(function, X, own=Two(), net=nn.Sequential(nn.Linear(8, 8)))
    assert (found.rule, found.fix) == (rule, fix)
    assert found.operands[0] == "x (2, 5, 8)"


def attribute(self, x):
    return x.view(2, 5, self.nheads, -1)


def function_of_torch(self, x):
    return torch.softmx(x, -1)


def functional(self, x):
    return F.geluu(x)


def method(self, x):
    return x.veiw(2, -1)


def of_arrays(self, x):
    return x.astype(torch.float32)


def name(self, x):
    return F.softmax(xs, -1)  # noqa: F821


def key(self, x):
    return self.parts["b"](x)


def place(self, x):
    return self.layers[5](x)


@pytest.mark.parametrize(
    ("function", "rule", "fix"),
    [
        (
            attribute,
            "`self`, a Kept, has no attribute `nheads`; it has `num_heads`.",
            "self.num_heads",
        ),
        (
            functional,
            "`F` has no attribute `geluu`; it has `gelu`, `glu` and `elu_`.",
            "F.gelu",
        ),
        (
            method,
            "`x`, a Tensor, has no attribute `veiw`; it has `view` and `view_as`.",
            "x.view",
        ),
        (name, "The name `xs` is not defined; there is `x`.", "x"),
        (key, "`self.parts` has no key 'b': its keys are 'a' and 'c'.", None),
        (
            place,
            "`self.layers[5]` asks for one more than there are: self.layers has 1 entry, 0 to 0.",
            "self.layers[-1]",
        ),
    ],
)
def test_what_is_not_there(function, rule, fix):
    """Like names are offered."""
    parts = nn.ModuleDict({"a": nn.Linear(8, 8), "c": nn.Linear(8, 8)})
    layers = nn.ModuleList([nn.Linear(8, 8)])
    found = both(function, X, num_heads=2, parts=parts, layers=layers)
    assert (found.rule, found.fix) == (rule, fix)


def test_a_function_that_torch_has_not():
    """Torch's own is offered, and what arrays have is said in torch's words."""
    assert both(function_of_torch, X).fix == "torch.softmax"
    assert both(of_arrays, X).fix == "x.to(torch.float32)"


def called(self, x):
    return self.layers(x)


@pytest.mark.parametrize(
    ("layers", "rule", "fix"),
    [
        (
            nn.ModuleList([nn.Linear(8, 8)]),
            (
                "`self.layers(x)` calls `self.layers`: that is an nn.ModuleList, which only holds "
                "layers and has no forward."
            ),
            "for layer in self.layers: x = layer(x)",
        ),
        (
            [nn.Linear(8, 8)],
            "`self.layers(x)` calls `self.layers`: that is a list of layers and no module itself.",
            "for layer in self.layers: x = layer(x)",
        ),
        (
            nn.Parameter(torch.ones(8)),
            "`self.layers(x)` calls `self.layers`: that is a Parameter.",
            "x @ self.layers",
        ),
    ],
)
def test_what_cannot_be_called(layers, rule, fix):
    """Lists are gone through, and tensors multiplied."""
    found = both(called, X, layers=layers)
    assert (found.rule, found.fix) == (rule, fix)


class Misnamed(nn.Module):
    """Has its forward under another name."""

    def foward(self, x):
        """Return x."""
        return x


def test_a_module_without_forward():
    """A name that is nearly it is offered."""
    found = both(missing, X, own=Misnamed())
    assert found.rule == (
        "Misnamed has no forward, which a call of the module runs; it has `foward`."
    )
    assert found.fixes == ["rename `foward` to `forward`"]


def whole_parameter(self, x):
    return x + nn.Parameter(torch.arange(8))


def test_a_parameter_of_whole_numbers():
    """Made float it is one, which was tried."""
    found = both(whole_parameter, X)
    assert found.rule == (
        "A parameter has a gradient, which only floats have, and torch.arange(8) is int64."
    )
    assert (found.fix, found.tried) == ("nn.Parameter(torch.arange(8).float())", "on cpu")


class Early(nn.Module):
    """Keeps a layer before it can."""

    def __init__(self):
        self.fc = nn.Linear(8, 8)
        super().__init__()


def built(self, x):
    return Early()(x)


def test_a_module_before_its_constructor():
    """What comes first is said."""
    found = both(built, X)
    assert found.rule == (
        "`self.fc` is assigned before `super().__init__()`, which makes the places where Early "
        "keeps its modules and parameters."
    )
    assert found.fix == "super().__init__()"


def number_looped(self, x):
    return [step for step in x.shape[0]]  # noqa: C416


def shape_called(self, x):
    return x.shape(0)


def size_indexed(self, x):
    return x.size[0]


def axis_of_arrays(self, x):
    return F.softmax(x, axis=-1)


def none_apart(self, x):
    out, weights = self.block(x)
    return out + weights


def device_for_format(self, x):
    return x.to("float16")


@pytest.mark.parametrize(
    ("function", "rule", "fix"),
    [
        (
            number_looped,
            "A loop goes through many, and `x.shape[0]` is one number, 2.",
            "range(x.shape[0])",
        ),
        (
            shape_called,
            "`x.shape(0)` calls `x.shape`: that is a Size.",
            "x.shape[0]",
        ),
        (size_indexed, "`x.size[0]` indexes `x.size`: that is a method.", "x.size(0)"),
        (
            none_apart,
            (
                "`out, weights = self.block(x)` takes a value apart, and `self.block(x)` is None: "
                "`self.block` returns nothing."
            ),
            "return y",
        ),
        (
            device_for_format,
            "`x.to(\"float16\")` takes a text for a device, and 'float16' is a number format.",
            "x.to(torch.float16)",
        ),
    ],
)
def test_slips_of_the_pen(function, rule, fix):
    """What was asked is said, and what asks it rightly is offered."""
    found = both(function, X, block=NoReturn())
    assert (found.rule, found.fix) == (rule, fix)


def test_a_keyword_of_arrays():
    """`axis` is `dim` in torch."""
    assert both(axis_of_arrays, X).fix == "F.softmax(x, dim=-1)"


class Uneven(nn.Module):
    """Divides heads where it should divide whole numbers."""

    def __init__(self, dim=8, heads=2):
        super().__init__()
        self.head_dim = dim / heads

    def forward(self, x):
        """Return x by heads."""
        return x[..., : self.head_dim]


def test_a_float_that_a_constructor_made():
    """The line of the constructor is shown and mended."""
    found = both(lambda self, x: self.own(x), X, own=Uneven())
    assert found.origin == ["self.head_dim is a float: `dim / heads`."]
    assert (found.fix, found.tried) == ("self.head_dim = dim // heads", "on cpu")


def of_a_lost_tuple(self, x):
    return self.own(x).shape


def list_misspelt(self, x):
    outs = [x]
    outs.appnd(x)
    return outs


def of_an_object(self, x):
    out = self.own(x)
    return out.logits


@pytest.mark.parametrize(
    ("function", "made", "rule", "fix"),
    [
        (
            of_a_lost_tuple,
            lambda x: (x, x),
            "A tensor has `.shape`, and `self.own(x)` is a tuple and no tensor.",
            "self.own(x)[0].shape",
        ),
        (
            list_misspelt,
            None,
            "`outs`, a list, has no attribute `appnd`; it has `append`.",
            "outs.append",
        ),
        (
            of_an_object,
            lambda x: SimpleNamespace(hidden=x),
            "`out`, a SimpleNamespace, has no attribute `logits`; it has `hidden`.",
            None,
        ),
    ],
)
def test_attributes_of_what_is_no_module(function, made, rule, fix):
    """A tuple of which a tensor's attribute is asked is no tensor; other objects have others."""
    found = both(function, X, own=Own(made))
    assert (found.rule, found.fix) == (rule, fix)
