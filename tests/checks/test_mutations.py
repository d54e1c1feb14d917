"""A line changed in any of our blocks changes the outcome of a check, which says what it did."""

from __future__ import annotations

import json
import re
from functools import cache

import pytest
import torch

from attntrace import api, blocks
from attntrace.checks.find import find
from attntrace.checks.one import Options, check_one
from tests.blocks.variants import MOE, VARIANTS, layer
from tests.checks.mutants import FOLDER, function_of, in_force, lines_run, mutants, observed

HIDDEN_DROPPED = {"ff_dim": 40, "run": {"mode": "train"}}
GROUPED = {**MOE, "expert_impl": "grouped"}
MORE = {
    "no projection": layer(attention={"qkv": "none", "out_proj": False}),
    "no projection, fewer kv heads": layer(
        kv_heads=2, attention={"qkv": "none", "out_proj": False}
    ),
    "dropout in mlp": layer(block="encoder", feed_forward={"dropout": 0.1}, **HIDDEN_DROPPED),
    "dropout in glu": layer(
        block="encoder", feed_forward={"kind": "glu", "dropout": 0.1}, **HIDDEN_DROPPED
    ),
    "additive with a bias": layer(
        attention={"kind": "additive", "align_dim": 5}, positions={"kind": "alibi"}
    ),
    "probabilities of torch": layer(
        dim=24, attention={"impl": "torch", "need_weights": "per-head"}
    ),
    "grouped experts": layer(block="encoder", feed_forward=GROUPED, run={"dtype": "bfloat16"}),
}
"""What runs lines that no variant runs."""
ENOUGH = [
    "eager-folded-learned",
    "sdpa-qk-cross-learned",
    "eager-shared-head",
    "eager-mla",
    "eager-window",
    "eager-cache",
    "rnn-additive",
    "eager-folded-t5",
    "eager-single-conv",
    "eager-kv-fused",
    "eager-separate-heads",
    "encoder-parallel-2",
    "psa",
    "t2t",
    "rnn-dot",
    "sdpa-conv",
    "local-vit",
    "sdpa-h3d",
    "sdpa-shared-head",
    "detr",
    "patch-embed",
    "sdpa-window",
    "additive-single",
    "torch-causal,padding",
    "eager-token-first-conv",
    "decoder-moe",
    "decoder-gated-experts",
    "decoder-pattern-step",
    "t5",
    "decoder-cross",
]
"""Variants that run every line that is changed: few, for each is traced line by line."""
EVERY = {**MORE, **{name: VARIANTS[name] for name in ENOUGH}}
FILES = [file for file in sorted(FOLDER.rglob("*.py")) if any(mutants(file))]
KINDS = {"heads", "transpose", "bias", "dtype", "axes", "copy"}


@cache
def who_runs():
    """Return a variant for each line of the blocks, and the function of each code."""
    lines, functions = {}, {}
    for name, settings in EVERY.items():
        spec = api.load(None, **settings)
        with lines_run() as ran, torch.no_grad():
            blocks.build(spec)(**blocks.make_inputs(spec))
        for line in ran.lines:
            lines.setdefault(line, name)
        for code in ran.codes:
            if (function := function_of(code)) is not None:
                functions[code.co_filename, code.co_qualname] = function
    return lines, functions


@cache
def baseline(name, folder):
    """Write the config and the baseline of a variant; return what checks it, and what hooks see."""
    file = folder / f"{name}.yaml"
    file.write_text(json.dumps(EVERY[name]))  # JSON is YAML
    [checked] = find([str(file)])
    kept = check_one(checked, Options(baselines=folder / "kept", update=True))
    assert kept.status == "passed", kept.verdicts
    return checked, observed(api.load(None, **EVERY[name]))


def changed_by(mutant, folder):
    """Return what a check says of a mutant, and the taps and parameters that hooks see changed.

    None where they see nothing; of what torch refuses to run, a check has only the first of a file.
    """
    lines, functions = who_runs()
    name = lines.get((str(mutant.file), mutant.line))
    function = functions.get((str(mutant.file), mutant.function))
    if name is None or function is None:
        return None, set()
    checked, before = baseline(name, folder)
    with in_force(mutant, function):
        try:
            after = observed(api.load(None, **EVERY[name]))
        except Exception:  # noqa: BLE001 - whatever torch says of it
            after = None
        if after == before or (after is None and mutant.file in REFUSED):
            return None, set()
        outcome = check_one(checked, Options(baselines=folder / "kept"))
    if after is None:
        REFUSED.add(mutant.file)
        assert outcome.status == "broken"
        return outcome, set()
    return outcome, before.differs_in(after)


REFUSED = set()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return where configs and baselines of all files lie."""
    return tmp_path_factory.mktemp("mutants")


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(FOLDER)))
def test_a_changed_line_is_caught(file, folder):
    """What changes a shape, a number format, bytes or a parameter is said, by name."""
    for mutant in mutants(file):
        outcome, seen = changed_by(mutant, folder)
        if outcome is None:
            continue
        assert outcome.status in ("changed", "broken"), str(mutant)
        said = "\n".join(verdict.said for verdict in outcome.verdicts if not verdict.holds)
        names = {name for path in seen for name in path.split(".")} - {"tap"}
        names |= {"clone"} if mutant.what == "copy" else set()  # a row of its own
        named = any(re.search(rf"\b{re.escape(name)}\b", said) for name in names)
        assert named or not seen, (str(mutant), seen, said)


def test_there_are_changes_of_every_kind():
    """The blocks have lines for each kind of mistake, and none that no variant runs."""
    lines, _ = who_runs()
    every = [mutant for file in FILES for mutant in mutants(file)]
    assert {mutant.what for mutant in every} == KINDS
    idle = {(str(m.file), m.line) for m in every} - lines.keys()
    assert sorted(line for _, line in idle) == []
