"""Control flow: branches, loops, recursion, modules that are called in ways of their own."""

from __future__ import annotations

import contextlib
import contextvars
import copy
import pickle
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial, reduce

import torch
from torch import nn

from tests.corpus.case import case, given, made


def _x(*shape: int) -> torch.Tensor:
    return torch.randn(*shape)


@case(lambda: given(_x(2, 5)))
class EarlyExit(nn.Module):
    """The forward ends where it is sure enough, by a number it reads out of a tensor."""

    def __init__(self):
        super().__init__()
        self.steps = nn.ModuleList(nn.Linear(5, 5) for _ in range(4))

    def forward(self, x):
        for number, step in enumerate(self.steps):
            x = step(x).tanh()
            if x.abs().max().item() < 0.9 and number:
                return x
        return x * 0


@case(lambda: given(_x(2, 5)))
class Branches(nn.Module):
    """Which half runs depends on the data, and on a draw of two random generators."""

    def forward(self, x):
        if x.sum() > 0 and random.random() >= 0:
            return x.relu() + torch.rand(1)
        return x.sigmoid() - torch.rand(1)


@case(lambda: given(_x(3, 5), [2, 0, 3]))
class LoopOverData(nn.Module):
    """A loop as long as a number that comes with the data."""

    def forward(self, x, lengths):
        rows = []
        for row, length in zip(x, lengths, strict=True):
            grown = row
            for _ in range(length):
                grown = grown * 1.5
            rows.append(grown)
        return torch.stack(rows)


@case(lambda: given(_x(2, 5), 3))
class Recursion(nn.Module):
    """A module calls itself."""

    def __init__(self):
        super().__init__()
        self.step = nn.Linear(5, 5)

    def forward(self, x, depth):
        return self(self.step(x), depth - 1) + x if depth else x


@case(lambda: given(_x(2, 5)))
class ListInReverse(nn.Module):
    """Decoder layers that are kept in the encoder's order."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(3, 5), nn.Linear(7, 3), nn.Linear(5, 7)])

    def forward(self, x):
        for layer in reversed(self.layers):
            x = layer(x)
        return x


@case(lambda: given(torch.tensor([[1, 2, 3]])))
class TiedWeights(nn.Module):
    """The head's weight is the embedding's."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(11, 5)
        self.head = nn.Linear(5, 11, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, ids):
        return self.head(self.embed(ids))


@case(lambda: given(_x(2, 5)))
class SharedModule(nn.Module):
    """One module under two names, called three times."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(5, 5)
        self.second = self.first

    def forward(self, x):
        return self.second(self.first(self.first(x)))


@case(lambda: given(_x(2, 5)))
class AnothersMethod(nn.Module):
    """Work is done in methods of a child that are not its forward."""

    class Codec(nn.Module):
        def __init__(self):
            super().__init__()
            self.into, self.back = nn.Linear(5, 3), nn.Linear(3, 5)

        def encode(self, x):
            return self.into(x).relu()

        def decode(self, x):
            return self.back(x)

    def __init__(self):
        super().__init__()
        self.codec = self.Codec()

    def forward(self, x):
        return self.codec.decode(self.codec.encode(x))


@case(lambda: given(_x(2, 5)))
class ForwardDirectly(nn.Module):
    """`.forward()` is called by hand: no hook fires."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(5, 5), nn.ReLU())

    def forward(self, x):
        return self.inner.forward(x) + self.inner[0].forward(x)


@case(lambda: given(_x(2, 5)))
class SuperForward(nn.Linear):
    """A layer of torch's, with a little more around it."""

    def __init__(self):
        super().__init__(5, 7)

    def forward(self, x):
        return super().forward(x).clamp(min=0)


@case(lambda: given(_x(2, 5)))
class CallOverridden(nn.Module):
    """`__call__` is overridden, and goes round the hooks for small inputs."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(5, 5)

    def __call__(self, x):
        return self.forward(x) if x.numel() < 100 else super().__call__(x)

    def forward(self, x):
        return self.linear(x)


@case(lambda: given(_x(2, 5)))
class ModulesMadeInForward(nn.Module):
    """Layers come and go in forward; one stays for the next time."""

    def forward(self, x):
        x = nn.Linear(5, 7, bias=False)(x)
        x = nn.Sequential(nn.Linear(7, 5), nn.GELU())(x)
        if not hasattr(self, "late"):
            self.late = nn.Linear(5, 5)
        return self.late(x)


@made(lambda: given(_x(2, 3, 16, 16)))
def lazy_modules():
    """Layers that learn their sizes in the first call."""
    return nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(5))


@case(lambda: given(_x(2, 5)))
class CopyInForward(nn.Module):
    """A layer and a tensor are copied in forward, by copy and by pickle."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(5, 5)

    def forward(self, x):
        twin = copy.deepcopy(self.layer)
        again = pickle.loads(pickle.dumps(self.layer))  # noqa: S301 - written on this line
        kept = copy.deepcopy(x.detach())
        sent = pickle.loads(pickle.dumps(x.detach()))  # noqa: S301 - likewise
        return twin(x) + again(x) + kept + sent


