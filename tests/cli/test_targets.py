"""`attntrace run TARGET`: code of the user's own on the command line."""

from __future__ import annotations

import json

import pytest

from attntrace.cli import complete

CODE = """
import sys
import torch
from torch import nn

print("imported")

class Block(nn.Module):
    def __init__(self, dim, heads=4):
        super().__init__()
        print("built")
        self.proj = nn.Linear(dim, dim)

    def forward(self, x, mask=None):
        print("run")
        y = self.proj(x)
        return y

def make():
    return Block(8), (torch.ones(2, 3, 8),), {}

def fails():
    return Block(8), (torch.ones(2, 3, 7),), {}

def leaves(x):
    y = x + 1
    sys.exit("bye")
"""
OWN = ("run", "my.py:Block", "--init", "dim=8")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Work in a folder with `my.py`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.py").write_text(CODE.lstrip("\n"))
    return tmp_path


def problems(*lines):
    """Return what stderr shows for problems with the settings."""
    count = "1 problem" if len(lines) == 1 else f"{len(lines)} problems"
    return "".join(
        f"{line}\n"
        for line in (f"attntrace: {count} with the settings", *(f"  {line}" for line in lines))
    )


def test_the_table(invoke):
    """A module of the user's own shows its tensors, the axes of its inputs and its sizes."""
    ended = invoke(
        *OWN, "--input", "x=batch,3,dim", "--batch", 2, "--size", "dim=8", "--columns", "tensor,shape,axes"
    )  # fmt: skip
    head, _, _, *rows = ended.out.splitlines()
    assert ended.code == 0
    assert head.startswith("Block: dim 8 batch 2 x.1 3 | eval, no grad | cpu (")
    assert [row.split("  ") for row in (" ".join(r.split()) for r in rows[:3])] == [
        ["x (2, 3, 8) (batch, x.1, dim)"], ["Block"], ["y (2, 3, 8) (batch, x.1, dim)"],
    ]  # fmt: skip


def test_what_it_prints(invoke):
    """What the user's code prints while it is imported, built and run is no part of the result."""
    ended = invoke(*OWN, "--input", "2,3,8", "--format", "json")
    assert ended.code == 0
    assert json.loads(ended.out)["subject"] == "Block"
    assert ended.err == "imported\nbuilt\nrun\n"


def test_a_recipe(invoke):
    """A function that returns a module and its inputs needs no more."""
    assert invoke("run", "my.py:make", "--format", "csv").code == 0


def test_a_forward_that_fails(invoke):
    """A forward that raises exits with 3 and shows what was seen up to there."""
    ended = invoke("run", "my.py:fails")
    assert ended.code == 3
    assert "Block" in ended.out
    assert ended.err.endswith(
        "attntrace: linear failed in proj at my.py:15: RuntimeError: mat1 and mat2 shapes cannot be "
        "multiplied (6x7 and 8x8)\n"
    )


def test_a_forward_that_leaves(invoke):
    """A forward that ends Python does not end attntrace without a word."""
    ended = invoke("run", "my.py:leaves", "--input", "2,3")
    assert (ended.code, ended.out) == (3, "")
    assert ended.err == (
        "imported\n"
        "attntrace: my.py:leaves could not be run: it ended Python with sys.exit('bye')\n"
        '  my.py:26: sys.exit("bye")\n'
    )


def test_an_import_that_fails(invoke, here):
    """An import that raises exits with 3, one line of the user's own, and a traceback if asked."""
    (here / "bad.py").write_text("1 / 0\n")
    message = "attntrace: bad.py could not be imported: ZeroDivisionError: division by zero\n  bad.py:1: 1 / 0\n"
    ended = invoke("run", "bad.py:f")
    assert (ended.code, ended.out, ended.err) == (3, "", message)
    debugged = invoke("run", "bad.py:f", "--debug").err
    assert debugged.startswith("Traceback (most recent call last):\n")
    assert debugged.endswith(message)


