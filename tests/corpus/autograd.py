"""Autograd, hooks, and whatever changes how a call runs: modes, functions, parametrizations."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.func import functional_call, grad, jacrev, jvp, stack_module_state, vmap
from torch.nn.utils import parametrizations, parametrize
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.checkpoint import checkpoint, checkpoint_sequential

from tests.corpus.case import case, given, made


def _x(*shape: int) -> Tensor:
    return torch.randn(*shape)


class Straight(torch.autograd.Function):
    """Round, with the gradient of the identity."""

    @staticmethod
    def forward(ctx, x, scale):
        ctx.scale = scale
        ctx.save_for_backward(x)
        return (x * scale).round() / scale

    @staticmethod
    def backward(ctx, upper):
        (x,) = ctx.saved_tensors
        return upper * (x.abs() < 1), None


@case(lambda: given(_x(3, 5)))
class CustomFunction(nn.Module):
    """A function with a backward of its own, twice."""

    def forward(self, x):
        return Straight.apply(Straight.apply(x, 4.0), 2.0)


class TwoOut(torch.autograd.Function):
    """Two outputs, one of them an index, and an input changed in place."""

    @staticmethod
    def forward(ctx, x):
        values, places = x.sort()
        ctx.mark_non_differentiable(places)
        ctx.save_for_backward(places)
        return values, places

    @staticmethod
    def backward(ctx, upper, _):
        (places,) = ctx.saved_tensors
        return torch.zeros_like(upper).scatter(-1, places, upper)


@case(lambda: given(_x(3, 5)))
class CustomFunctionOfTwo(nn.Module):
    """A function that returns a tuple."""

    def forward(self, x):
        values, places = TwoOut.apply(x)
        return values * places


@case(lambda: given(_x(3, 5)))
class Checkpointed(nn.Module):
    """Checkpoints without reentrance, with, and of a sequence."""

    def __init__(self):
        super().__init__()
        self.block = nn.Sequential(nn.Linear(5, 7), nn.Dropout(0.5), nn.Linear(7, 5))

    def forward(self, x):
        x = checkpoint(self.block, x, use_reentrant=False)
        if x.requires_grad:
            x = checkpoint(self.block, x, use_reentrant=True)
        return checkpoint_sequential(self.block, 2, x, use_reentrant=False)


@case(lambda: given(_x(3, 5)))
class GradInside(nn.Module):
    """A gradient of something is what comes out, whether or not the caller wants grad."""

    def forward(self, x):
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            energy = (x**3).sum()
            (slope,) = torch.autograd.grad(energy, x, create_graph=True)
        return slope * 2


@case(lambda: given(_x(4, 5)))
class BackwardInside(nn.Module):
    """A step of gradient descent in forward, by backward() and an optimizer."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(5, 1)

    def forward(self, x):
        with torch.enable_grad():
            steps = torch.optim.SGD(self.head.parameters(), lr=0.1)
            self.head(x.detach()).pow(2).mean().backward()
            steps.step()
            steps.zero_grad()
        return self.head(x)


