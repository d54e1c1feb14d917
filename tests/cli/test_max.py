"""`attntrace max`: the largest size that fits."""

from __future__ import annotations

import json

import pytest

import attntrace
from attntrace.analysis.budget import total_of

SIZES = {"batch": 13, "tokens": 100, "heads": 4}
NEEDS_UNIT = (
    "a size with a unit was expected, such as 80GiB or 80GB (units B, KiB, MiB, GiB, TiB, KB, kB, "
    "MB, GB, TB); got "
)


def total(**settings):
    """Return what a real run takes altogether."""
    return total_of(attntrace.run({**SIZES, **settings}).facts).nbytes


@pytest.mark.parametrize("wanted", ["batch", "tokens"])
@pytest.mark.parametrize("grad", [False, True])
def test_the_answer_holds_for_real_runs(invoke, wanted, grad):
    """The largest size fits when it is really run, and one more does not: to the byte."""
    flags = ["--grad"] if grad else []
    ended = invoke(
        "max", "--heads", 4, *flags, "--for", wanted, "--budget", "8MiB", "--format", "json"
    )
    found = json.loads(ended.out)
    size = found["fits"]["size"]
    assert (ended.code, ended.err, found["beyond"]["size"]) == (0, "", size + 1)
    run = {"run": {"grad": grad}}
    assert found["fits"]["nbytes"] == total(**{wanted: size}, **run) <= 8 * 2**20
    assert found["beyond"]["nbytes"] == total(**{wanted: size + 1}, **run) > 8 * 2**20
    assert sum(found["fits"]["parts"].values()) == found["fits"]["nbytes"]
    assert found["budget_nbytes"] == 8 * 2**20


def test_the_table(invoke):
    """The answer is a sentence; both sides of the budget are shown with what they are made of."""
    ended = invoke("max", "--heads", 4, "--budget", "8MiB")
    answer, head, fits, beyond, how = ended.out.splitlines()
    assert answer == "batch 20 is the largest that fits in 8.0 MiB (8,388,608 B); 21 does not"
    assert head.split() == ["batch", "fits", "bytes", "total", "parameters", "inputs", "peak"]
    assert fits.split()[:2] == ["20", "yes"]
    assert beyond.split()[:2] == ["21", "no"]
    assert how.endswith(" sizes were run on meta: tokens 100, eval, no grad, float32")


def test_it_speaks_for_a_gpu(invoke):
    """`--as cuda` needs no `--device meta`: every size is run on meta anyway."""
    ended = invoke("max", "--heads", 4, "--budget", "8MiB", "--as", "cuda")
    assert (ended.code, ended.err) == (0, "")
    assert " run on meta as cuda: tokens 100, " in ended.out
    plain = invoke("max", "--heads", 4, "--budget", "8MiB", "--device", "meta", "--as", "cuda")
    assert ended.out == plain.out


def test_one_size_is_one(invoke):
    """Where the settings allow one size alone, it is one that was run."""
    ended = invoke("max", "yolo11n-c2psa", "--for", "tokens", "--budget", "1GiB")
    assert "\n1 size was run on meta: batch 2, " in ended.out


def test_nothing_fits(invoke):
    """Where 1 is too much, the exit code is 1 and its bytes are said."""
    ended = invoke("max", "--heads", 4, "--budget", "100KiB")
    assert (ended.code, ended.err) == (1, "")
    assert ended.out.startswith(
        f"no batch fits in 100.0 KiB (102,400 B): batch 1 takes {total(batch=1) / 1024:.1f} KiB "
        f"({total(batch=1):,} B)\n"
    )


def test_a_rule_stops_it(invoke):
    """Where the settings allow no more, the answer is the largest that they do, and says the rule."""
    ended = invoke(
        "max", "--block", "decoder", "--set", "positions.kind=learned", "--set",
        "positions.max=32", "--tokens", 7, "--for", "tokens", "--budget", "1GB",
    )  # fmt: skip
    answer = ended.out.splitlines()[0]
    assert ended.code == 0
    assert answer == (
        "tokens 32 is the largest that the settings allow and 953.7 MiB (1,000,000,000 B) holds; 33 "
        "is refused: tokens 33 exceeds max 32 of learned positions; set positions.max 33, or fewer "
        "tokens"
    )


def test_tokens_that_the_image_makes(invoke):
    """Tokens of an image are what they are: the one legal number is the answer."""
    ended = invoke(
        "max", "--block", "patch-embed", "--set", "image.size=32x32", "--set", "image.patch=16",
        "--batch", 2, "--for", "tokens", "--budget", "1GB", "--format", "json",
    )  # fmt: skip
    found = json.loads(ended.out)
    tokens = found["fits"]["size"]
    assert found["beyond"]["size"] == tokens + 1
    assert found["beyond"]["refusal"].startswith(f"the image makes tokens {tokens}, got")
    assert len(found["tried"]) == sum(1 for probe in found["tried"] if probe["nbytes"]) + len(
        [probe for probe in found["tried"] if probe["refusal"]]
    )


def test_sizes_beyond_every_machine(invoke):
    """Nothing is allocated: a budget of terabytes is answered as well."""
    ended = invoke("max", "--heads", 4, "--for", "tokens", "--budget", "4TB", "--format", "json")
    found = json.loads(ended.out)
    assert found["fits"]["nbytes"] <= 4 * 10**12 < found["beyond"]["nbytes"]
    assert len(found["tried"]) < 16


def test_every_problem_at_once(invoke):
    """Settings, size, budget and format are judged together."""
    ended = invoke("max", "--heads", 3, "--for", "heads", "--budget", "80G", "--format", "csv")
    assert (ended.code, ended.out, ended.err) == (
        2,
        "",
        (
            "attntrace: 4 problems with the settings\n"
            "  --heads 3: chan 64 is not divisible by heads 3 (64 = 3*21 + 1); nearest heads that "
            "divide 64: 2, 4. Or set head_dim\n"
            "  --format csv: format must be one of table, markdown, json; got 'csv'\n"
            "  --for heads: for must be one of batch, tokens; got 'heads'\n"
            f"  --budget 80G: {NEEDS_UNIT}'80G'; did you mean 80GiB?\n"
        ),
    )


def test_a_budget_is_needed(invoke):
    """Without a budget there is no question."""
    ended = invoke("max")
    assert (ended.code, ended.err) == (
        2,
        (
            "attntrace: 1 problem with the settings\n"
            "  --budget: a size is needed, such as --budget 24GiB\n"
        ),
    )
