"""Finding code: files, packages, modules; what it raises; and that nothing is left behind."""

from __future__ import annotations

import random
import re
import sys

import pytest
import torch

import attntrace

BLOCK = """
    import torch
    from torch import nn

    class Block(nn.Module):
        def __init__(self, dim=8):
            super().__init__()
            self.proj = nn.Linear(dim, dim)

        def forward(self, x):
            return self.proj(x)

        class Inner(nn.Module):
            def forward(self, x):
                return x + 1

    def make():
        return Block(), (torch.randn(2, 3, 8),), {}

    def pair():
        return Block(), (torch.randn(2, 3, 8),)

    def named():
        return [Block(), {"x": torch.randn(2, 3, 8)}]

    def block():
        return Block()

    def wide(dim) -> nn.Module:
        return Block(dim)

    def double(x, factor=2):
        return x * factor

    class Doubled:
        def __call__(self, x):
            return x * 2

    model = Block()
    recipe = (model, (torch.randn(2, 3, 8),), {})
    doubled = Doubled()
"""


@pytest.mark.parametrize(
    ("name", "settings", "subject"),
    [
        ("Block", {"inputs": {"x": "2,3,8"}}, "Block"),
        ("Block", {"init": {"dim": 5}, "inputs": ["2,3,5"]}, "Block"),
        ("Block.Inner", {"inputs": ["2,3"]}, "Inner"),
        ("make", {}, "Block"),
        ("pair", {}, "Block"),
        ("named", {}, "Block"),
        ("block", {"inputs": ["2,3,8"]}, "Block"),
        ("wide", {"init": {"dim": 7}, "inputs": ["2,3,7"]}, "Block"),
        ("double", {"inputs": {"x": "2,3", "factor": 3}}, "double"),
        ("model", {"inputs": ["2,3,8"]}, "Block"),
        ("recipe", {}, "Block"),
        ("Doubled", {"inputs": ["2,3"]}, "Doubled"),
        ("doubled", {"inputs": ["2,3"]}, "Doubled"),
    ],
)
def test_everything_that_a_name_may_be(name, settings, subject, write, run):
    """Classes, instances, factories, recipes and functions run, by file and by module."""
    write(code=BLOCK)
    for target in (f"code.py:{name}", f"./code.py:{name}"):
        assert run(target, **settings).facts.subject == subject
    write({"own/code.py": BLOCK})
    assert run(f"own.code:{name}", **settings).facts.subject == subject


def test_an_installed_module(run):
    """What is installed needs no file: a class and a builtin function of torch."""
    made = {"in_features": 4, "out_features": 5}
    trace = run("torch.nn:Linear", init=made, inputs=["2,4"])
    assert trace.output.shape == (2, 5)
    called = run("torch.nn.functional:softmax", inputs={"input": "2,3", "dim": -1})
    assert torch.equal(called.output.sum(-1), torch.ones(2))
    assert run("torch:relu", inputs=["2,3"]).output.shape == (2, 3)


def test_a_file_beside_it(write, run):
    """A file imports its neighbours as it does under `python file.py`, from any folder."""
    where = write(
        {
            "sub/near.py": "STEP = 3\n",
            "sub/code.py": "import near\ndef f(x):\n    return x + near.STEP\n",
        }
    )
    assert torch.equal(run("sub/code.py:f", inputs=["zeros(2,)"]).output, torch.full((2,), 3.0))
    assert torch.equal(
        run(f"{where}/sub/code.py:f", inputs=["ones(2,)"]).output, torch.full((2,), 4.0)
    )


def test_an_import_when_it_runs(write, run):
    """A forward may import its neighbours, too."""
    write(
        {
            "sub/near.py": "STEP = 3\n",
            "sub/code.py": "def f(x):\n    import near\n    return x + near.STEP\n",
        }
    )
    assert run("sub/code.py:f", inputs=["zeros(2,)"]).output.tolist() == [3, 3]


def test_a_file_in_a_package(write, run):
    """A file whose folder is a package is imported as part of it, so that relative imports work."""
    write(
        {
            "top/pack/__init__.py": "",
            "top/pack/inner/__init__.py": "from ..steps import STEP\n",
            "top/pack/steps.py": "STEP = 5\n",
            "top/pack/inner/code.py": "from . import STEP\nfrom ..steps import STEP as S\ndef f(x):\n    return x + STEP + S\n",
        }
    )
    assert run("top/pack/inner/code.py:f", inputs=["zeros(2,)"]).output.tolist() == [10, 10]
    assert run("top/pack/inner/__init__.py:STEP.__add__", inputs={"0": 2}).output == 7


def test_names_that_python_has_itself(write, run):
    """A file may be called as a module of Python or of torch's is: it is the file that runs."""
    write(types="def f(x):\n    return x + 1\n", torch="def f(x):\n    return x + 2\n")
    assert run("types.py:f", inputs=["zeros(1,)"]).output.tolist() == [1]
    assert run("torch.py:f", inputs=["zeros(1,)"]).output.tolist() == [2]
    assert "site-packages" in sys.modules["torch"].__file__


