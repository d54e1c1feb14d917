"""Making it: arguments, modes, number formats, devices; and what others hold stays as it is."""

from __future__ import annotations

import sys

import pytest
import torch
from torch import nn

import attntrace
from attntrace.spec import load_subject
from attntrace.subjects import opened

CODE = """
    import torch
    from torch import nn

    class Block(nn.Module):
        def __init__(self, dim: int, heads=4, rate: float = 0.1, *, vocab_size=0):
            super().__init__()
            if dim % heads:
                raise ValueError(f"{dim} is no multiple of {heads}")
            self.proj = nn.Linear(dim, dim)
            self.drop = nn.Dropout(rate)
            self.register_buffer("table", torch.linspace(0, 1, dim))
            self.register_buffer("count", torch.zeros((), dtype=torch.int64))

        def forward(self, x):
            return self.drop(self.proj(x)) + self.table

    class Reads(nn.Module):
        def __init__(self):
            super().__init__()
            self.rates = [rate.item() for rate in torch.linspace(0, 0.5, 3)]
            self.proj = nn.Linear(4, 4)

        def forward(self, x):
            return self.proj(x) * self.rates[1]

    class Silent:
        pass

    class Config:
        width: int

    def build(config: Config, layers, bias: bool):
        return Block(8)

    def recipe():
        return Block(8).train(), [torch.ones(2, 8)], {}

    def wrong() -> nn.Module:
        return 3

    def number(x=1):
        return torch.ones(2) * x

    def several(*xs):
        return sum(xs)

    def later(dim: int) -> "Block":
        return Block(dim)

    def odd() -> "Nowhere":
        return Block(8)

    model = Block(8).train().double()
    class Locked(nn.Linear):
        def __deepcopy__(self, memo):
            raise TypeError("a lock cannot be copied")
    locked = Locked(8, 8)
"""


@pytest.fixture(autouse=True)
def code(write):
    """Have `code.py` in the current folder."""
    return write(code=CODE)


NEEDS_DIM = (
    "target: Block(dim, heads=4, rate=0.1, *, vocab_size=0) needs dim; say what it is made with, "
    "such as\n        attntrace run code.py:Block --init heads=2 --input x=2,8 --init dim=64"
)