@pytest.mark.parametrize(
    ("args", "lines"),
    [
        (
            ["my.py"],
            ["my.py: which? my.py has Block, make, fails, leaves; such as attntrace run my.py:Block"],
        ),
        (["me.py:Block"], ["me.py:Block: no file 'me.py'; did you mean 'my.py'?"]),
        (
            ["my.py:Block"],
            [
                "my.py:Block: Block(dim, heads=4) needs dim; say what it is made with, such as",
                "      attntrace run my.py:Block --init dim=64",
            ],
        ),
        (
            ["my.py:Block", "--init", "dim=8"],
            [
                "my.py:Block: forward(x, mask=None) needs x; say what goes in, such as",
                "      attntrace run my.py:Block --init dim=8 --input x=2,16,8",
            ],
        ),
        (
            ["my.py:leaves"],
            [
                "my.py:leaves: leaves(x) needs x; say what goes in, such as",
                "      attntrace run my.py:leaves --input x=2,16,64",
                "  or, where it makes a module, what it is made with, such as",
                "      attntrace run my.py:leaves --init x=64",
            ],
        ),
        (
            ["my.py:Block", "--init", "dims=8"],
            ["--init dims=8: Block(dim, heads=4) takes no 'dims'; did you mean 'dim'?"],
        ),
        (
            ["my.py:Block", "--init", "dim=8", "--input", "2,8", "--input", "musk=2,8"],
            ["--input musk=2,8: forward(x, mask=None) takes no 'musk'; did you mean 'mask'?"],
        ),
        (
            ["my.py:Block", "--init", "dim=8", "--input", "2,8", "--input", "2,8", "--input", "3"],
            ["--input 3: forward(x, mask=None) takes 2 in order"],
        ),
        (
            ["my.py:Block", "--heads", "4", "--impl", "sdpa", "--checkpoint", "--level", "ops"],
            [
                ("--checkpoint true: attntrace recomputes the layers of its own blocks alone; in code "
                "of your own, call torch.utils.checkpoint"),
                ("--heads 4: --heads describes a block of attntrace's own; give yours --init heads=4, "
                "or name the size in an input, such as --input x=2,heads"),
                "--impl sdpa: --impl describes a block of attntrace's own; give yours --init impl=sdpa",
                "--level ops: level must be one of module, op, kernel; got 'ops'",
            ],
        ),
    ],
)  # fmt: skip
def test_what_is_refused(args, lines, invoke):
    """Each mistake is told with its fix, on stderr, with exit code 2."""
    ended = invoke("run", *args)
    told = problems(*lines).replace(f"attntrace: {len(lines)} problems", "attntrace: 1 problem")
    expected = told if "needs" in lines[0] else problems(*lines)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err[ended.err.index("attntrace:") :] == expected


def test_flags_that_need_a_target(invoke):
    """`--init`, `--input` and `--size` mean nothing to a block of attntrace's own."""
    why = (
        "is for code of your own, such as attntrace run file.py:Name; a block of attntrace's has "
        "flags of its own"
    )
    ended = invoke("run", "--init", "a=1", "--input", "2,3", "--size", "n=4", "--heads", "4")
    assert (ended.code, ended.err) == (
        2,
        problems(
            f"--init a=1: --init {why}", f"--input 2,3: --input {why}", f"--size n=4: --size {why}"
        ),
    )


def test_a_yaml_file(invoke, here):
    """A YAML file holds the same; flags win; what is wrong in it has its place."""
    (here / "own.yaml").write_text(
        "target: my.py:Block\ninit: {dim: 8}\ninputs: {x: 'batch,3,8'}\nsizes: {batch: 2}\n"
    )
    ended = invoke("run", "own.yaml", "--batch", 5, "--format", "json")
    facts = json.loads(ended.out)
    assert facts["sizes"] == {"batch": 5, "dim": 8, "x.1": 3}
    assert facts["tensors"][0]["axes"] == ["batch", "x.1", "dim"]
    assert invoke("run", "own.yaml", "--show-config", "--seed", 3).out == (
        "target: my.py:Block  # file: own.yaml:1:1\n"
        "init:\n"
        "  dim: 8             # file: own.yaml:2:8\n"
        "inputs:\n"
        "  x: batch,3,8       # file: own.yaml:3:10\n"
        "sizes:\n"
        "  batch: 2           # file: own.yaml:4:9\n"
        "run:\n"
        "  seed: 3            # --seed 3\n"
        "  grad: false        # default\n"
        "  optimizer: none    # default\n"
        "  allow: []          # default\n"
    )
    (here / "own.yaml").write_text("target: my.py:Block\ninit:\n  dims: 8\n")
    assert invoke("run", "own.yaml").err.endswith(
        problems("own.yaml:3:3: Block(dim, heads=4) takes no 'dims'; did you mean 'dim'?")
    )


def test_the_flags_of_a_run(invoke):
    """Device, number format, mode, backward, optimizer and measuring work on code of one's own."""
    args = (*OWN, "--input", "2,3,8", "--format", "json")
    meta = json.loads(invoke(*args, "--device", "meta", "--as", "cuda").out)
    assert (meta["environment"]["device"], meta["environment"]["as_device"]) == ("meta", "cuda")
    trained = json.loads(
        invoke(*args, "--train", "--grad", "--optimizer", "sgd-momentum", "--dtype", "float64").out
    )
    assert set(trained["began"]) == {"backward", "optimizer"}
    assert (trained["environment"]["training"], trained["environment"]["dtype"]) == (
        True,
        "float64",
    )
    measured = json.loads(invoke(*args, "--measure").out)
    assert any(op["scratch_nbytes"] is not None for op in measured["ops"])