@case(lambda: given(_x(4, 5)))
class Vmapped(nn.Module):
    """vmap over rows, of a function with a matmul in it."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(5, 5))

    def forward(self, x):
        return vmap(lambda row: (self.weight @ row).tanh())(x)


@case(lambda: given(_x(4, 5)))
class FunctionalGrad(nn.Module):
    """torch.func: grad, jacrev and jvp, one in the other."""

    def forward(self, x):
        slope = grad(lambda t: t.sin().sum())(x)
        jacobian = jacrev(torch.tanh)(x[0])
        _, along = jvp(torch.exp, (x,), (torch.ones_like(x),))
        return slope, jacobian, along, vmap(grad(lambda t: t.pow(2).sum()))(x)


@case(lambda: given(_x(4, 5)))
class ForwardAD(nn.Module):
    """Forward-mode differentiation with dual numbers."""

    def forward(self, x):
        with forward_ad.dual_level():
            dual = forward_ad.make_dual(x, torch.ones_like(x))
            out = forward_ad.unpack_dual(dual.cos())
        return out.primal, out.tangent


@case(lambda: given(_x(4, 5)))
class FunctionalCall(nn.Module):
    """A module is called with other parameters, and an ensemble with stacked ones."""

    def __init__(self):
        super().__init__()
        self.members = nn.ModuleList(nn.Linear(5, 3) for _ in range(3))

    def forward(self, x):
        first = self.members[0]
        doubled = {name: value * 2 for name, value in first.named_parameters()}
        out = functional_call(first, doubled, (x,))
        params, buffers = stack_module_state(list(self.members))

        def one(params, buffers):
            return functional_call(first, (params, buffers), (x,))

        return out, vmap(one)(params, buffers)


class Symmetric(nn.Module):
    """A weight that equals its transpose."""

    def forward(self, weight):
        return weight.triu() + weight.triu(1).mT


@made(lambda: given(_x(2, 5)))
def parametrized():
    """A parametrization of one's own."""
    layer = nn.Linear(5, 5)
    parametrize.register_parametrization(layer, "weight", Symmetric())
    return layer


@made(lambda: given(_x(2, 5)))
def weight_normed():
    """Weight norm and spectral norm as parametrizations; the latter updates a buffer."""
    return nn.Sequential(
        parametrizations.weight_norm(nn.Linear(5, 7)),
        parametrizations.spectral_norm(nn.Linear(7, 5)),
        parametrizations.orthogonal(nn.Linear(5, 5)),
    )


@made(lambda: given(_x(2, 5)))
def old_norms():
    """The older spectral norm, which works by a hook before forward."""
    return nn.Sequential(nn.utils.spectral_norm(nn.Linear(5, 7)), nn.ReLU())


@made(lambda: given(_x(2, 5)))
def pruned():
    """A pruned layer computes its weight from a mask in a hook."""
    from torch.nn.utils import prune

    return prune.l1_unstructured(nn.Linear(5, 7), "weight", amount=0.4)


@made(lambda: given(_x(2, 5)))
def hooks_of_the_users_own():
    """Hooks that change what comes in and out, with keywords, and some for backward."""
    model = nn.Sequential(nn.Linear(5, 5), nn.ReLU(), nn.Linear(5, 3))
    model[0].register_forward_hook(lambda module, args, out: out * 2)
    model[1].register_forward_pre_hook(lambda module, args: (args[0] - 1,))
    model[2].register_forward_hook(
        lambda module, args, kwargs, out: out + args[0].mean(), with_kwargs=True
    )
    model.register_forward_pre_hook(lambda m, args, kwargs: (args, kwargs), with_kwargs=True)
    model[2].register_full_backward_hook(lambda module, into, out: None)
    model[0].register_full_backward_pre_hook(lambda module, out: None)
    return model


@case(lambda: given(x=_x(2, 5), scale=torch.tensor(2.0)))
class HooksWithKeywords(nn.Module):
    """Everything is passed by keyword, and a hook adds to it and wraps what comes out."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(5, 3)
        self.register_forward_pre_hook(self.add, with_kwargs=True)
        self.register_forward_hook(lambda module, args, out: {"out": out})

    @staticmethod
    def add(module, args, kwargs):
        return args, kwargs | {"shift": kwargs["scale"] + 1}

    def forward(self, *, x, scale, shift):
        return self.layer(x) * scale + shift


@case(lambda: given(_x(2, 5)))
class HooksMadeInForward(nn.Module):
    """Features are fetched by a hook that is there for one call only."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 2))

    def forward(self, x):
        found = {}
        handle = self.body[1].register_forward_hook(
            lambda module, args, out: found.setdefault("features", out)
        )
        out = self.body(x)
        handle.remove()
        return out, found["features"]


@case(lambda: given(_x(2, 5)))
class TensorHooks(nn.Module):
    """Hooks on tensors and kept gradients."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(5, 3)

    def forward(self, x):
        y = self.layer(x)
        if y.requires_grad:
            y.register_hook(lambda g: g * 2)
            y.retain_grad()
        return y.exp()


@case(lambda: given(_x(2, 5)))
class SavedTensorHooks(nn.Module):
    """What autograd keeps is packed on its way."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(5, 3)

    def forward(self, x):
        with torch.autograd.graph.saved_tensors_hooks(lambda t: t.half(), lambda t: t.float()):
            return self.layer(x).sigmoid()


