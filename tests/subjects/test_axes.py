"""Axes of code of the user's own: named sizes, arguments of constructors, dimensions of inputs."""

from __future__ import annotations

import threading
import warnings

import pytest
import torch
from torch import nn

import attntrace
from attntrace.notation.arithmetic import evaluate

CODE = """
    import torch
    from torch import nn

    class Block(nn.Module):
        def __init__(self, dim, heads=4, layers=2):
            super().__init__()
            self.heads, self.layers = heads, layers
            self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

        def forward(self, x):
            B, T, C = x.shape
            for _ in range(self.layers):
                q, k, v = self.qkv(x).view(B, T, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
                probs = (q @ k.transpose(-2, -1)).softmax(-1)
                x = self.proj((probs @ v).transpose(1, 2).reshape(B, T, C))
            whole = x[:, : T // 4 * 4]
            return torch.cat([x[:, :1], x], 1), whole.reshape(B, T // 4, 4 * C)

    class Patches(nn.Module):
        def __init__(self, dim=32):
            super().__init__()
            self.conv = nn.Conv2d(3, dim, 7, stride=4, padding=2)
            self.first = nn.Parameter(torch.zeros(1, 1, dim))

        def forward(self, image):
            flat = self.conv(image).flatten(2).transpose(1, 2)
            return torch.cat([self.first.expand(flat.shape[0], -1, -1), flat], 1)

    class Positive(nn.Module):
        def forward(self, x):
            return (x > 0).nonzero() * 2

    class Wrong(nn.Module):
        def __init__(self):
            super().__init__()
            self.up = nn.Linear(64, 96)

        def forward(self, x):
            return self.up(x) @ self.up(x)

    def make():
        print("making")
        return Block(64), (torch.zeros(4, 18, 64),)
"""


@pytest.fixture
def named(write):
    """Return a function that runs a target of CODE with axes."""
    write(code=CODE)
    return lambda target, **settings: attntrace.run(
        attntrace.load(f"code.py:{target}", **settings), axes=True
    )


def axes_of(trace, name):
    """Return the axes of the last row of a name."""
    return trace[name].axes


def test_arguments_of_the_constructor(named):
    """Given and default numbers are symbols, sizes of four never confused; layers are not tried."""
    trace = named("Block", init={"dim": 64}, inputs={"x": [4, 18, 64]})
    assert axes_of(trace, "q") == ("B", "heads", "T", "dim//heads")
    assert axes_of(trace, "probs") == ("B", "heads", "T", "T")
    assert axes_of(trace, "torch.cat([x[:, :1], x], 1)") == ("B", "T+1", "dim")
    assert axes_of(trace, "whole") == ("B", "4*(T//4)", "dim")
    assert trace.facts.sizes == {"dim": 64, "heads": 4, "B": 4, "T": 18}
    assert trace.facts.notes == ()


def test_named_sizes(named):
    """The user's own words for sizes win."""
    trace = named(
        "Block", init={"dim": 64}, inputs={"x": "batch,tokens,64"}, sizes={"batch": 4, "tokens": 18}
    )
    assert axes_of(trace, "q") == ("batch", "heads", "tokens", "dim//heads")
    assert axes_of(trace, "x") == ("batch", "tokens", "dim")


def test_a_recipe(named, capsys):
    """Where nothing names the features, they are numbers; the code says nothing twice."""
    trace = named("make")
    assert axes_of(trace, "q") == ("B", "4", "T", "16")
    assert capsys.readouterr().out == "making\n"


