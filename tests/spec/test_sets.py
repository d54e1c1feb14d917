"""`--set path=value` and flags: the text that the user typed is the place in every message."""

from __future__ import annotations

import pytest

from attntrace.errors import SettingsError
from attntrace.spec import load

EXPECTED = "path=value was expected, such as attention.qkv_bias=true"


def problems_of(*sets, **flags):
    with pytest.raises(SettingsError) as caught:
        load(sets=sets, flags=flags)
    return str(caught.value).splitlines()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("heads", EXPECTED),
        ("=4", EXPECTED),
        ("", EXPECTED),
        (
            "heads=[",
            (
                "the value is not YAML: while parsing a flow node, "
                "expected the node content, but found '<stream end>'"
            ),
        ),
        ("heads=", "heads must be a whole number, got nothing"),
        ("run.dtype=Half", "dtype must be one of float64, float32, bfloat16, float16; got 'Half'; did you mean 'float16'?"),
        ("run.dtype=fp16", "dtype must be one of float64, float32, bfloat16, float16; got 'fp16'; did you mean 'float16'?"),
        ("run.dtype=bf16", "dtype must be one of float64, float32, bfloat16, float16; got 'bf16'; did you mean 'bfloat16'?"),
        ("run.device=CPU", "device must be one of cpu, cuda, cuda:N, mps, meta; got 'CPU'; did you mean 'cpu'?"),
        ("heads=four", "heads must be a whole number, got 'four'"),
        ("heads=true", "heads must be a whole number, got true"),
        ("hedas=4", "unknown key 'hedas'; did you mean 'heads'?"),
        ("run.sed=4", "unknown key 'run.sed'; did you mean 'run.seed'?"),
        ("attention.qkv_bias=off", "qkv_bias must be true or false, got 'off'"),
        ("run.grad=1", "grad must be true or false, got 1"),
        (
            "attention=4",
            "attention is a section; a setting such as attention.kind was expected, got 4",
        ),
        ("run=[1]", "run is a section; a setting such as run.device was expected, got [1]"),
    ],
)  # fmt: skip
def test_a_set_that_is_wrong(text, message):
    """Each way to get a `--set` wrong has its message, after the words that were typed."""
    assert problems_of(text) == [f"--set {text}: {message}"]


def test_every_set_and_flag_that_is_wrong_is_reported():
    """Problems of `--set` and of flags come in one error."""
    assert problems_of("heads", "run.sed=4", batch="0", tokens="-3") == [
        f"--set heads: {EXPECTED}",
        "--set run.sed=4: unknown key 'run.sed'; did you mean 'run.seed'?",
        "--batch 0: batch must be a whole number >= 1, got 0",
        "--tokens -3: tokens must be a whole number >= 1, got -3",
    ]


@pytest.mark.parametrize("name", ["batch", "tokens", "dim", "chan", "heads", "head_dim"])
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0", "a whole number >= 1, got 0"),
        ("-7", "a whole number >= 1, got -7"),
        ("4.0", "a whole number, got 4.0"),
        ("inf", "a whole number, got inf"),
        ("", "a whole number, got ''"),
        ("true", "a whole number, got true"),
    ],
)
def test_a_size_is_a_positive_whole_number(name, text, said):
    """Every size refuses zero, negative numbers, fractions and words."""
    flag = name.replace("_", "-")
    assert problems_of(**{name: text}) == [f"--{flag} {text}: {name} must be {said}"]


@pytest.mark.parametrize(
    ("path", "text", "message"),
    [
        (
            "attention.qk_scale",
            "nan",
            "qk_scale must be a finite number or one of head, none, embed, input; got nan",
        ),
        (
            "attention.qk_scale",
            "heads",
            "qk_scale must be a finite number or one of head, none, embed, input; got 'heads'; did you mean 'head'?",
        ),
        (
            "attention.qk_scale",
            "true",
            "qk_scale must be a finite number or one of head, none, embed, input; got true",
        ),
        ("attention.skip", "x", "skip must be one of auto, none, input, value; got 'x'"),
        ("run.device", "gpu", "device must be one of cpu, cuda, cuda:N, mps, meta; got 'gpu'"),
        (
            "run.device",
            "cuda:x",
            "device must be one of cpu, cuda, cuda:N, mps, meta; got 'cuda:x'",
        ),
        (
            "run.dtype",
            "float8",
            "dtype must be one of float64, float32, bfloat16, float16; got 'float8'; did you mean 'float64'?",
        ),
        ("run.seed", "-1", "seed must be a whole number >= 0, got -1"),
        (
            "run.seed",
            "9223372036854775808",
            "seed must be a whole number <= 9223372036854775807, got 9223372036854775808",
        ),
    ],
)
def test_a_flag_that_is_wrong(path, text, message):
    """Each setting that is not a size says what it may be."""
    flag = path.rpartition(".")[2].replace("_", "-")
    assert problems_of(**{path: text}) == [f"--{flag} {text}: {message}"]


@pytest.mark.parametrize("device", ["cuda:007", "cuda:99999999999999999999", "cuda:\u0663"])
def test_a_device_number_that_torch_cannot_read(device):
    """A device number with leading zeros, too many digits or foreign digits is refused here."""
    assert problems_of(**{"run.device": device}) == [
        f"--device {device}: device must be one of cpu, cuda, cuda:N, mps, meta; got {device!r}"
    ]


def test_a_setting_and_a_setting_below_it():
    """A value and settings below the same name are a problem, not a crash."""
    [first, *_] = problems_of("heads=4", "heads.x=3")
    assert first.startswith("--set heads.x=3: ")