def test_a_file_that_has_changed(write, run):
    """Each run reads the files anew, neighbours too."""
    write(
        {
            "sub/near.py": "STEP = 3\n",
            "sub/code.py": "from near import STEP\ndef f(x):\n    return x + STEP\n",
        }
    )
    assert run("sub/code.py:f", inputs=["zeros(1,)"]).output.tolist() == [3]
    write({"sub/near.py": "STEP = 40\n"})
    assert run("sub/code.py:f", inputs=["zeros(1,)"]).output.tolist() == [40]


def test_nothing_is_left_behind(write, run):
    """sys.path, sys.modules, the random states and the grad mode are as before, after errors too."""
    write(
        {
            "sub/near.py": "import sys\nsys.path.append('left')\nSTEP = 3\n",
            "sub/mine.py": "import near, torch, random\ntorch.manual_seed(3)\nrandom.seed(3)\n"
            "def f(x):\n    return x + torch.rand(1)\ndef g(x):\n    raise OSError\n",
            "sub/bad.py": "import near\nraise OSError\n",
        }
    )
    states = torch.get_rng_state(), random.getstate()
    path, modules = list(sys.path), set(sys.modules)
    for target in ("f", "g"):
        with torch.no_grad():
            try:
                run(f"sub/mine.py:{target}", inputs=["2,"], run={"grad": True})
            except attntrace.ForwardError:
                assert target == "g"
            assert not torch.is_grad_enabled()
    with pytest.raises(attntrace.BuildError):
        run("sub/bad.py:f")
    assert sys.path == path
    assert {"near", "bad", "mine"}.isdisjoint(set(sys.modules) - modules)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (
            "x = 3\nraise ValueError('no\\nway')\n",
            "ValueError: no\nway\n  bad.py:2: raise ValueError('no\\nway')",
        ),
        ("import sys\nsys.exit(3)\n", "it ended Python with sys.exit(3)\n  bad.py:2: sys.exit(3)"),
        ("raise SystemExit\n", "it ended Python with sys.exit()\n  bad.py:1: raise SystemExit"),
        ("import broken\n", "SyntaxError: invalid syntax\n  broken.py:2: def f(:"),
        (
            "import nowhere_to_be\n",
            "ModuleNotFoundError: No module named 'nowhere_to_be'\n  bad.py:1: import nowhere_to_be",
        ),
        ("import near\n", "ZeroDivisionError: division by zero\n  near.py:2: 1 / 0"),
        ("import torch\ntorch.ones(2) @ torch.ones(3)\n", None),
        ("import json\njson.loads('{')\n", None),
        ("assert False\n", "AssertionError\n  bad.py:1: assert False"),
    ],
)
def test_a_file_that_cannot_be_imported(code, message, write, refused):
    """What an import raises is told with the innermost line of the user's own, and no traceback."""
    write(bad=code, near="# one\n1 / 0\n", broken="x = 1\ndef f(:\n")
    kind, text = refused("bad.py:f")
    assert kind == "BuildError"
    assert text.startswith("bad.py could not be imported: ")
    if message is None:
        assert text.endswith(f"\n  bad.py:2: {code.splitlines()[1]}")
    else:
        assert text == f"bad.py could not be imported: {message}"


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("code.py:Blok", "no 'Blok' in code.py; did you mean 'Block'?"),
        ("code.py:Block.Iner", "no 'Iner' in Block; did you mean 'Inner'?"),
        (
            "code.py:zzz",
            "no 'zzz' in code.py; it has Block, make, pair, named, block, wide, double, model",
        ),
        (
            "nowhere.to_be:f",
            (
                "no module 'nowhere' in this folder or installed; install its package "
                "(pip install -e .), or name the file, such as src/nowhere/to_be.py:f"
            ),
        ),
        ("torch.nn.nowhere:f", "no module 'torch.nn.nowhere' in this folder or installed"),
        ("torch.nn:Linaer", "no 'Linaer' in torch.nn; did you mean 'Linear'?"),
        ("math:pi", "it is a float; an nn.Module class or instance, or a function, was expected"),
    ],
)
def test_a_name_that_is_not_there(target, message, write, refused):
    """A module or a name that is not there is a mistake of the settings, with what was meant."""
    write(code=BLOCK)
    assert refused(target) == ("SettingsError", f"target: {message}")


def test_a_package_that_is_another(write, refused):
    """A file in a package whose name another package has already is not mistaken for it."""
    write({"torch/__init__.py": "", "torch/nn/__init__.py": "", "torch/nn/functional.py": ""})
    kind, text = refused("torch/nn/functional.py:f")
    assert kind == "SettingsError"
    assert re.fullmatch(
        r"target: torch\.nn\.functional is already /.*/torch/nn/functional\.py; run it where no "
        r"other torch is",
        text,
    )


def test_code_that_reads_the_command_line(write, run, monkeypatch):
    """It finds none of our words, when it is imported, built and run; then they are back."""
    words = ["attntrace", "run", "code.py:make", "--grad"]
    monkeypatch.setattr(sys, "argv", words)
    write(
        code="""
        import sys
        import torch

        SEEN = [list(sys.argv)]

        def make():
            SEEN.append(list(sys.argv))
            return lambda x: torch.ones(*map(len, (*SEEN, sys.argv))), (1,)
        """
    )
    assert run("code.py:make", inputs=["2,"]).output.shape == (1, 1, 1)
    assert sys.argv is words
