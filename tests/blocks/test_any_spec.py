"""Whatever settings are accepted: the block runs, and what is said of the run is true."""

from __future__ import annotations

import random
import re

import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import attntrace
from attntrace.analysis.estimate import least_nbytes
from attntrace.blocks.guide import Past
from attntrace.errors import SettingsError
from attntrace.spec import load, show
from tests.blocks.any_spec import any_spec, nested
from tests.blocks.test_variants import check_axes
from tests.capture.predictions import check, even_load

derandomized = settings(
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=120,
    phases=[Phase.generate],  # a smaller seed is no smaller spec
)
half = settings(derandomized, max_examples=60)  # each is two runs
seeds = st.integers(0, 2**32)
SENTENCE = re.compile(r"\S(.*\S)?")


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    """Return a file that every example may overwrite."""
    return tmp_path_factory.mktemp("shown") / "block.yaml"


def tensors(output):
    """Yield every tensor of what a block returned: a tensor, a cache, or a tuple of such."""
    if isinstance(output, torch.Tensor):
        yield output
    elif isinstance(output, Past):
        yield from (output.k, output.v)
    else:
        for part in output:
            yield from tensors(part)


def on_meta(spec):
    """Return the trace of the same block on meta, None where meta lacks a kernel for it."""
    changed = spec.run.model_copy(update={"device": "meta"})
    try:
        load(**spec.model_dump(exclude_unset=True) | {"run": changed.model_dump()})
    except SettingsError:
        return None
    return attntrace.run(spec.model_copy(update={"run": changed}))


def has_scratch(spec):
    """Return whether a kernel computes the scores in memory that no trace can see."""
    attention, run = spec.attention, spec.run
    fused = attention.impl == "torch" and attention.qkv_bias
    return fused and run.mode == "eval" and not run.grad


def may_be_nan(spec):
    """Return whether a format is too coarse: in float16 the 1e-8 under T2T's performer is 0."""
    stem = spec.image.token_block if spec.stem == "t2t" else "none"
    return spec.run.dtype == "float16" and (stem == "performer" or spec.kind == "linear")


@half
@given(seeds)
def test_every_accepted_spec_runs_as_it_says(seed):
    """It runs without an error, axes are sizes, on meta it is the same, the estimate is a bound."""
    settings_, _ = any_spec(random.Random(seed))
    spec = load(**nested(settings_)).spec
    with even_load():
        trace = attntrace.run(spec)
    check_axes(trace)
    meta = on_meta(spec)
    if meta is not None:
        check(trace, meta)
    memory = trace.memory
    held = memory.parameters_nbytes + memory.inputs_nbytes + memory.peak_nbytes
    assert has_scratch(spec) or least_nbytes(spec) <= held, settings_
    finite = all(bool(t.isfinite().all()) for t in tensors(trace.output))
    assert finite or may_be_nan(spec), settings_


@derandomized
@given(seeds)
def test_every_refusal_is_a_sentence_and_what_is_shown_is_the_spec(scratch, seed):
    """What is refused says why of each setting; what is accepted loads again from what is shown."""
    settings_, refusals = any_spec(random.Random(seed))
    for _, error in refusals:
        assert error.problems
        assert all(SENTENCE.fullmatch(problem.message) for problem in error.problems)
    loaded = load(**nested(settings_))
    scratch.write_text(show(loaded))
    assert load(scratch).spec == loaded.spec, settings_
