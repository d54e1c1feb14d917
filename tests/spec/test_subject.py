"""Targets, and the settings of code of the user's own: from texts and YAML to a subject."""

from __future__ import annotations

import itertools
import re

import pytest

from attntrace.errors import SettingsError
from attntrace.spec import Typed, asks_for_subject, load, load_subject, show_subject

CODE = """
from torch import nn
import logging

class Block(nn.Module):
    class Inner(nn.Module): ...
class Attention(nn.Module): ...
class _Hidden(nn.Module): ...
class Plain: ...
def make(): ...
def _helper(): ...
model = nn.Sequential()
log = logging.getLogger()
SIZE = 4
"""
CODE_OF_OWN = "this is code of your own; a preset or a YAML file of settings was expected"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Work in a folder with `my.py`, which cannot be imported: nothing here may run it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.py").write_text(f"{CODE}\nraise SystemExit\n")
    return tmp_path


def refused(*args, **kwargs):
    """Return the problems of settings, each as it is shown."""
    with pytest.raises(SettingsError) as caught:
        load_subject(*args, **kwargs)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("text", "means_code"),
    [
        ("my.py:Block", True),
        ("path/to/my.py:Block.Inner", True),
        ("/abs/my.py:Block", True),
        ("my.py", True),
        ("torch.nn:Linear", True),
        ("package:make", True),
        ("hf:some/folder", True),
        ("gpt2", False),
        ("block.yaml", False),
        ("C:\\block.yaml", False),
        ("package.module", False),
        (None, False),
    ],
)
def test_what_is_a_target(text, means_code):
    """A file or a module with a name is code; a preset or a YAML file is none."""
    assert asks_for_subject(text) is means_code


def test_a_file_that_is_no_python(here):
    """A file that cannot be parsed is refused where it stands, with a name or without."""
    (here / "bad.py").write_text("x = '\\d'\ndef f(:\n")
    (here / "null.py").write_bytes(b"x = 3\0")
    message = "bad.py:2 is no Python: invalid syntax: def f(:"
    assert refused("bad.py:f") == [f"bad.py:f: {message}"]
    assert refused("bad.py") == [f"bad.py: {message}"]
    (null,) = refused("null.py:f")
    assert null.endswith("source code string cannot contain null bytes")


def test_a_yaml_with_a_target(here):
    """A YAML file is a subject where it has a target at its top, wherever it stands."""
    (here / "own.yaml").write_text("{run: {seed: 3}, target: 'my.py:Block'}")
    (here / "block.yaml").write_text("run: {as_device: cuda}")
    (here / "broken.yaml").write_text("target: [")
    names = ["own.yaml", "block.yaml", "broken.yaml", "none.yaml"]
    assert [asks_for_subject(name) for name in names] == [True, False, False, False]


def test_flags_win_over_sets_over_the_file(here):
    """Each setting is the strongest one's, and shows where it came from; it loads again alike."""
    (here / "sub").mkdir()
    (here / "sub" / "own.yaml").write_text(
        "target: ../my.py:Block\n"
        "init: {dim: 8, heads: 2, config: {a.b: [1, {c: d}]}}\n"
        "inputs:\n"
        "  x: batch,tokens,8\n"
        "  n: 3\n"
        "sizes: {batch: 13, tokens: 5}\n"
        "run: {grad: true, seed: 4}\n"
    )
    loaded = load_subject(
        "sub/own.yaml",
        sets=["init.dim=16", "run.seed=5", "sizes.tokens=6"],
        flags={"run.seed": "6", "batch": "7", "run.mode": "train"},
        typed=Typed(inits=["dim=32"], inputs=["x=[batch, tokens, 32]", "mask=bool[1,1]"]),
    )
    shown = show_subject(loaded)
    assert [re.sub(" +#", " #", line) for line in shown.splitlines()] == [
        "target: sub/../my.py:Block # file: sub/own.yaml:1:1",
        "init:",
        "  dim: 32 # --init dim=32",
        "  heads: 2 # file: sub/own.yaml:2:16",
        "  config: {a.b: [1, {c: d}]} # file: sub/own.yaml:2:26",
        "inputs:",
        "  x: [batch, tokens, 32] # --input x=[batch, tokens, 32]",
        "  n: 3 # file: sub/own.yaml:5:3",
        "  mask: bool[1,1] # --input mask=bool[1,1]",
        "sizes:",
        "  batch: 7 # --batch 7",
        "  tokens: 6 # --set sizes.tokens=6",
        "run:",
        "  seed: 6 # --seed 6",
        "  mode: train # --mode train",
        "  grad: true # file: sub/own.yaml:7:7",
        "  optimizer: none # default",
        "  allow: [] # default",
    ]
    (here / "again.yaml").write_text(shown)
    assert load_subject("again.yaml").spec == loaded.spec