@pytest.mark.parametrize(
    ("target", "settings", "kind", "message"),
    [
        ("Block", {"init": {"heads": 2}, "inputs": {"x": "2,8"}}, "SettingsError", NEEDS_DIM),
        (
            "Block",
            {"init": {"dims": 8, "zzz": 3}},
            "SettingsError",
            ("init.dims: Block(dim, heads=4, rate=0.1, *, vocab_size=0) takes no 'dims'; did you "
            "mean 'dim'?\n"
            "init.zzz: Block(dim, heads=4, rate=0.1, *, vocab_size=0) takes no 'zzz'"),
        ),
        (
            "Block",
            {"init": {"dim": 7}},
            "BuildError",
            ("Block could not be built: ValueError: 7 is no multiple of 4\n"
            '  code.py:8: raise ValueError(f"{dim} is no multiple of {heads}")'),
        ),
        (
            "build",
            {},
            "SettingsError",
            ("target: build(config, layers, bias) needs config, layers, bias; say what goes in, such "
            "as\n        attntrace run code.py:build --input config=2,16,64 --input layers=2,16,64 "
            "--input bias=true\n    or, where it makes a module, what it is made with, such as\n"
            "        attntrace run code.py:build --init config=64 --init layers=2 --init bias=true"),
        ),
        (
            "build",
            {"init": {"layers": 3}},
            "SettingsError",
            ("target: build(config, layers, bias) needs config, bias; say what it is made with, such "
            "as\n        attntrace run code.py:build --init layers=3 --init config=64 --init "
            "bias=true"),
        ),
        (
            "later",
            {},
            "SettingsError",
            ("target: later(dim) needs dim; say what it is made with, such as\n"
            "        attntrace run code.py:later --init dim=64"),
        ),
        ("Silent", {}, "SettingsError", "target: Silent is a class whose instances cannot be called"),
        (
            "wrong",
            {},
            "SettingsError",
            ("target: wrong returned an int; a module, (module, args) or (module, args, kwargs) was "
            "expected"),
        ),
        (
            "number",
            {"init": {"x": 2}},
            "SettingsError",
            ("target: number returned a Tensor; a module, (module, args) or (module, args, kwargs) was "
            "expected; what goes into a plain function is --input"),
        ),
        ("model", {"init": {"x": 2}}, "SettingsError", "target: code.py:model is an instance already, which takes no --init"),
        (
            "locked",
            {"inputs": ["2,8"], "run": {"device": "meta"}},
            "BuildError",
            ("Locked cannot be copied (a lock cannot be copied); name a class or a function that "
            "makes it instead"),
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_made(target, settings, kind, message, refused):
    """Arguments that are missing, unknown or refused are told with the signature and a way on."""
    assert refused(f"code.py:{target}", **settings) == (kind, message)


@pytest.mark.parametrize(
    ("target", "inputs"), [("number", {}), ("number", {"x": 3}), ("several", ["2,", "2,"])]
)
def test_functions_over_tensors(target, inputs, run):
    """A function without required parameters that returns no module is traced itself."""
    trace = run(f"code.py:{target}", inputs=inputs)
    assert (trace.facts.subject, trace.output.shape) == (target, (2,))


def test_an_annotation_that_means_nothing(run):
    """An annotation that cannot be resolved says nothing; what is returned does."""
    assert run("code.py:odd", inputs=["2,8"]).facts.subject == "Block"


@pytest.mark.parametrize(
    ("target", "run_settings", "training"),
    [
        ("Block", {}, False),
        ("Block", {"mode": "train"}, True),
        ("recipe", {}, True),
        ("recipe", {"mode": "eval"}, False),
        ("model", {}, True),
        ("model", {"mode": "eval"}, False),
    ],
)
def test_the_mode(target, run_settings, training, run):
    """A class is run in eval mode; a recipe and an instance as they are, unless more is said."""
    more = {"Block": {"init": {"dim": 8}, "inputs": ["2,8"]}, "model": {"inputs": ["2,8"]}}
    trace = run(f"code.py:{target}", run=run_settings, **more.get(target, {}))
    assert trace.facts.environment.training is training


@pytest.mark.parametrize(
    ("target", "dtype", "seen"),
    [
        ("Block", None, "float32"),
        ("Block", "bfloat16", "bfloat16"),
        ("model", None, "float64"),
        ("model", "float16", "float16"),
        ("recipe", "float64", "float64"),
    ],
)
def test_the_number_format(target, dtype, seen, run):
    """Weights and inputs are as the author left them, unless a dtype is said; ids are ids."""
    more = {"Block": {"init": {"dim": 8}, "inputs": ["2,8"]}, "model": {"inputs": ["2,8"]}}
    trace = run(f"code.py:{target}", run={"dtype": dtype} if dtype else {}, **more.get(target, {}))
    assert {row.dtype for row in trace.tensors} == {seen}
    assert trace.facts.environment.dtype == seen


def test_what_others_hold_stays_as_it_is(write, run):
    """An instance of an imported module is copied where it has to change, and only there."""
    write({"own/live.py": CODE})
    sys.path.insert(0, ".")
    try:
        from own import live
    finally:
        sys.path.remove(".")
    weight, before = live.model.proj.weight, live.model.proj.weight.clone()
    for settings in ({}, {"mode": "eval"}, {"dtype": "float32"}, {"device": "meta"}):
        trace = run("own.live:model", inputs=["2,8"], run=settings)
        assert trace.facts.parameters == 8 * 8 + 8
    assert live.model.training
    assert live.model.proj.weight is weight
    assert torch.equal(weight, before)
    assert weight.dtype == torch.float64
    for name in ("own", "own.live"):
        del sys.modules[name]


def test_weights_are_seeded(run):
    """The same seed gives the same output, another one another."""
    outputs = [
        run("code.py:Block", init={"dim": 8}, inputs=["2,8"], run={"seed": seed}).output
        for seed in (3, 3, 4)
    ]
    assert torch.equal(outputs[0], outputs[1])
    assert not torch.equal(outputs[0], outputs[2])


@pytest.mark.parametrize(
    ("target", "settings"),
    [
        ("Block", {"init": {"dim": 8}, "inputs": {"x": "2,3,8"}}),
        ("Reads", {"inputs": ["2,4"]}),
        ("recipe", {}),
        ("model", {"inputs": ["5,8"]}),
        ("number", {}),
    ],
)
def test_meta_has_the_same_shapes(target, settings, run):
    """On meta the rows are those of the CPU, even of a constructor that reads numbers."""
    rows = [
        [(row.name, row.op, row.shape, row.dtype, row.origin) for row in trace.tensors]
        for trace in (
            run(f"code.py:{target}", run={"device": device}, **settings)
            for device in ("cpu", "meta")
        )
    ]
    if target != "number":  # it makes its own tensor on the CPU
        assert rows[0] == rows[1]
    assert [row[2] for row in rows[0]] == [row[2] for row in rows[1]]


def test_nothing_is_allocated_on_meta():
    """A class is constructed on meta: one that no machine holds is no problem."""
    init = {"in_features": 2**22, "out_features": 2**22}
    loaded = load_subject(
        "torch.nn:Linear", init=init, inputs=[f"1,{2**22}"], run={"device": "meta"}
    )
    with opened(loaded.spec) as ready:
        assert isinstance(ready.call, nn.Linear)
        assert ready.call.weight.device.type == ready.args[0].device.type == "meta"


def test_training(run):
    """Backward and an optimizer follow a module; a function's inputs have gradients of their own."""
    trace = run(
        "code.py:Block", init={"dim": 8}, inputs=["2,8"], run={"grad": True, "optimizer": "adam"}
    )
    assert set(trace.facts.began) == {"backward", "optimizer"}
    function = run("torch:softmax", inputs={"input": "2,3", "dim": 1}, run={"grad": True})
    assert "backward" in function.facts.began


def test_a_target_is_not_built(write):
    """`attntrace.build` is for blocks of attntrace's own, and says so."""
    message = "^target: code of your own is run alone, not built: attntrace.run$"
    with pytest.raises(attntrace.SettingsError, match=message):
        attntrace.build("code.py:Block")


def test_a_function_that_returns_a_function(write, run):
    """What a factory returns is run, a training step that holds its module, too."""
    write(
        step="""
        import torch

        def make():
            net = torch.nn.Linear(4, 4)

            def one(x):
                return net(x).sum()

            return one
        """
    )
    trace = run("step.py:make", inputs=["2,4"])
    assert (trace.facts.subject, trace.output.shape) == ("one", ())


def test_the_settings_are_in_the_facts(write, run):
    """What was said is in the JSON, as JSON has it; what the code itself decides is not."""
    write(
        code="class A:\n    def __init__(self, a, b):\n        pass\n    def __call__(self, x):\n        return x + 1"
    )
    settings = {"init": {"a": float("inf"), "b": {1: object()}}, "inputs": {"x": "n,2"}}
    trace = run("code.py:A", sizes={"n": 3}, run={"mode": "train"}, **settings)
    assert attntrace.Trace.from_json(trace.to_json()).facts.spec == {
        "target": "code.py:A",
        "init": {"a": ".inf", "b": {"1": "object"}},
        "inputs": {"x": "n,2"},
        "sizes": {"n": 3},
        "run": {
            "as_device": None,
            "seed": 0,
            "mode": "train",
            "grad": False,
            "optimizer": "none",
            "allow": [],
        },
    }


@pytest.mark.parametrize("returned", ["loss", "loss.detach()"])
@pytest.mark.parametrize("optimizer", ["none", "sgd"])
def test_code_that_runs_backward_itself(returned, optimizer, write, run):
    """It is followed once; that its graph is gone then is a note, and an optimizer still steps."""
    write(
        step=f"""
        import torch

        class Step(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.net = torch.nn.Linear(4, 4)

            def forward(self, x):
                loss = self.net(x).pow(2).sum()
                loss.backward()
                return {returned}
        """
    )
    settings = {"grad": True, "optimizer": optimizer}
    trace = run("step.py:Step", inputs=["2,4"], run=settings)
    note = "the code runs backward itself: nothing more was followed from what it returned"
    assert (note in trace.facts.notes) == (returned == "loss")
    assert sum(row.op in {"MmBackward0", "AddmmBackward0"} for row in trace) == 1
    steps = [row.name for row in trace if row.op == "SGD"]
    assert steps == (["weight", "bias"] if optimizer == "sgd" else [])