def test_strides(named):
    """Rounded quotients of convolutions are exact, also where the sizes leave a rest."""
    trace = named("Patches", inputs={"image": [2, 3, 65, 50]})
    made = trace.tensors[-1]
    sizes = trace.facts.sizes
    assert made.axes[0] == "image.0"
    assert made.axes[2] == "dim"
    for rows, columns in ((65, 50), (66, 51), (67, 52), (68, 53), (101, 77)):
        at = sizes | {"image.2": rows, "image.3": columns}
        after = ((rows - 3) // 4 + 1) * ((columns - 3) // 4 + 1) + 1
        assert evaluate(made.axes[1], at) == after


def test_data_decides(named):
    """A forward whose shapes depend on values keeps its numbers, and that is said."""
    trace = named("Positive", inputs={"x": [3, 4]})
    assert all(row.axes is None for row in trace)
    assert trace.facts.notes == (
        "axes are numbers: without values, on meta, the forward does not do what it does with them",
    )


def test_a_forward_that_fails(named):
    """The rows up to the failure have axes, and so have the operands."""
    with pytest.raises(attntrace.ForwardError) as caught:
        named("Wrong", inputs={"x": [2, 5, 64]})
    trace = caught.value.trace
    assert [row.axes for row in trace] == [
        ("x.0", "x.1", "x.2"), ("x.0", "x.1", "96"), ("x.0", "x.1", "96"),
    ]  # fmt: skip
    assert {one.axes for one in trace.diagnosis.operands} == {("x.0", "x.1", "96")}


def test_a_config_of_transformers(tmp_path):
    """The numbers of a config.json are symbols."""
    pytest.importorskip("transformers")
    (tmp_path / "config.json").write_text(
        '{"model_type": "gpt2", "n_embd": 48, "n_layer": 1, "n_head": 4, "vocab_size": 100, '
        '"n_positions": 64, "bos_token_id": 1, "eos_token_id": 1}'
    )
    trace = attntrace.run(attntrace.load(f"hf:{tmp_path}"), axes=True)
    words = {axis for row in trace for axis in row.axes or ()}
    assert {"n_embd", "3*n_embd", "n_head", "n_embd//n_head"} <= words


def block():
    """Return two linear layers, and a mask of their own that is no buffer."""
    model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 8))
    model.plain = torch.ones(3)
    return model


def test_a_module_in_hand():
    """`trace` names the dimensions of inputs, and leaves the module as it was."""
    model, x = block(), torch.randn(4, 18, 64)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    trace = attntrace.trace(model, x, axes={"input": ("batch", "tokens", "dim")})
    assert [row.axes for row in trace] == [
        ("batch", "tokens", "dim"), ("batch", "tokens", "32"), ("batch", "tokens", "32"),
        ("batch", "tokens", "8"),
    ]  # fmt: skip
    assert trace.facts.sizes == {"batch": 4, "tokens": 18, "dim": 64}
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(p.device.type == "cpu" for p in model.parameters())
    assert [row.axes for row in attntrace.trace(model, x)] == [None] * 4


def test_inputs_that_change_together():
    """The batch of two inputs is one symbol, and lengths that are joined are a sum."""

    def join(a, b):
        return torch.cat([a, b], 1) @ a.transpose(1, 2)

    trace = attntrace.trace(join, torch.zeros(3, 4, 5), torch.zeros(3, 6, 5), axes=True)
    assert trace.tensors[-1].axes == ("a.0", "a.1+b.1", "a.1")


@pytest.mark.parametrize("grad", [True, False])
def test_fused_modules(grad):
    """A module of torch's has the same rows whichever way it runs."""
    layer = nn.TransformerEncoderLayer(32, 4, batch_first=True).eval()
    with torch.set_grad_enabled(grad):
        trace = attntrace.trace(layer, torch.zeros(2, 7, 32), axes=True)
    assert trace.tensors[-1].axes == ("src.0", "src.1", "32")
    assert trace.facts.notes == ()


def test_a_module_that_cannot_be_copied():
    """What deepcopy refuses stays without axes, and that is said."""

    class Locked(nn.Module):
        def __init__(self):
            super().__init__()
            self.lock = threading.Lock()

        def forward(self, x):
            return x * 2

    trace = attntrace.trace(Locked(), torch.ones(3, 4), axes=True)
    [note] = trace.facts.notes
    assert note == (
        "axes are numbers: a copy of the model could not be made (TypeError: cannot pickle "
        "'_thread.lock' object)"
    )


def test_what_the_forward_keeps_is_not_shared():
    """A cache that grows in the forward grows once."""

    class Cached(nn.Module):
        def __init__(self):
            super().__init__()
            self.seen = torch.zeros(1, 3)

        def forward(self, x):
            self.seen = torch.cat([self.seen, x])
            return self.seen * 2

    model = Cached()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trace = attntrace.trace(model, torch.ones(4, 3), axes=True)
    assert model.seen.shape == (5, 3)
    assert trace.tensors[-1].axes == ("x.0+1", "3")


RUDE = """
    import logging
    import sys
    import torch
    from torch import nn

    class Drops(nn.Module):
        def __init__(self, dim=64, heads=4):
            super().__init__()
            self.rates = [rate.item() for rate in torch.linspace(0, 0.1, heads)]
            self.up = nn.Linear(dim, 3 * dim)

        def forward(self, x):
            print("heard", file=sys.stderr)
            logging.getLogger("rude").warning("heard")
            return self.up(x)

    class Leaves(nn.Module):
        def forward(self, x):
            if x.shape[0] != 4:
                sys.exit("four only")
            return x * 2

    class Loops(nn.Module):
        def forward(self, x):
            while x.shape[0] % 2:
                x = x * 1.0
            return x * 2

    class Counts(nn.Module):
        calls = 0

        def forward(self, x):
            self.calls += 1
            return x * 2

    counts = Counts()
"""


