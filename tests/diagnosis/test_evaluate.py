"""What expressions stood for, told without running a line of the author's code."""

from __future__ import annotations

import ast
import math
import sys
from collections import OrderedDict, UserDict, defaultdict
from dataclasses import dataclass
from typing import NamedTuple

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from attntrace.capture.failed.values.evaluate import Values
from attntrace.capture.failed.values.reading import Unknown

RAN = []
"""What of the author's code was run, which must be nothing."""
NAMES = (math, F)
"""Which stand in expressions below."""


class Hostile:
    """Everything about it runs code."""

    def __getattr__(self, name):
        RAN.append(name)
        raise RuntimeError(name)

    def __getitem__(self, key):
        RAN.append(key)
        raise RuntimeError(key)

    def __call__(self):
        RAN.append("call")

    def __bool__(self):
        RAN.append("bool")
        raise RuntimeError

    def __len__(self):
        RAN.append("len")
        raise RuntimeError

    def __add__(self, other):
        RAN.append("add")
        raise RuntimeError

    def __repr__(self):
        RAN.append("repr")
        raise RuntimeError

    @property
    def width(self):
        RAN.append("width")
        return 7


class Point(NamedTuple):
    """A tuple whose fields have names."""

    at: torch.Tensor


class Slotted:
    """Keeps its attribute in a slot."""

    __slots__ = ("empty", "width")

    def __init__(self):
        self.width = 5


@dataclass
class Config:
    """Plain data."""

    heads: int = 4


class Model(nn.Module):
    """Has parameters, buffers, modules and plain attributes."""

    KIND = "model"

    def __init__(self):
        super().__init__()
        self.config, self.slotted, self.__hidden = Config(), Slotted(), 3
        self.qkv, self.norm = nn.Linear(8, 24), nn.LayerNorm(8)
        self.layers = nn.ModuleList([nn.Linear(8, 2), nn.Linear(8, 3)])
        self.by_name = nn.ModuleDict({"a": nn.Linear(8, 4)})
        self.drop, self.lstm = nn.Dropout(0.5), nn.LSTM(8, 6, batch_first=True)
        self.net = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.BatchNorm1d(16))
        self.register_buffer("mask", torch.ones(5, 5, dtype=torch.bool))

    @property
    def width(self):
        RAN.append("width")
        return 8

    def forward(self, x):
        return x

    def frame(self, x, q, k, ids, **more):
        """Return a frame in which these names are known."""
        state = {"h": x, 3: q}
        point = Point(k)
        hostile = Hostile()
        del more
        return sys._getframe(), state, point, hostile


MODEL = Model()
FRAME = MODEL.frame(
    torch.ones(2, 5, 8), torch.ones(2, 4, 5, 3), torch.ones(2, 4, 5, 3), torch.arange(9)
)[0]
DEFAULTS, ORDERED = defaultdict(list), OrderedDict(a=torch.ones(3))
USERS = UserDict(a=1)


def value(text):
    """Return what an expression stands for."""
    return Values(FRAME).of(ast.parse(text, mode="eval").body)


def seen(found):
    """Return a tensor by what is known of it, anything else as it is."""
    if isinstance(found, torch.Tensor):
        return tuple(found.shape), found.dtype
    return tuple(map(seen, found)) if isinstance(found, (tuple, list)) else found


