"""Whether a run is what is expected of it: real runs, and every message whole."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

import attntrace
from attntrace.analysis.contract import judged
from attntrace.record.outcomes import Place, Verdict
from attntrace.spec import expectations, load
from tests.builders import fake_row, fake_trace

QKV = "(batch 13, heads 4, tokens 100, head_dim 16)"
THERE = "there are batch, tokens, dim, chan, heads, head_dim, kv_heads, value_head_dim"


@pytest.fixture(scope="module")
def eager():
    """Return one run of four heads over tokens of 49 features, axes and all."""
    return attntrace.run("multi-head", axes=True).facts


@pytest.fixture(scope="module")
def stack():
    """Return one run of three layers, in training."""
    return attntrace.run(load("transformer-3-layers", run={"grad": True}).spec, axes=True).facts


def wrong(trace, **expected):
    """Return what is said of the one entry that is expected, "" where it holds."""
    (verdict,) = judged(expectations(expected), trace)
    assert verdict.holds is not bool(verdict.said)
    return verdict.said


def test_a_verdict_for_each_entry(eager, tmp_path):
    """Each entry has one, in order, at its place in the file."""
    file = tmp_path / "block.yaml"
    file.write_text("expect:\n  q: [batch, heads, tokens, head_dim]\n  dtype: {scores: float16}\n")
    place = Place(file=str(file), line=3, column=11)
    assert judged(load(file).expect, eager) == (
        Verdict(contract="expect.q", holds=True, place=replace(place, line=2, column=3)),
        Verdict(
            contract="expect.dtype.scores",
            holds=False,
            said="scores is float32, expected float16",
            place=place,
        ),
    )


@pytest.mark.parametrize(
    ("name", "dims"),
    [
        ("q", "batch heads tokens head_dim"),
        ("q", (13, 4, 100, 16)),
        ("q", "13 kv_heads tokens*1 chan//heads"),
        ("v", "batch _ ... value_head_dim"),
        ("v", "..."),
        ("qkv", "... 3*chan"),
        ("qkv", "batch tokens chan+2*heads*head_dim"),
        ("attention.k", "batch heads ..."),
        ("attention.project.k", "batch ..."),
        ("*tention.attend.scores", "batch heads tokens tokens"),
        ("context*", "batch ..."),
    ],
)
def test_shapes_that_hold(eager, name, dims):
    """Sizes, formulas of them and numbers alike, of a name, of a path and a name, of patterns."""
    assert wrong(eager, **{name: dims}) == ""


@pytest.mark.parametrize(
    ("name", "dims", "said"),
    [
        (
            "q",
            "batch tokens heads head_dim",
            (
                f"q is {QKV}, expected (batch 13, tokens 100, heads 4, head_dim 16): axes 1 and 2 are "
                "swapped"
            ),
        ),
        (
            "q",
            (13, 4, "_", 8),
            f"q is {QKV}, expected (13, 4, _, 8): axis 3 is head_dim 16, not 8",
        ),
        (
            "qkv",
            "... tokens+1 chan",
            (
                "qkv is (batch 13, tokens 100, 3*chan 192), expected (..., tokens+1 101, chan 64): axis "
                "1 is tokens 100, not tokens+1 101; axis 2 is 3*chan 192, not chan 64"
            ),
        ),
        (
            "probs",
            "batch tokens tokens",
            (
                "probs is (batch 13, heads 4, tokens 100, tokens 100), expected (batch 13, tokens 100, "
                "tokens 100): it has 4 axes, 3 were expected"
            ),
        ),
        (
            "out",
            "batch tokens ... heads head_dim",
            (
                "out is (batch 13, tokens 100, chan 64), expected (batch 13, tokens 100, ..., heads 4, "
                "head_dim 16): it has 3 axes, at least 4 were expected"
            ),
        ),
        ("qq", "batch", "no tensor 'qq'; did you mean 'q'?"),
        ("attention.7.probs", "batch", "no tensor 'attention.7.probs'; did you mean 'probs'?"),
        ("attention.prob", "batch", "no tensor 'attention.prob'; did you mean 'probs' or 'proj'?"),
        (
            "atention.probs",
            "batch",
            (
                "no tensor 'atention.probs'; did you mean 'attention.attend.probs' or 'attention.out' "
                "or 'attention.project.v'?"
            ),
        ),
        (
            "q",
            "batch head tokens x",
            f"no size named 'head'; {THERE}; did you mean 'heads'?; no size named 'x'; {THERE}",
        ),
        ("q", "batch//(heads-4)", "batch//(heads-4) divides by 0"),
    ],
)
def test_shapes_that_do_not(eager, name, dims, said):
    """The row is named, what it is and what was expected, with the numbers, and where they differ."""
    assert wrong(eager, **{name: dims}) == said


def test_every_row_of_a_name(stack):
    """All rows of a name must hold; those that are wrong alike are told once."""
    assert wrong(stack, q="batch tokens heads head_dim") == ""
    assert wrong(stack, **{"layers.*.attention.k": "batch heads tokens head_dim"}) == (
        "#6 stack.layers.0.attention.project.k_proj.k is (batch 3, tokens 5, heads 2, head_dim 4), "
        "expected (batch 3, heads 2, tokens 5, head_dim 4): axes 1 and 2 are swapped; so are 2 more "
        "of 3 rows"
    )
    lines = wrong(stack, **{"layers.1.feed_forward.*": "batch tokens 9"}).splitlines()
    assert lines == [
        (
            "#39 stack.layers.1.feed_forward.up.hidden is (batch 3, tokens 5, ff_dim 8), expected (batch "
            "3, tokens 5, 9): axis 2 is ff_dim 8, not 9; so is 1 more of 3 rows"
        ),
        (
            "#41 stack.layers.1.feed_forward.down.out is (batch 3, tokens 5, chan 8), expected (batch 3, "
            "tokens 5, 9): axis 2 is chan 8, not 9"
        ),
    ]
    assert wrong(stack, dtype={"layers.0.*": "float64"}).endswith("; so are 20 more of 21 rows")
    assert wrong(stack, **{"d residual": "batch tokens chan"}) == ""


def test_sizes_that_are_equal(stack):
    """Where two sizes have one number, a row that is known to have the other one is wrong."""
    square = attntrace.run(load("multi-head", tokens=4, dim=64).spec, axes=True).facts
    expected = "q is (batch 13, heads 4, tokens 4, head_dim 16), expected "
    assert wrong(square, q="batch tokens heads head_dim") == (
        f"{expected}(batch 13, tokens 4, heads 4, head_dim 16): axes 1 and 2 are swapped: both are 4 "
        "here"
    )
    assert wrong(square, q="batch heads heads head_dim") == (
        f"{expected}(batch 13, heads 4, heads 4, head_dim 16): axis 2 is tokens, which is 4 here, too"
    )
    assert wrong(stack, hidden="batch tokens chan").endswith(
        ": axis 2 is ff_dim, which is 8 here, too; so are 2 more of 3 rows"
    )
    for fine in ("batch heads 4 chan//heads", "batch heads 2+2 head_dim", "batch kv_heads ..."):
        assert wrong(square, q=fine) == ""
    for tied in ({"x": "batch tokens chan"}, {"out": "batch tokens dim"}):  # 64, as the skip asks
        assert wrong(square, **tied) == ""


def test_formulas_of_sizes_that_are_equal():
    """A formula that is not what a row has is wrong, where no width of the block hides in it."""
    square = attntrace.run(load("multi-head", tokens=16, dim=64, batch=4).spec, axes=True).facts
    assert wrong(square, scores="batch heads tokens chan//heads").endswith(
        ": axis 3 is tokens, which is 16 here, too"
    )
    assert wrong(square, x="batch tokens batch*tokens").endswith(
        ": axis 2 is dim, which is 64 here, too"
    )
    assert wrong(square, q="batch heads chan//heads tokens").endswith(
        ": axes 2 and 3 are swapped: both are 16 here"
    )
    for fine in ("batch tokens heads*head_dim", "batch tokens 4*head_dim", "batch 4*4 chan"):
        assert wrong(square, out=fine) == ""
    decode = attntrace.run(
        load("gpt2-decode", layers=1, run={"device": "meta"}).spec, axes=True
    ).facts
    assert wrong(decode, scores="batch heads tokens past+1") == ""


class Block(nn.Module):
    """Attention with as many heads as tokens, and a name that comes again."""

    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)

    def forward(self, x):
        """Return the probs of the keys."""
        B, T, C = x.shape  # noqa: N806, RUF059 - the words of its axes
        q, k, _ = self.qkv(x).view(B, T, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        x = q @ k.mT
        return x.softmax(-1)


def test_code_of_the_users_own():
    """The sizes are those that the run knows; without axes numbers alone are compared."""
    model, x = Block(48, 6), torch.zeros(2, 6, 48)
    bare = attntrace.trace(model, x).facts
    named = attntrace.trace(model, x, axes=True).facts
    assert wrong(bare, q=(2, 6, 6, 8)) == ""
    assert wrong(bare, q="B 6 6 8") == (
        "no size named 'B': this run has no names of sizes; write numbers, or trace with axes=True"
    )
    assert wrong(named, q="B 6 T C//6") == ""
    assert wrong(named, x="B T C").splitlines() == [
        "#8 x is (B 2, 6, T 6, T 6), expected (B 2, T 6, C 48): it has 4 axes, 3 were expected",
        "x is 2 tensors here, made by input and matmul: write x@input",
    ]
    assert (
        wrong(
            named,
            **{
                "x@input": "B T C",
            },
        )
        == wrong(named, **{"x@matmul": "B 6 T T"})
        == ""
    )


class Again(nn.Module):
    """Queries under one name before and after their heads are split; it has any sizes that agree."""

    def __init__(self, d, h, hd):
        super().__init__()
        assert d == h * hd
        self.h, self.hd = h, hd
        self.q_proj = nn.Linear(d, d)

    def forward(self, x):
        """Return the scores of queries with themselves."""
        B, T, _ = x.shape  # noqa: N806 - the words of its axes
        q = self.q_proj(x) * 2
        q = q.view(B, T, self.h, self.hd).transpose(1, 2)
        keys = q.mT
        return (q @ keys).softmax(-1)


def test_a_name_that_comes_again():
    """The op that made a row tells rows of one name apart, and what is wrong says so."""
    trace = attntrace.trace(Again(32, 4, 8), torch.zeros(3, 5, 32), axes=True).facts
    heads = "(B 3, 4, T 5, 8)"
    apart = "q is 2 tensors here, made by mul and transpose: write q@"
    assert wrong(trace, q="B 4 T 8").splitlines() == [
        "#2 q is (B 3, T 5, 32), expected (B 3, 4, T 5, 8): it has 3 axes, 4 were expected",
        f"{apart}transpose",
    ]
    assert wrong(trace, **{"q@*": "B T 32"}).splitlines() == [
        f"#4 q is {heads}, expected (B 3, T 5, 32): it has 4 axes, 3 were expected",
        f"{apart}mul",
    ]
    assert wrong(trace, q="4 _").endswith(f"\n{apart}transpose")
    for fine in ("q@transpose", "q@trans*", "*@transpose", "q_proj.*@linear"):
        assert wrong(trace, **{fine: "B T 32" if "linear" in fine else "B 4 T 8"}) == ""
    assert wrong(trace, dtype={"q@mul": "float16"}) == "q is float32, expected float16"
    assert wrong(trace, **{"q@view": "B 4 T 8"}) == (
        "no tensor 'q@view'; q is made by mul and transpose"
    )
    assert wrong(trace, **{"q@transpos": "B 4 T 8"}) == (
        "no tensor 'q@transpos'; q is made by mul and transpose; did you mean 'q@transpose'?"
    )
    assert wrong(trace, **{"key@mT": "B"}) == "no tensor 'key@mT'; did you mean 'keys'?"


def test_code_of_which_all_sizes_are_equal():
    """What stayed as the tokens changed is not the tokens; of two numbers none is told apart."""
    square = attntrace.trace(Again(256, 16, 16), torch.zeros(3, 16, 256), axes=True).facts
    assert wrong(square, keys="B 16 T 16") == (
        "keys is (B 3, 16, 16, T 16), expected (B 3, 16, T 16, 16): axis 2 is not T, which is 16 "
        "here, too"
    )
    assert wrong(square, keys="B 16 16 T") == ""


def test_bounds(eager, stack):
    """A number that is out of its bound is told to the byte, by how much, and where it stands."""
    assert wrong(eager, peak_memory="<= 6 MiB") == wrong(eager, peak_memory=5_158_400) == ""
    assert wrong(eager, peak_memory="<= 4 MiB") == (
        "peak_memory is 4.9 MiB (5,158,400 B), expected <= 4 MiB (4,194,304 B): 941.5 KiB over, at "
        "#10 probs"
    )
    assert wrong(eager, peak_memory="> 5_158_400") == (
        "peak_memory is 4.9 MiB (5,158,400 B), expected > 5,158,400 B, at #10 probs"
    )
    assert wrong(eager, parameters="13_568") == wrong(eager, flops="< 1_000_000_000") == ""
    assert wrong(eager, parameters=13_632) == "parameters is 13,568, expected 13,632: 64 under"
    assert wrong(stack, saved_for_backward="<= 1 KiB").startswith("saved_for_backward is ")
    assert wrong(stack, training_peak_memory=">= 1 KiB") == ""
    for name in ("training_peak_memory", "saved_for_backward"):
        assert wrong(eager, **{name: "<= 1 GiB"}) == (
            f"{name} was not measured, as nothing ran backward; set run.grad: true"
        )
    uncounted = attntrace.trace(torch.sin, torch.zeros(3)).facts
    assert wrong(uncounted, flops=0) == "flops were not counted: no op of this run has a formula"


def test_kernels(eager):
    """One of those that may must have run; why it did not is told where torch had a choice."""
    fused = attntrace.run(load("multi-head", attention={"impl": "sdpa"}).spec).facts
    masked = attntrace.run(
        load("multi-head", attention={"impl": "sdpa", "dropout": 0.5}, run={"mode": "train"}).spec
    ).facts
    module = attntrace.run(load("multi-head-torch").spec).facts
    nothing = attntrace.trace(torch.sin, torch.zeros(3)).facts
    for trace, kernels in (
        (eager, "none"),
        (fused, "flash"),
        (fused, ["math", "flash"]),
        (masked, "math"),
        (masked, "none"),
        (module, ["fused", "cudnn"]),
        (fused, "fused"),
        (nothing, "none"),
    ):
        assert wrong(trace, kernel=kernels) == ""
    assert wrong(eager, kernel="flash") == (
        "kernel is none fused (bmm, softmax, bmm), expected flash; only scaled_dot_product_attention "
        "and nn.MultiheadAttention run a fused one"
    )
    assert wrong(fused, kernel=["none", "cudnn"]) == "kernel is flash (cpu), expected none or cudnn"
    assert wrong(masked, kernel="flash") == (
        "kernel is math (bmm, softmax, bmm), expected flash; not flash: dropout is 0.5 and the CPU "
        "kernel has none"
    )
    assert wrong(nothing, kernel="flash") == "no attention ran, expected kernel flash"


def test_warnings(eager):
    """Each warning is told by name and line, and then what it says."""
    assert wrong(eager, warnings="none") == ""
    found = attntrace.trace(lambda a, b: (a - b).square().mean(), torch.ones(4), torch.ones(4, 1))
    (trap,) = found.warnings
    assert wrong(found.facts, warnings="none") == (
        f"1 warning, expected none: outer-broadcast at {trap.source}\n{trap}"
    )
    two = replace(found.facts, warnings=(trap, replace(trap, name="one-key", source=None)))
    first, *_ = wrong(two, warnings="none").splitlines()
    assert first == f"2 warnings, expected none: outer-broadcast at {trap.source}, one-key"


def test_a_nested_tensor():
    """A tensor whose parts differ has no shape, and is none that is expected."""
    rows = (fake_row(0, "x", "input", (3, 4)), replace(fake_row(1, "y", "op", ()), shape=None))
    trace = fake_trace(tensors=rows, ops=(), modules=(), storages=(), outputs=())
    assert wrong(trace, x="3 _") == ""
    assert wrong(trace, y="3 _") == "y is nested, expected (3, _)"


def test_many_ways_to_be_wrong():
    """Of rows that are wrong in many ways the first five are told, and how many there are besides."""
    rows = tuple(fake_row(at, "x", "op", (at,)) for at in range(9))
    trace = fake_trace(tensors=rows, ops=(), modules=(), storages=(), outputs=())
    lines = wrong(trace, x=(3,)).splitlines()
    assert lines[0] == "#0 x is (0,), expected (3,): axis 0 is 0, not 3"
    assert lines[3:] == [
        "#4 x is (4,), expected (3,): axis 0 is 4, not 3",
        "#5 x is (5,), expected (3,): axis 0 is 5, not 3",
        "and 3 more ways",
    ]