def test_inputs_in_order(here):
    """Inputs without a name, on the command line, in YAML and in Python, are numbered."""
    (here / "own.yaml").write_text("target: my.py:Block\ninputs: ['2,3', [4, 5], 0.5]\n")
    of_file = load_subject("own.yaml", typed=Typed(inputs=["6,7"])).spec
    of_python = load_subject(target="my.py:Block", inputs=["6,7", [4, 5], 0.5]).spec
    assert of_file.inputs == {"0": "6,7", "1": [4, 5], "2": 0.5}
    assert of_python.inputs == of_file.inputs
    assert list(of_file.wanted()) == ["0", "1", "2"]


def test_a_size_alone_is_its_number():
    """A text that is the name of a size is that number, so that `n=tokens` follows it."""
    typed = Typed(inputs=["x=2,tokens", "n=tokens", "mode=other"], sizes=["tokens=9"])
    asked = load_subject("my.py:Block", typed=typed).spec.wanted()
    assert (asked["n"], asked["mode"]) == (9, "other")


def test_what_needs_quotes_on_one_line():
    """Values come back from the command that a message shows, whatever is in them."""
    texts = ["a=[1, 'x, y']", "b='5'", "c={k: null}", "d='#'", "e=1e3", "f=-.inf", "g=''"]
    spec = load_subject("my.py:Block", typed=Typed(inits=texts)).spec
    assert spec.init == {
        "a": [1, "x, y"], "b": "5", "c": {"k": None}, "d": "#", "e": 1000.0,
        "f": float("-inf"), "g": "",
    }  # fmt: skip
    import shlex

    words = shlex.split(spec.command("--input", "x=2,3"))
    again = Typed(inits=[word for flag, word in itertools.pairwise(words) if flag == "--init"])
    assert load_subject(words[2], typed=again).spec.init == spec.init


@pytest.mark.parametrize(
    ("file", "problem"),
    [
        (
            "my.py",
            "my.py: which? my.py has Block, Attention, make, model; such as attntrace run my.py:Block",
        ),
        (
            "my.py:",
            "my.py:: which? my.py has Block, Attention, make, model; such as attntrace run my.py:Block",
        ),
        ("mi.py:Block", "mi.py:Block: no file 'mi.py'; did you mean 'my.py'?"),
        ("sub/other.py:Block", "sub/other.py:Block: no file 'sub/other.py'"),
    ],
)
def test_a_file_that_lacks_something(file, problem):
    """A name that was left out is asked for, and a file that is not there may be meant otherwise."""
    assert refused(file) == [problem]


def test_a_file_that_has_nothing_to_run(here):
    """Of a file without a class or function no name is suggested."""
    (here / "none.py").write_text("x = 3\n")
    message = "none.py: which? Name a module, or a function of none.py, as in none.py:Name"
    assert refused("none.py") == [message]


