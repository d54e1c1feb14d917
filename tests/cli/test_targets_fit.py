"""`max` and `run --budget` of code of the user's own: which of its sizes fit."""

from __future__ import annotations

import json

import pytest

import attntrace
from attntrace.analysis.budget import total_of

CODE = """
import torch
from torch import nn

class Scores(nn.Module):
    def __init__(self):
        super().__init__()
        self.proj = nn.Linear(8, 8)
        print("built")

    def forward(self, x):
        q = self.proj(x)
        return (q @ q.transpose(1, 2)).softmax(-1) @ q

class Learned(nn.Module):
    def __init__(self, longest=20):
        super().__init__()
        self.table = nn.Parameter(torch.zeros(longest, 8))

    def forward(self, x):
        return x + self.table[: x.shape[1]]

def windows(x):
    return x.unflatten(1, (-1, 4)).exp()

def looks(x):
    return x if x.sum().item() > 9 else -x
"""
INPUT = ("--input", "x=batch,tokens,8", "--size", "batch=2")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Work in a folder with `my.py`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.py").write_text(CODE.lstrip("\n"))


def total(name, grad, **sizes):
    """Return what a real run takes altogether."""
    inputs, run = {"x": "batch,tokens,8"}, {"grad": grad}
    spec = attntrace.load(f"my.py:{name}", inputs=inputs, sizes=sizes, run=run)
    return total_of(attntrace.run(spec).facts).nbytes


@pytest.mark.parametrize("wanted", ["batch", "tokens"])
@pytest.mark.parametrize("grad", [False, True])
def test_the_answer_holds_for_real_runs(invoke, wanted, grad):
    """The largest size fits when it is really run, and one more does not: to the byte."""
    ended = invoke(
        "max", "my.py:Scores", *INPUT, "--tokens", 16, "--for", wanted, "--budget", "64KiB",
        "--format", "json", *(["--grad"] if grad else []),
    )  # fmt: skip
    found = json.loads(ended.out)
    size, sizes = found["fits"]["size"], {"batch": 2, "tokens": 16}
    assert (ended.code, found["beyond"]["size"]) == (0, size + 1)
    assert found["fits"]["nbytes"] == total("Scores", grad, **{**sizes, wanted: size}) <= 2**16
    assert found["beyond"]["nbytes"] == total("Scores", grad, **{**sizes, wanted: size + 1}) > 2**16
    assert (found["spec"]["target"], found["spec"]["sizes"]) == ("my.py:Scores", sizes)


def test_a_size_of_any_name(invoke):
    """Any size that an input names is searched; where it is the only one, nothing stands beside it."""
    ended = invoke(
        "max", "my.py:Scores", "--input", "x=n,4,8", "--size", "n=3", "--for", "n", "--budget",
        "64KiB", "--as", "cuda",
    )  # fmt: skip
    lines = ended.out.splitlines()
    assert lines[0].startswith("n ")
    assert lines[0].endswith(" does not")
    assert lines[-1].endswith(" run on meta as cuda: eval, no grad, float32")
    assert set(ended.err.splitlines()) == {"built"}


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (
            ["--input", "x=2,4,8"],
            "no input names a size 'batch'; name it, such as --input x=batch,64 --size batch=2",
        ),
        (["--input", "x=b,n,8", "--size", "b=2", "--size", "n=4"],
         "for must be one of b, n; got 'batch'"),
    ],
)  # fmt: skip
def test_a_size_that_no_input_names(invoke, args, message):
    """A size that is in no input cannot be searched for."""
    ended = invoke("max", "my.py:Scores", *args, "--budget", "1MiB")
    expected = f"attntrace: 1 problem with the settings\n  --for batch: {message}\n"
    assert (ended.code, ended.out, ended.err) == (2, "", expected)


def test_sizes_that_the_code_does_not_take(invoke):
    """Where larger ones fail, the largest that runs is the answer, and the failure is told."""
    ended = invoke(
        "max", "my.py:Learned", *INPUT, "--tokens", 13, "--for", "tokens", "--budget", "1MiB"
    )
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines()[0] == (
        "tokens 20 is the largest that the settings allow and 1.0 MiB (1,048,576 B) holds; 21 is "
        "refused: add failed at my.py:20: RuntimeError: Attempting to broadcast a dimension of "
        "length 20 at -2! Mismatching argument at index 1 had torch.Size([20, 8]); but expected "
        "shape should be broadcastable to [2, 21, 8]"
    )


@pytest.mark.parametrize("start", [4, 52, 64])
def test_multiples_that_the_code_wants(invoke, start):
    """Code that takes windows of 4 is searched in steps of 4, up to the last that fits."""
    args = ("max", "my.py:windows", *INPUT, "--tokens", start, "--for", "tokens")
    found = json.loads(invoke(*args, "--budget", "64KiB", "--format", "json").out)
    assert (found["fits"]["size"], found["over"]["size"]) == (512, 516)
    assert found["beyond"]["refusal"].startswith("no multiple of 4, and tokens ")


@pytest.mark.parametrize("name", ["looks", "Learned"])
def test_code_that_fails_as_it_is(invoke, name):
    """What does not run on meta at the size that it has is told as of `run`, exit code 3."""
    args = (f"my.py:{name}", *INPUT, "--tokens", 32)
    ended, ran = invoke("max", *args, "--budget", "1MiB"), invoke("run", *args, "--device", "meta")
    assert (ended.code, ended.out) == (3, "")
    assert ended.err.splitlines()[-1] == ran.err.splitlines()[-1]


def test_advice_of_a_run(invoke):
    """`run --budget` says which batch and tokens would fit, as `max` finds them."""
    args = ("my.py:Scores", *INPUT, "--tokens", 16, "--budget", "64KiB")
    advice = json.loads(invoke("run", *args, "--format", "json").out)["budget"]["largest"]
    found = {
        wanted: json.loads(invoke("max", *args, "--for", wanted, "--format", "json").out)
        for wanted in ("batch", "tokens")
    }
    assert advice == {wanted: answer["fits"]["size"] for wanted, answer in found.items()}
    assert invoke("run", *args).out.splitlines()[-1] == (
        f"largest      batch {advice['batch']} with tokens 16; tokens {advice['tokens']} with batch 2"
    )


def test_no_advice_where_nothing_runs_on_meta(invoke):
    """Code that looks at numbers runs, and its budget is judged; what would fit is not known."""
    ended = invoke("run", "my.py:looks", *INPUT, "--tokens", 16, "--budget", "1MiB")
    assert ended.code == 0
    assert ended.out.splitlines()[-1] == (
        "largest      not known, as this cannot run on meta: item failed at my.py:26: RuntimeError: "
        "Tensor.item() cannot be called on meta tensors"
    )