@pytest.fixture
def rude(write):
    """Return a function that runs a target of RUDE with axes."""
    write(code=RUDE)
    return lambda target: attntrace.run(
        attntrace.load(f"code.py:{target}", inputs={"x": [4, 18, 64]}), axes=True
    )


def test_numbers_in_a_constructor(rude, capsys):
    """A list of rates does not keep a model from meta, and nothing is said twice."""
    trace = rude("Drops")
    assert trace.tensors[-1].axes == ("x.0", "x.1", "3*dim")
    assert capsys.readouterr().err.count("heard") == 1


@pytest.mark.parametrize(("target", "batch"), [("Leaves", "4"), ("Loops", "x.0")])
def test_other_sizes_that_end_badly(rude, target, batch):
    """A forward may exit with another batch, or loop for ever with an odd one."""
    assert rude(target).tensors[-1].axes == (batch, "x.1", "x.2")


def test_an_instance_is_not_touched(write):
    """The forward of a module that others hold is not run again."""
    write(code=RUDE)
    spec = attntrace.load("code.py:counts", inputs={"x": [4, 18, 64]})
    assert attntrace.run(spec, axes=True).tensors[-1].axes == ("x.0", "x.1", "x.2")


def test_equal_arguments_beyond_the_probes(write):
    """With more sizes of the same value than can be told apart, none is guessed."""
    names = [f"a{n}" for n in range(40)]
    given = ", ".join(f"{name}=4" for name in names)
    write(code=(
        "from torch import nn\n"
        "class Many(nn.Module):\n"
        f"    def __init__(self, {given}):\n"
        "        super().__init__()\n"
        "    def forward(self, x):\n"
        "        return x * 2\n"
    ))  # fmt: skip
    trace = attntrace.run(attntrace.load("code.py:Many", inputs={"x": [4, 18]}), axes=True)
    assert trace.tensors[-1].axes == ("x.0", "x.1")


@pytest.mark.parametrize("sizes", [{"batch": 3, "tokens": 16}, {}])
def test_equal_arguments_that_cannot_change(write, sizes):
    """Where the constructor refuses each other size, an input's has its name, though it is as large."""
    write(code=(
        "from torch import nn\n"
        "class Tied(nn.Module):\n"
        "    def __init__(self, d, h, hd):\n"
        "        super().__init__()\n"
        "        assert d == h * hd\n"
        "        self.h = h\n"
        "    def forward(self, x):\n"
        "        heads = x.unflatten(-1, (self.h, -1)).transpose(1, 2)\n"
        "        return heads.mT * 2\n"
    ))  # fmt: skip
    loaded = attntrace.load(
        "code.py:Tied",
        init={"d": 256, "h": 16, "hd": 16},
        inputs={"x": "batch,tokens,256" if sizes else "3,16,256"},
        sizes=sizes,
    )
    batch, tokens = sizes or ("x.0", "x.1")
    assert attntrace.run(loaded, axes=True).tensors[-1].axes == (batch, "16", "16", tokens)


def test_inputs_of_which_three_change_together():
    """The batch of inputs and of a mask is one symbol, though no size changes alone."""
    layer = nn.TransformerEncoderLayer(12, 4, batch_first=True).train()
    trace = attntrace.trace(
        layer, torch.zeros(2, 6, 12), src_key_padding_mask=torch.zeros(2, 6, dtype=torch.bool),
        axes=True,
    )  # fmt: skip
    assert trace.tensors[-1].axes == ("src.0", "src.1", "12")


def test_words_that_do_not_fit():
    """Names of no input, too few words and words for two sizes are refused, all at once."""
    model, x = block(), torch.randn(4, 18, 64)
    words = {"x": ("b", "t", "d"), "input": ("b", "t")}
    with pytest.raises(attntrace.SettingsError) as caught:
        attntrace.trace(model, x, axes=words)
    assert str(caught.value) == (
        "axes['x']: no tensor of that name goes in; there are input\n"
        "axes['input']: 2 names for 3 dimensions, (4, 18, 64)"
    )
    with pytest.raises(attntrace.SettingsError, match=r"b is 18 here and 4 in input"):
        attntrace.trace(model, x, axes={"input": "b b d"})
