"""Traces that run at once, in two threads, do not mix."""

from __future__ import annotations

import sys
import threading
import warnings
from dataclasses import replace

import pytest
import torch

import attntrace
from tests.corpus.case import CASES
from tests.corpus.recorder import process_state, seed

TURN = 31
"""How far apart the two cases of a pair are in the corpus."""
PAIRS = list(zip(CASES, CASES[TURN:] + CASES[:TURN], strict=True))


@pytest.fixture
def in_small_steps():
    """Threads take turns as often as Python lets them."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def facts_of(target, given):
    """Return what a trace without grad says of tensors, ops and modules."""
    with torch.no_grad():
        facts = attntrace.trace(target, *given.args, **given.kwargs).facts
    rows = [replace(row, source=None) for row in facts.tensors]  # fx numbers its files
    return rows, facts.ops, facts.modules, facts.outputs


def prepared(case):
    """Return what is called and its arguments, the same each time."""
    seed(5)
    return case.make(), case.given()


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: f"{pair[0]} and {pair[1]}")
def test_two_threads_do_not_mix(pair, in_small_steps):
    """Each trace says what it says alone, and the process is as before."""
    with warnings.catch_warnings(action="ignore"):
        alone = [facts_of(*prepared(case)) for case in pair]
        work = [prepared(case) for case in pair]
        together = [None, None]
        start = threading.Barrier(2)

        def run(number):
            start.wait()
            together[number] = facts_of(*work[number])

        before = process_state()
        threads = [threading.Thread(target=run, args=(n,)) for n in (0, 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        after = process_state()
    for name in ("torch's random state", "python's random state"):
        del before[name], after[name]
    assert after == before
    for ours, theirs in zip(together, alone, strict=True):
        assert ours == theirs