def test_every_problem_at_once(here):
    """Each wrong setting is named with the words that it was given in."""
    (here / "own.yaml").write_text(
        "target: my.py:Block\n"
        "inits: {dim: 3}\n"
        "init: 5\n"
        "inputs:\n"
        "  x: flaot32[2]\n"
        "  y: batch,2\n"
        "sizes: {n: 0}\n"
        "run:\n"
        "  devise: cpu\n"
        "  seed: -1\n"
        "  as_device: cuda\n"
    )
    assert refused(
        "own.yaml",
        sets=["target.a=3", "run.dtype"],
        flags={
            "run.device": "gpu",
            "run.checkpoint": "true",
            "heads": "4",
            "attention.impl": "sdpa",
        },
        typed=Typed(["dim"], ["z=", "w=[2", "2,-1"], ["m=2.5", "k=3"]),
    ) == [
        "--set run.dtype: path=value was expected, such as attention.qkv_bias=true",
        "--init dim: name=value was expected, such as dim=64",
        "--input z=: a value was expected, such as x=2,128,512",
        (
            "--input w=[2: the value is not YAML: while parsing a flow sequence, expected ',' or ']', "
            "but got '<stream end>'"
        ),
        "own.yaml:2:9: unknown key 'inits'; did you mean 'init'?",
        "own.yaml:3:1: init is a section; a setting such as init.dim was expected, got 5",
        "own.yaml:5:3: no number format 'flaot32'; did you mean 'float32'?",
        "own.yaml:7:9: n must be a whole number >= 1, got 0",
        "own.yaml:9:3: unknown key 'run.devise'; did you mean 'run.device'?",
        "own.yaml:10:3: seed must be a whole number >= 0, got -1",
        "--set target.a=3: unknown key 'target.a'; did you mean 'target'?",
        "--size m=2.5: m must be a whole number >= 1, got 2.5",
        (
            "--input 2,-1: a shape has whole numbers >= 0 or names of sizes, such as 2,128,512 or "
            "int64[2,128]; got '2,-1'"
        ),
        "--device gpu: device must be one of cpu, cuda, cuda:N, mps, meta; got 'gpu'",
        (
            "--checkpoint true: attntrace recomputes the layers of its own blocks alone; in code of "
            "your own, call torch.utils.checkpoint"
        ),
        (
            "--heads 4: --heads describes a block of attntrace's own; give yours --init heads=4, or "
            "name the size in an input, such as --input x=2,heads"
        ),
        "--impl sdpa: --impl describes a block of attntrace's own; give yours --init impl=sdpa",
        "own.yaml:6:3: no size 'batch'; add --size batch=N, or write {value: ...} for a text",
        "--size k=3: no input has a size 'k'; inputs name batch",
    ]


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        (
            {"run.optimizer": "adam"},
            (
                "--optimizer adam: optimizer adam steps along gradients, and without grad there are "
                "none; set run.grad true (--grad)"
            ),
        ),
        (
            {"run.as_device": "cuda"},
            (
                "--as cuda: only a run on meta speaks for another device: device cpu as cuda would "
                "still be cpu; set device meta (--device meta --as cuda), or device cuda"
            ),
        ),
    ],
)
def test_the_rules_of_the_run_section(flags, problem):
    """What cannot go together in a run of a block cannot in one of the user's own."""
    assert refused("my.py:Block", flags=flags) == [problem]


def test_no_target_at_all():
    """A subject of Python without a target says what one looks like; one of another kind too."""
    assert refused(init={"dim": 3}) == ["target: a target is needed, such as file.py:Name"]
    assert refused(target=3) == ["target=3: target must be text such as file.py:Name, got 3"]
    wrong = "target='gpt2': no target 'gpt2'; write file.py:Name, package.module:Name or hf:PATH"
    assert refused(target="gpt2") == [wrong]


def test_one_input_twice():
    """One input with two values is refused."""
    assert refused("my.py:Block", typed=Typed(inputs=["x=2,3", "x=4,5"])) == [
        (
            "--input x=4,5: inputs.x is given twice, as inputs.x (--input x=2,3) and as inputs.x; "
            "leave one out"
        )
    ]


def test_a_spec_takes_no_target(here):
    """Where a block of attntrace's own is needed, code is refused: as an argument, and in YAML."""
    (here / "own.yaml").write_text("init: {}\ntarget: my.py:Block\n")
    for file, where in (("my.py:Block", "my.py:Block"), ("own.yaml", "own.yaml:2:1")):
        with pytest.raises(SettingsError, match=f"^{re.escape(f'{where}: {CODE_OF_OWN}')}$"):
            load(file)


def test_a_config_beside_a_yaml_file(here):
    """A config.json that a YAML file names lies where the YAML file does, as a .py file would."""
    (here / "sub").mkdir()
    (here / "sub" / "net.yaml").write_text("target: hf:tiny/config.json")
    assert load_subject(here / "sub" / "net.yaml").spec.target == f"hf:{here}/sub/tiny/config.json"