@pytest.mark.parametrize(
    ("budget", "code", "word"), [("10B", 1, "does not fit"), ("1MiB", 0, "fits")]
)
def test_a_budget(budget, code, word, invoke):
    """A budget is judged by the trace's total; where no size has a name, nothing is advised."""
    ended = invoke(*OWN, "--input", "2,3,8", "--budget", budget)
    total = 4 * (8 * 8 + 8 + 2 * 2 * 3 * 8)
    last = ended.out.splitlines()[-1]
    assert ended.code == code
    assert last.startswith(f"budget       {word}: {total} B of ")
    assert "largest" not in ended.out


def test_completion(here):
    """A shell completes Python files, then the names in one."""
    (here / "sub").mkdir()
    (here / "sub" / "more.py").write_text("def f(): ...\n")
    assert complete.targets("m")[-1] == "my.py:"
    assert complete.targets("my.py:") == [
        "my.py:Block",
        "my.py:make",
        "my.py:fails",
        "my.py:leaves",
    ]
    assert complete.targets("my.py:B") == ["my.py:Block"]
    assert complete.targets("sub/") == ["sub/more.py:"]
    assert complete.targets("sub/more.py:") == ["sub/more.py:f"]


@pytest.mark.parametrize(
    "args",
    [
        ["my.py"],
        ["none.py:Block"],
        ["broken.py:Block", "--init", "dim=8"],
        ["my.py:Block", "--init", "dim=[8"],
        ["broken.yaml"],
        ["my.py:Block", "--show-config"],
    ],
    ids=" ".join,
)
def test_torch_is_not_imported(args, process, here):
    """What is wrong with the files or the settings, and their display, do not wait for torch."""
    (here / "broken.py").write_text("class Block(:\n")
    (here / "broken.yaml").write_text("target: my.py:Block\ninit: {dim: [8\n")
    probe = (
        "import sys\nfrom attntrace.cli import main\n"
        "try:\n    main()\nfinally:\n    print('torch' in sys.modules, file=sys.stderr)"
    )
    assert process("run", *args, python=("-c", probe)).err.splitlines()[-1] == "False"


def test_code_that_runs_backward(invoke, here):
    """Torch refuses it without a graph, so it is run with --grad, which is said."""
    (here / "step.py").write_text(
        "import torch\n\ndef make():\n    w = torch.nn.Linear(4, 4)\n"
        "    return lambda x: w(x).sum().backward(), (torch.ones(2, 4),)\n"
    )
    ended = invoke("run", "step.py:make")
    assert ended.code == 0
    assert ended.err == "attntrace: note: code that runs backward is run with --grad\n"
    ended = invoke("run", "step.py:make", "--grad")
    assert (ended.code, ended.err) == (0, "")


WRITER = """import torch

class Scaled(torch.nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(dim))

    def forward(self, x):
        print("in forward")
        {write}
        return x * self.scale
"""


def test_code_that_writes_into_a_parameter(invoke, here):
    """Torch refuses it only where a graph is recorded, as it is wherever the model trains."""
    (here / "leaf.py").write_text(WRITER.format(write="self.scale.mul_(0.9)"))
    ended = invoke("run", "leaf.py:Scaled", "--init", "dim=4", "--input", "2,4")
    assert ended.code == 3
    assert "attntrace: note: code that writes into a parameter is run with --grad\n" in ended.err
    assert "a parameter that requires grad" in ended.out + ended.err


@pytest.mark.parametrize(
    "write",
    [
        "with torch.no_grad(): self.scale.mul_(0.9)",
        "with torch.no_grad(): self.scale[1:].lerp_(x[0, 1:], 0.1)",
        "self.scale.data.mul_(0.9)",
    ],
)
def test_code_that_updates_its_own_parameter(write, invoke, here):
    """What is allowed with a graph, too, is shown as it was asked for: once, without backward."""
    (here / "ema.py").write_text(WRITER.format(write=write))
    ended = invoke("run", "ema.py:Scaled", "--init", "dim=4", "--input", "2,4", "--format", "json")
    assert (ended.code, ended.err) == (0, "in forward\n")
    shown = json.loads(ended.out)
    assert (shown["environment"]["grad"], list(shown["began"])) == (False, [])


def test_what_only_a_target_has_without_one(invoke, here):
    """A file that forgot its target is told so, not that it should be a block."""
    (here / "no.yaml").write_text("init: {dim: 8}\n")
    assert invoke("run", "no.yaml").err == problems(
        "no.yaml:1:1: 'init' is for code of your own, and there is no target; add target: "
        "file.py:Name"
    )