@pytest.mark.parametrize(
    "text",
    [
        "x", "self.qkv.weight", "self.mask", "self.config.heads", "self.slotted.width", "self.KIND",
        "self.__hidden", "self.layers[1].weight", "self.by_name['a'].bias", "state['h']",
        "state[3].shape", "point.at", "point[0]", "ORDERED['a']", "x.shape[-1]", "x.size(1)",
        "x.shape[:-1] + (4, 2)", "x.shape[0] * self.config.heads // 3 - 1", "-x.ndim", "2**3",
        "x.dtype", "math.sqrt(q.size(-1))", "int(x.shape[1] ** 0.5)", "len(x)", "x.shape.numel()",
        "[x, q][1]", "(x, *[q, k])", "state.get('h')", "state.get('no', 3)", "x if 1 > 2 else q",
        "None or x", "x is None", "not 3", "torch.finfo(x.dtype).min", "x[0]", "x[:, None, -1]",
        "x[..., 1:3]", "x[0].T", "x.mT", "k.transpose(-2, -1)", "q * 2.0", "q @ k.mT", "1 - q",
        "q * self.config.heads ** -0.5", "x.softmax(-1)", "torch.cat([x, x], dim=-1)", "-q",
        "F.pad(x, (1, 2))", "F.softmax(q @ k.transpose(2, 3), dim=-1)", "self.norm(x)",
        "self.qkv(x).chunk(3, dim=-1)", "self.qkv(x).chunk(3, -1)[1]", "self.lstm(x)",
        "self.net(x[0])", "self.drop(x)", "torch.ones(3, x.shape[1])", "torch.arange(x.shape[1])",
        "torch.zeros_like(x).bool()", "x.to(torch.bfloat16)", "x.half()", "ids[:, None]",
        "self.mask[:3, :3]", "~self.mask", "x[:, ids[:3]]", "torch.einsum('bhid,bhjd->bhij', q, k)",
        "q.topk(2).values", "x.expand(*x.shape)", "x.view(x.shape[0], -1)", "x.mean(1, keepdim=True)",
        "q == k", "torch.full((2, 3), float('-inf'))", "x.new_zeros(3)", "abs(-3)", "x.long()",
        "torch.stack((x, x), dim=1)", "F.scaled_dot_product_attention(q, k, k)", "x.clone()",
    ],
)  # fmt: skip
def test_the_values_of_expressions(text):
    """Each is what Python would give, a lost tensor by its shape and format."""
    names = {**globals(), **FRAME.f_locals}
    torch.manual_seed(0)
    state = torch.get_rng_state()
    told = value(text)
    assert torch.equal(torch.get_rng_state(), state)
    expected = eval(text.replace("__hidden", "_Model__hidden"), names)  # noqa: S307 - the oracle
    assert seen(told) == seen(expected)
    if isinstance(told, torch.Tensor):
        assert told.stride() == expected.stride()
        assert Values(FRAME).device(expected) == torch.device("cpu")


@pytest.mark.parametrize(
    "text",
    [
        "hostile.any", "hostile.width", "hostile[0]", "hostile()", "hostile + 1", "hostile and x",
        "len(hostile)", "x if hostile else q", "[hostile][0].width", "self.width", "self(x)",
        "self.forward(x)", "nothing", "DEFAULTS['no']", "USERS['a']", "state['no']", "x[9]",
        "x.item()", "x.tolist()", "x.sum().item()", "x.backward()", "x.no_such", "[y for y in x]",
        "lambda: 1", "f'{x}'", "10**10**10", "'a' * 10**12", "list(range(10**12))", "1 << 10**9",
        "torch.save(x, 'file')", "torch.manual_seed(1)", "x.register_hook(print)", "q @ x",
        "torch.cat([x], out=q)", "self.slotted.empty", "print(x)", "open('file')", "x[x > 0]",
    ],
)  # fmt: skip
def test_what_only_running_would_tell(text):
    """It is unknown, and nothing of the author's ran to find that out."""
    RAN.clear()
    with pytest.raises(Unknown):
        value(text)
    assert RAN == []


def test_the_originals_stay_as_they_are():
    """What changes a tensor in place changes a copy without data."""
    x = FRAME.f_locals["x"]
    before, version = x.clone(), (x._version, MODEL.net[2].num_batches_tracked.item())
    assert seen(value("x.add_(1)")) == seen(before)
    value("self.net(x[0])")
    assert torch.equal(x, before)
    assert (x._version, MODEL.net[2].num_batches_tracked.item()) == version


def test_the_device_is_that_of_the_original():
    """A lost tensor is known on meta only, and is said to be where it was."""
    x = torch.empty(2, 3, device="meta")
    y = torch.ones(3, 4)
    values = Values(sys._getframe())

    def device(text):
        return str(values.device(values.of(ast.parse(text, mode="eval").body)))

    assert device("x") == "meta"
    assert device("y * 2") == "cpu"
    assert device("(x * 2)[0]") == "meta"
    assert device("y.to('cuda:1').half()[0]") == "cuda:1"
    assert device("torch.arange(3, device='cuda')") == "cuda"
    assert device("(y * 2).to(x)") == "meta"
    assert device("y.cuda()") == "cuda"
    assert x.is_meta
    assert y.shape == (3, 4)


def test_ids_of_a_short_count_have_values():
    """Which rows of a table `torch.arange` asks for is known."""
    assert value("torch.arange(x.shape[1])").tolist() == [0, 1, 2, 3, 4]
    assert value("torch.arange(10**9)").is_meta


def test_no_mode_sees_that_it_is_asked():
    """Neither a mode of the author's nor a watch of ours notes an evaluation."""
    from torch.overrides import TorchFunctionMode
    from torch.utils._python_dispatch import TorchDispatchMode

    class Functions(TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            RAN.append(func)
            return func(*args, **(kwargs or {}))

    class Ops(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            RAN.append(func)
            return func(*args, **(kwargs or {}))

    RAN.clear()
    with Functions(), Ops():
        value("self.norm(q @ k.mT[..., :8, None] * x.shape[0]) if False else self.norm(x) * 2")
    assert RAN == []