@case(lambda: given(_x(2, 5)))
class GradModesInside(nn.Module):
    """no_grad, enable_grad, set_grad_enabled and inference_mode, as blocks and as decorators."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(5, 5)

    @torch.no_grad()
    def teacher(self, x):
        return self.layer(x)

    @torch.inference_mode()
    def statistics(self, x):
        return self.layer(x).mean().clone()

    def forward(self, x):
        target = self.teacher(x)
        with torch.set_grad_enabled(False):
            mean = x.mean()
        with torch.inference_mode(), torch.inference_mode(mode=False):
            shifted = x.detach() - mean
        self.last = float(self.statistics(x))
        with torch.enable_grad():
            return self.layer(shifted) - target


@case(lambda: given(_x(2, 5)))
class AutocastInside(nn.Module):
    """The CPU computes products in bfloat16, but for one block."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(5, 7), nn.Linear(7, 3)

    def forward(self, x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            x = self.first(x)
            with torch.autocast("cpu", enabled=False):
                x = self.second(x.float())
            return x @ x.mT


@case(lambda: given(_x(2, 5)))
class RandomInside(nn.Module):
    """Every way to draw numbers: dropout, a generator, a fork, a seed that is put back."""

    def __init__(self):
        super().__init__()
        self.drop = nn.Dropout(0.5)

    def forward(self, x):
        own = torch.Generator().manual_seed(5)
        with torch.random.fork_rng():
            torch.manual_seed(3)
            noise = torch.randn_like(x)
        mask = torch.bernoulli(torch.full_like(x, 0.5), generator=own)
        order = torch.randperm(x.size(0))
        return self.drop(x)[order] + noise * mask + torch.empty(5).uniform_() + x.clone().normal_()


class Tagged(Tensor):
    """A tensor with a tag that goes from one to the next."""

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        out = super().__torch_function__(func, types, args, kwargs or {})
        if isinstance(out, Tagged):
            out.tag = next((a.tag for a in args if isinstance(a, Tagged) and hasattr(a, "tag")), "")
        return out


@case(lambda: given(_x(2, 5)))
class TensorSubclass(nn.Module):
    """A subclass of Tensor with `__torch_function__`."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(5, 3)

    def forward(self, x):
        x = x.as_subclass(Tagged)
        x.tag = "input"
        y = self.layer(x).relu()
        return y.as_subclass(Tensor), y[0] * 2


class Wrapped:
    """No tensor, but the functions of torch take it for one."""

    def __init__(self, value, name):
        self.value, self.name = value, name

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        plain = [arg.value if isinstance(arg, cls) else arg for arg in args]
        return cls(func(*plain, **(kwargs or {})), func.__name__)


@case(lambda: given(_x(2, 5)))
class DuckTyped(nn.Module):
    """A class that is no tensor takes part in torch's functions."""

    def forward(self, x):
        return torch.exp(torch.add(Wrapped(x, "x"), 1)).value


class Doubling(TorchFunctionMode):
    """Doubles what relu returns."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        return out * 2 if func is torch.relu else out


class Counting(TorchDispatchMode):
    """Counts ops."""

    def __init__(self):
        super().__init__()
        self.ops = 0

    @classmethod
    def _should_skip_dynamo(cls):
        return False

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.ops += 1
        return func(*args, **(kwargs or {}))


@case(lambda: given(_x(2, 5)))
class ModesInside(nn.Module):
    """Modes of the author's own, of functions and of ops, and a device as a context."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(5, 3)

    def forward(self, x):
        with Doubling():
            x = torch.relu(x)
        with Counting() as counting, torch.device("cpu"):
            x = self.layer(x) + torch.ones(3)
        self.ops = counting.ops
        with torch._C.DisableTorchFunctionSubclass():
            return x.abs()
