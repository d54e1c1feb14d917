"""Whatever settings are accepted, and steps that people write: bytes as the profiler sees them."""

from __future__ import annotations

import random

import pytest
import torch
import torch.nn.functional as F
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.checkpoint import checkpoint

import attntrace
from attntrace.errors import SettingsError
from attntrace.spec import load
from tests.blocks.any_spec import any_spec, nested
from tests.capture.predictions import even_load
from tests.capture.recorders import profiled
from tests.capture.test_training import accounted
from tests.capture.training_steps import measured


def trained(given_settings):
    """Return the spec with grad, as it is where nothing can have one."""
    try:
        return load(**nested({**given_settings, "run.grad": True, "run.checkpoint": False})).spec
    except SettingsError:
        return load(**nested(given_settings)).spec


@settings(deadline=None, derandomize=True, database=None, max_examples=12, phases=[Phase.generate])
@given(st.integers(0, 2**32))
def test_every_accepted_spec_takes_what_the_profiler_says(seed):
    """Forward peak, training peak and saved bytes; every expert with as many tokens."""
    spec = trained(any_spec(random.Random(seed))[0])
    with even_load(), torch.set_grad_enabled(spec.run.grad):
        assert accounted(spec) == measured(spec)[:3]


def in_place(net, x):
    y = net(x).clone()
    y[:, :5] = net(x)[:, :5]
    return net(net(y.relu_()).add_(1).masked_fill_(x > 0, 0))


def partly_used(net, x):
    q, k, _ = net(x).chunk(3, -1)
    _ = net(x).softmax(-1).exp()
    return q * k.unbind(0)[3]


def without_grad(net, x):
    with torch.no_grad():
        scale = net(x).softmax(-1)
        with torch.enable_grad():
            inner = net(x)
    return net(inner * scale.detach()) * 0.7


def run_again(net, x):
    return net(checkpoint(net, net(x), use_reentrant=False, preserve_rng_state=False))


def run_again_by_reentrance(net, x):
    return net(checkpoint(net, net(x), use_reentrant=True, preserve_rng_state=False))


def hooked(net, x):
    y = net(x)
    y.register_hook(lambda gradient: gradient * 2)
    y.retain_grad()
    return F.layer_norm(y.relu(), (24,))


def penalty(net, x):
    x = x.clone().requires_grad_()
    (of_x,) = torch.autograd.grad(net(x).tanh().sum(), x, create_graph=True)
    return of_x.norm() - 1


STEPS = [
    in_place, partly_used, without_grad, run_again, run_again_by_reentrance, hooked, penalty
]  # fmt: skip


@pytest.mark.parametrize("forward", STEPS)
def test_a_step_takes_what_the_profiler_says(forward):
    """Backward and the optimizer of the author's own: the peak, and bit for bit the result."""
    peaks, results = [], []
    for watched in (False, True):
        torch.manual_seed(0)
        net, x = nn.Linear(24, 24), torch.randn(9, 24)
        adamw = torch.optim.AdamW(net.parameters())

        def step(x, net=net, adamw=adamw):
            forward(net, x).square().mean().backward()
            adamw.step()

        step(x)
        adamw.zero_grad()
        if watched:
            peaks.append(attntrace.trace(step, x).memory.training_peak_nbytes)
        else:
            peaks.append(profiled(lambda step=step, x=x: step(x)).without_scratch)
        results.append([*net.parameters(), net.weight.grad, torch.get_rng_state()])
    assert peaks[0] == peaks[1]
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))
