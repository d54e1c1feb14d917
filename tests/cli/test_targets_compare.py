"""`compare` of code of the user's own: many ways, beside others and beside blocks of ours."""

from __future__ import annotations

import json

import pytest

import attntrace

CODE = """
from torch import nn

class Mlp(nn.Module):
    def __init__(self, wide=16, parts=(1, 1), act="relu"):
        super().__init__()
        self.up, self.down = nn.Linear(8, wide), nn.Linear(wide, 8)
        print("built")

    def forward(self, x):
        hidden = self.up(x).relu()
        return self.down(hidden)

def picks(x):
    return x.argmax(-1)
"""
INPUT = ("--input", "x=batch,tokens,8", "--size", "batch=2")
NOT_OURS = (
    "is for code of your own, such as attntrace run file.py:Name; a block of attntrace's has "
    "flags of its own"
)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Work in a folder with `my.py`, and `own.yaml` that has it as its target."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.py").write_text(CODE.lstrip("\n"))
    (tmp_path / "own.yaml").write_text(
        "target: my.py:Mlp\ninit: {wide: 32}\ninputs: {x: '2,5,8'}\nrun: {mode: eval}\n"
    )


@pytest.fixture
def variants(invoke):
    """Return a function that compares, and returns the variants by label."""

    def compared(*args):
        ended = invoke("compare", *args, "--format", "json")
        assert (ended.code, set(ended.err.splitlines()) - {"built"}) == (0, set())
        document = json.loads(ended.out)
        assert document["not_run"] == []
        return {variant["label"]: variant for variant in document["variants"]}

    return compared


def test_every_combination(variants):
    """Values of --init, --size and flags make a way each, with the figures of that very run."""
    found = variants(
        "my.py:Mlp", *INPUT, "--size", "tokens=4,5", "--init", "wide=16,32", "--dtype",
        "float32,bfloat16",
    )  # fmt: skip
    assert list(found) == [
        f"dtype {dtype}, wide {wide}, tokens {tokens}"
        for dtype in ("float32", "bfloat16")
        for wide in (16, 32)
        for tokens in (4, 5)
    ]
    for wide in (16, 32):
        for tokens in (4, 5):
            spec = attntrace.load(
                "my.py:Mlp", init={"wide": wide}, inputs={"x": "batch,tokens,8"},
                sizes={"batch": 2, "tokens": tokens}, run={"grad": True, "mode": "train"},
            )  # fmt: skip
            memory = attntrace.run(spec).memory
            row = found[f"dtype float32, wide {wide}, tokens {tokens}"]
            assert row["training_peak_nbytes"] == memory.training_peak_nbytes
            assert row["parameters"] == 2 * 8 * wide + wide + 8


def test_brackets_keep_a_value_whole(variants):
    """A list in brackets is one value, and so is a shape."""
    found = variants("my.py:Mlp", "--input", "2,5,8", "--init", "parts=[[1,2],3],[4]")
    assert {label: way["spec"]["init"]["parts"] for label, way in found.items()} == {
        "parts [[1,2],3]": [[1, 2], 3],
        "parts [4]": [4],
    }


def test_files_and_blocks_beside_code(variants):
    """A YAML file with a target, a target and a preset: --init and --input are for code alone."""
    found = variants(
        "own.yaml", "my.py:Mlp", "vit-b-16", "--input", "x=3,8", "--init", "act=relu,gelu",
        "--device", "meta",
    )  # fmt: skip
    assert list(found) == [
        "own.yaml, act relu",
        "own.yaml, act gelu",
        "my.py:Mlp, act relu",
        "my.py:Mlp, act gelu",
        "vit-b-16",
    ]
    assert found["own.yaml, act relu"]["spec"]["init"] == {"wide": 32, "act": "relu"}
    modes = {label: way["spec"]["run"]["mode"] for label, way in found.items()}
    assert modes == {label: "eval" if label.startswith("own.yaml") else "train" for label in found}


def test_code_without_a_backward(variants):
    """Code whose output has no gradient is compared by its forward."""
    found = variants("my.py:picks", "my.py:Mlp", "--input", "2,5,8")
    assert found["my.py:picks"]["training_peak_nbytes"] is None
    assert found["my.py:Mlp"]["training_peak_nbytes"] is not None


def test_what_one_of_them_does_not_take(invoke):
    """A way that does not fit its code stands below the table, as others do that cannot run."""
    ended = invoke("compare", "my.py:Mlp", "--input", "2,5,8", "--init", "wide=16,null")
    assert ended.code == 3
    assert ended.out.splitlines()[-1] == (
        "- wide null: Mlp could not be built: TypeError: empty(): argument 'size' (position 1) must "
        "be tuple of ints, but found element of type NoneType at pos 0; my.py:6: self.up, self.down "
        "= nn.Linear(8, wide), nn.Linear(wide, 8)"
    )


@pytest.mark.parametrize(
    ("args", "lines"),
    [
        (["vit-b-16", "--init", "a=1"], [f"--init a=1: --init {NOT_OURS}"]),
        (
            ["my.py:Mlp", "--input", "x=2,8", "--heads", "4,8"],
            [
                f"--heads {heads}: --heads describes a block of attntrace's own; give yours --init "
                f"heads={heads}, or name the size in an input, such as --input x=2,heads"
                for heads in (4, 8)
            ],
        ),
        (["my.py:Mlp", "--input", "x=2,8", "--size", "n=4"],
         ["--size n=4: no input has a size 'n'; no input names a size"]),
        (["my.py:Ml"], ["my.py:Ml: no 'Ml' in my.py; did you mean 'Mlp'?"]),
    ],
)  # fmt: skip
def test_what_is_refused(args, lines, invoke):
    """What is wrong in every way is told once for each, and nothing is compared."""
    ended = invoke("compare", *args)
    count = "1 problem" if len(lines) == 1 else f"{len(lines)} problems"
    told = [f"attntrace: {count} with the settings", *(f"  {line}" for line in lines)]
    assert (ended.code, ended.out, ended.err.splitlines()) == (2, "", told)
