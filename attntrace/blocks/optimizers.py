"""The optimizers that a spec can name, with the state that they have in the middle of training."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import nn, optim
from torch.optim import Optimizer

from attntrace.errors import Problem, SettingsError
from attntrace.spec import Spec, Subject

OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "sgd": optim.SGD,
    "sgd-momentum": partial(optim.SGD, momentum=0.9),
    "adam": optim.Adam,
    "adamw": optim.AdamW,
    "adamax": optim.Adamax,
    "nadam": optim.NAdam,
    "radam": optim.RAdam,
    "rmsprop": optim.RMSprop,
    "rprop": optim.Rprop,
    "adagrad": optim.Adagrad,
    "adadelta": optim.Adadelta,
    "adafactor": optim.Adafactor,
    "asgd": optim.ASGD,
}
"""Each with torch's defaults; sgd alone keeps no state, and momentum is what it is mostly used with."""
WARM_UP = {"radam": 5}
"""Steps until the state is there and the step takes its usual course; RAdam rectifies from its sixth
on (rho above 5). Liu et al., "On the Variance of the Adaptive Learning Rate" (2020), algorithm 2."""


def optimizer(spec: Spec | Subject, block: nn.Module) -> Optimizer | None:
    """Return the optimizer of a spec after its first steps; None for none.

    The block's weights are bit for bit as before, and its gradients None. Raises SettingsError where
    there are no parameters.
    """
    parameters, name = list(block.parameters()), spec.run.optimizer
    if name == "none":
        return None
    if not parameters:
        what = f"optimizer {name} has nothing to step: the block has no parameters; leave it out"
        raise SettingsError([Problem("run.optimizer", what)])
    together = spec.run.device == "meta" and spec.run.as_device == "cuda"  # as it would be there
    more = {"foreach": True} if together else {}
    made: Optimizer = OPTIMIZERS[spec.run.optimizer](parameters, **more)
    usual = [group["lr"] for group in made.param_groups]
    slope = 0 if spec.run.optimizer == "rprop" else 1  # 0/0 in float16; rprop steps at any rate
    for group in made.param_groups:
        group["lr"] = 0.0
    for parameter in parameters:
        parameter.grad = torch.full_like(parameter, slope)
    for _ in range(WARM_UP.get(spec.run.optimizer, 1)):
        made.step()
    made.zero_grad(set_to_none=True)
    for group, rate in zip(made.param_groups, usual, strict=True):
        group["lr"] = rate
    return made
