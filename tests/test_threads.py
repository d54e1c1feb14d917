"""Traces in several threads at once: each is the trace that it would be alone."""

from __future__ import annotations

import gc
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

import attntrace
from tests.capture.recorders import watched_state

ROUNDS = 6
PHASES = ["forward", "backward", "optimizer"]


class Residual(nn.Module):
    """Attention with one head, and what it adds to."""

    def __init__(self, dim):
        super().__init__()
        self.qkv, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

    def forward(self, x):
        q, k, v = self.qkv(x).chunk(3, -1)
        probs = (q @ k.mT).softmax(-1)
        return x + self.out(probs @ v)


def models():
    """Return different models, each with what goes in."""
    torch.manual_seed(1)
    return [
        (Residual(6), torch.randn(2, 5, 6)),
        (nn.Sequential(Residual(4), nn.GELU(), Residual(4)), torch.randn(3, 7, 4)),
        (nn.LSTM(5, 9, batch_first=True), torch.randn(2, 3, 5)),
        (nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval(), torch.randn(2, 4, 8)),
    ]


def traced(model, x):
    """Trace one call, without grad."""
    with torch.no_grad():
        return attntrace.trace(model, x).facts


def trained(model, x):
    """Watch two steps of training."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0, momentum=0.5)
    with attntrace.watch(model) as session:
        for _ in range(2):
            out = model(x)
            (out[0] if isinstance(out, tuple) else out).square().mean().backward()
            optimizer.step()
            optimizer.zero_grad()
    return session.trace.facts


def together(*works):
    """Run each work in a thread of its own, all at once, several times; return what they return."""
    start = threading.Barrier(len(works))

    def rounds(work):
        start.wait()
        return [work() for _ in range(ROUNDS)]

    with ThreadPoolExecutor(len(works)) as pool:
        return [task.result() for task in [pool.submit(rounds, work) for work in works]]


@pytest.mark.parametrize("run", [traced, trained])
def test_different_models(run):
    """Rows, ops, modules, storages, outputs and memory of four models in four threads."""
    pairs = models()
    for pair in pairs:
        run(*pair)  # what torch sets up once
    alone = [run(*pair) for pair in pairs]
    before = watched_state(), gc.get_threshold()
    found = together(*[lambda pair=pair: run(*pair) for pair in pairs])
    assert (watched_state(), gc.get_threshold()) == before
    for rounds, expected in zip(found, alone, strict=True):
        assert all(facts == expected for facts in rounds)


def test_the_same_model():
    """A model that two threads run has two traces, each whole."""
    model, x = models()[1]
    alone = traced(model, x)
    for rounds in together(lambda: traced(model, x), lambda: traced(model, x)):
        assert all(facts == alone for facts in rounds)


def test_what_another_thread_runs_untraced():
    """The same model, and its training, in a thread that nobody watches leave no row."""
    (model, x), (trains, _), (other, _) = models()[0], models()[0], models()[0]
    optimizer = torch.optim.SGD(other.parameters(), lr=0.0)

    def untraced():
        model(x)
        other(x).sum().backward()
        optimizer.step()

    trained(trains, x)
    alone = traced(model, x), trained(trains, x)
    found = together(lambda: traced(model, x), untraced, lambda: trained(trains, x))
    assert all(facts == alone[0] for facts in found[0])
    assert all(facts == alone[1] for facts in found[2])


@pytest.mark.parametrize(
    "register", [register_optimizer_step_pre_hook, register_optimizer_step_post_hook]
)
def test_a_trace_that_begins_or_ends_while_another_thread_steps(register):
    """That thread is going through its hooks of all optimizers: one more or less would break it."""
    model, x = models()[0]
    optimizer = torch.optim.SGD(nn.Linear(2, 2).parameters(), lr=0.0)
    meeting = threading.Barrier(2, timeout=10)

    def watches():
        meeting.wait()
        with attntrace.watch(model) as session:
            meeting.wait()
            model(x)
            meeting.wait()
        meeting.wait()
        return session.trace

    def meets(*_):
        meeting.wait()
        meeting.wait()

    hooks = [register(meets), register(lambda *_: None)]
    try:
        with ThreadPoolExecutor(1) as pool:
            watched = pool.submit(watches)
            optimizer.step()
            optimizer.step()
    finally:
        for hook in hooks:
            hook.remove()
    assert {row.phase for row in watched.result()} == {"forward"}


class Meanwhile(torch.autograd.Function):
    """Doubles; while its backward is under way another thread runs `Meanwhile.work`."""

    work = staticmethod(int)

    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, g):
        thread = threading.Thread(target=Meanwhile.work)
        thread.start()
        thread.join()
        return g * 2


@pytest.mark.parametrize("phase", ["backward", "optimizer"])
def test_what_another_thread_runs_while_this_one_is_past_its_forward(phase, monkeypatch):
    """Modules and steps of another thread are not taken for a repeated forward."""
    model, other = nn.Linear(5, 5), nn.Sequential(nn.Linear(3, 3), nn.ReLU())
    elsewhere = torch.optim.SGD(other.parameters(), lr=0.0)

    def work():
        other(torch.ones(2, 3)).sum().backward()
        elsewhere.step()

    class Slow(torch.optim.SGD):
        def step(self, closure=None):
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
            return super().step(closure)

    monkeypatch.setattr(Meanwhile, "work", work if phase == "backward" else int)
    optimizer = (Slow if phase == "optimizer" else torch.optim.SGD)(model.parameters(), lr=0.0)
    with attntrace.watch(model) as session:
        Meanwhile.apply(model(torch.ones(2, 5))).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    assert [call.path for call in session.trace.modules] == [""]
    assert list(dict.fromkeys(row.phase for row in session.trace)) == PHASES


class Deep(torch.autograd.Function):
    """A backward that calls backward, so deep that autograd goes on in a thread of its own."""

    threads: ClassVar[set[int]] = set()

    @staticmethod
    def forward(ctx, x, depth, model):
        ctx.depth, ctx.model = depth, model
        return x.clone()

    @staticmethod
    def backward(ctx, g):
        if ctx.depth:
            with torch.enable_grad():
                x = torch.ones(1, 3, requires_grad=True)
                Deep.apply(x, ctx.depth - 1, ctx.model).sum().backward()
        else:
            Deep.threads.add(threading.get_ident())
            ctx.model(torch.ones(2, 3))
        return g, None, None


def test_what_backward_runs_on_a_thread_of_autograds_own():
    """Such a thread works for the one that called backward: a module that it runs is seen."""
    model = nn.Linear(3, 3)
    with attntrace.watch(model) as session:
        Deep.apply(torch.ones(1, 3, requires_grad=True), 70, model).sum().backward()
    assert threading.get_ident() not in Deep.threads
    assert [call.path for call in session.trace.modules] == [""]
    assert [row.op for row in session.trace.find(phase="recompute")] == ["linear"]


def test_an_error_in_one_thread_is_none_in_another():
    """A failing forward beside one that does not: each has its own end."""
    model, x = models()[1]
    alone = traced(model, x)

    def fails():
        with pytest.raises(attntrace.ForwardError) as caught:
            traced(model, x[..., 1:])
        return caught.value.diagnosis

    good, bad = together(lambda: traced(model, x), fails)
    assert all(facts == alone for facts in good)
    assert {failure.op for failure in bad} == {"linear"}


def test_a_session_is_closed_on_its_thread():
    """Another thread cannot take away what is on this one's stacks: it is told so."""
    model, x = models()[0]
    session = attntrace.watch(model)
    errors = []

    def close():
        try:
            session.__exit__(None, None, None)
        except attntrace.AttntraceError as error:
            errors.append(str(error))

    before = watched_state()
    with session:
        model(x)
        thread = threading.Thread(target=close)
        thread.start()
        thread.join()
        model(x)
    assert watched_state() == before
    assert errors == [
        "a session ends on the thread on which it began: leave `with attntrace.watch(...)` there"
    ]
    assert len(session.trace.facts.outputs) == 2


def test_a_thread_that_the_block_starts_is_another():
    """A worker of the block's own is not watched; what it hands back comes from outside."""
    model, x = models()[0]
    made = []
    with torch.no_grad(), attntrace.watch(model) as session:
        thread = threading.Thread(target=lambda: made.append(F.relu(x)))
        thread.start()
        thread.join()
        model(made[0])
    assert session.trace[0].kind == "input"
    assert session.trace.find(op="relu") == ()