@case(lambda: given(_x(2, 5)))
class ErrorsCaught(nn.Module):
    """What fails is tried in another way."""

    def forward(self, x):
        try:
            out = x @ x
        except RuntimeError:
            out = x @ x.mT
        with contextlib.suppress(IndexError, ValueError):
            nn.Linear(3, 3)(x[7])
        return out


@case(lambda: given(_x(4, 5)))
class ThreadsInside(nn.Module):
    """Rows are worked on in threads of the author's own."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(5, 5)

    def forward(self, x):
        grad = torch.is_grad_enabled()

        def work(row):
            with torch.set_grad_enabled(grad):
                return self.layer(row).sin()

        with ThreadPoolExecutor(2) as pool:
            rows = list(pool.map(work, x))
        found = []
        other = threading.Thread(target=lambda: found.append(x.detach().sum()))
        other.start()
        other.join()
        return torch.stack(rows) + found[0]


_SCALE = contextvars.ContextVar("scale", default=1.0)


@case(lambda: given(_x(3)))
class ContextVariables(nn.Module):
    """A setting travels in a context variable."""

    def forward(self, x):
        token = _SCALE.set(3.0)
        try:
            return contextvars.copy_context().run(lambda: x * _SCALE.get())
        finally:
            _SCALE.reset(token)


@case(lambda: given(_x(4, 5)))
class GeneratorsInside(nn.Module):
    """Chunks come out of a generator that works as it is asked."""

    def chunks(self, x):
        for part in x.split(2):
            yield part.exp()
        yield x.mean(0, keepdim=True)

    def forward(self, x):
        return torch.cat(list(self.chunks(x)))


@case(lambda: given(_x(2, 5)))
class DottedNames(nn.Module):
    """Names of layers that look like paths, numbers and code."""

    def __init__(self):
        super().__init__()
        self.by_name = nn.ModuleDict(
            {"0": nn.Linear(5, 5), "a/b c": nn.ReLU(), "<x>[1]": nn.Linear(5, 5)}
        )
        self.add_module("größe", nn.Tanh())
        self.add_module("weight | it's", nn.Linear(5, 2))

    def forward(self, x):
        for layer in self.by_name.values():
            x = layer(x)
        return getattr(self, "weight | it's")(self.größe(x))


@case(lambda: given(_x(3)))
class ThousandOps(nn.Module):
    """A loop of a thousand small ops."""

    def forward(self, x):
        for step in range(500):
            x = x + step
            x = x * 0.99
        return x


@case(lambda: given(_x(3, 4)))
def plain_function(x):
    """No module at all."""
    return torch.softmax(x @ x.T, -1) @ x


@made(lambda: given(_x(3)))
def a_lambda():
    """A function without a name."""
    return lambda x: x.cos() + 1


@made(lambda: given(_x(3)))
def a_partial():
    """A function with some of its arguments in it, and a tensor among them."""
    return partial(torch.addcmul, torch.ones(3), value=0.5, tensor2=torch.full((3,), 2.0))


@made(lambda: given(_x(2, 5)))
def a_bound_method():
    """A method of a module that is not its forward."""
    module = AnothersMethod.Codec()
    return module.encode


@made(lambda: given(_x(3)))
def a_builtin():
    """A function of torch's own."""
    return torch.relu


@case(lambda: given(_x(3)))
class CallableObject:
    """An object with `__call__`, a cache and no module in sight."""

    def __init__(self):
        self.seen = []

    def __call__(self, x):
        self.seen.append(tuple(x.shape))
        return self.scaled(x, 3)

    @staticmethod
    @lru_cache
    def factor(size):
        return size * 2

    def scaled(self, x, size):
        return x * self.factor(size)


@case(lambda: given([_x(3), _x(3), _x(3)]))
def higher_order(tensors):
    """Map, filter and reduce over tensors, and a comprehension in a comprehension."""
    doubled = map(partial(torch.mul, 2), tensors)
    total = reduce(torch.add, filter(lambda t: t.dim() == 1, doubled))
    return [[a * b + total for a in tensors] for b in tensors[:2]]


@case(lambda: given(_x(2, 5)))
class SelfInList(nn.Module):
    """A child that knows its parent by a list, so that the tree stays a tree."""

    class Child(nn.Module):
        def __init__(self, parent):
            super().__init__()
            self.parent = [parent]

        def forward(self, x):
            return self.parent[0].linear(x) * 2

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(5, 5)
        self.child = self.Child(self)

    def forward(self, x):
        return self.child(x)


@case(lambda: given(_x(2, 5)))
class GetattrMagic(nn.Module):
    """Attributes of the wrapped module are handed through, and `__len__` says 0."""

    def __init__(self):
        super().__init__()
        self.wrapped = nn.Linear(5, 3)

    def __getattr__(self, name):
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(self.wrapped, name)

    def __len__(self):
        return 0

    def __eq__(self, other):
        return True

    __hash__ = nn.Module.__hash__

    def forward(self, x):
        return self.wrapped(x) + self.out_features
