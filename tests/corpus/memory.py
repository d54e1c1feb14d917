"""In-place ops, views, storages and buffers: who writes where."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn

from tests.corpus.case import Given, case, given, made


def _x(*shape: int) -> torch.Tensor:
    return torch.randn(*shape)


@case(lambda: given(_x(3, 5)))
class InPlaceOnInput(nn.Module):
    """Forward writes into what it was given, and hands it back."""

    def forward(self, x):
        x.mul_(2).add_(1)
        x += 3
        x[0] = 7
        return x


@case(lambda: given(_x(3, 5)))
class InPlaceOnViews(nn.Module):
    """Writes go through views of views."""

    def forward(self, x):
        y = x.clone()
        y[:, 1:3].zero_()
        y.view(-1)[::2] = -1
        y.T[0].exp_()
        y.diagonal().fill_(math.pi)
        left, right = y.chunk(2, dim=1)
        torch.nn.functional.relu(left.detach(), inplace=True)
        return y, right.detach().copy_(right.detach() * 2)


@case(lambda: given(_x(4, 6)[:, ::2], _x(4, 3).T))
class ViewsGoIn(nn.Module):
    """Inputs that are views: of something larger, and transposed."""

    def forward(self, x, y):
        return x @ y, x.unsqueeze(0).expand(2, -1, -1), x.movedim(0, 1).unbind(0)


def _thrice() -> Given:
    x = _x(4, 3)
    return given(x, x, x[1:])


@case(_thrice)
class SameTensorTwice(nn.Module):
    """One tensor comes in twice, and a part of it a third time."""

    def forward(self, x, again, part):
        return x * again, part.sum()


@case(lambda: given(_x(3, 5)))
class OutArguments(nn.Module):
    """Results are put where they are wanted."""

    def forward(self, x):
        x = x.detach()
        room = torch.empty(3, 5)
        torch.add(x, 1, out=room)
        values, places = torch.empty(0), torch.empty(0, dtype=torch.long)
        torch.max(x, dim=1, out=(values, places))
        torch.matmul(x, x.T, out=(grown := torch.empty(0)))
        return room, values, places, grown


@case(lambda: given(_x(3, 5)))
class StorageTricks(nn.Module):
    """as_strided, set_, resize_, and a storage by hand."""

    def forward(self, x):
        x = x.detach()
        windows = x.contiguous().as_strided((3, 2), (5, 1), 1)
        other = torch.empty(0).set_(x.clone().untyped_storage(), 0, (15,))
        grown = torch.ones(2)
        grown.resize_(6).fill_(3)
        shrunk = torch.ones(100)
        shrunk.untyped_storage().resize_(4 * 10)
        return windows, other * 2, grown, shrunk[:10].clone()


@case(lambda: given(_x(3, 5)))
class DataAttribute(nn.Module):
    """`.data`, detach, and a parameter that is given new data."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(5))

    def forward(self, x):
        self.weight.data = self.weight.data * 0.5
        self.weight.data.add_(0.1)
        y = x.detach()
        return y.data + self.weight, x.requires_grad


@case(lambda: given(_x(8, 4, 6, 6)))
class BatchNormTrains(nn.Module):
    """Running statistics move in forward; another norm is in eval."""

    def __init__(self):
        super().__init__()
        self.norm, self.still = nn.BatchNorm2d(4), nn.BatchNorm2d(4).eval()
        self.group = nn.GroupNorm(2, 4)

    def forward(self, x):
        return self.group(self.still(self.norm(x)))


@case(lambda: given(_x(3, 5)))
class MovingAverage(nn.Module):
    """A buffer is replaced by a new one, another is written, and a counter counts."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(5))
        self.register_buffer("square", torch.zeros(5), persistent=False)
        self.register_buffer("later", None)
        self.calls = 0

    def forward(self, x):
        with torch.no_grad():
            self.mean = self.mean * 0.9 + x.mean(0) * 0.1
            self.square.lerp_(x.pow(2).mean(0), 0.1)
            self.later = x.amax(0)
        self.calls += 1
        return (x - self.mean) / (self.square + 1e-5).sqrt()


@case(lambda: given(_x(2, 3, 8)))
class CacheOnSelf(nn.Module):
    """Keys and values are kept on the module, and grow from call to call."""

    def __init__(self):
        super().__init__()
        self.q, self.kv = nn.Linear(8, 8), nn.Linear(8, 16)
        self.past = None

    def forward(self, x):
        for step in x.unbind(1):
            k, v = self.kv(step[:, None]).chunk(2, dim=-1)
            if self.past is not None:
                k, v = (
                    torch.cat([old, new], 1) for old, new in zip(self.past, (k, v), strict=True)
                )
            self.past = k, v
            out = (self.q(step[:, None]) @ k.mT).softmax(-1) @ v
        return out


@case(lambda: given(_x(1, 2, 4), torch.tensor([1])))
class StaticCache(nn.Module):
    """A cache of a fixed size is written by index."""

    def __init__(self):
        super().__init__()
        self.cache = torch.zeros(1, 6, 4)

    def forward(self, x, where):
        self.cache.index_copy_(1, where, x[:, :1].detach())
        self.cache[:, where + 1] = x[:, 1:].detach()
        return self.cache.sum(1), self.cache[:, : int(where) + 2]


@case(lambda: given(_x(3, 5)))
class NumpyRoundTrip(nn.Module):
    """Through numpy and back, by copy and by sharing memory."""

    def forward(self, x):
        array = x.detach().numpy()
        doubled = torch.from_numpy(array * 2)
        shared = torch.as_tensor(array)
        array[0] = 0
        view = np.asarray(x.detach())
        return doubled + shared, torch.tensor(view.sum()), torch.from_numpy(np.arange(3))


@case(lambda: given(_x(3, 5)))
class OutToPython(nn.Module):
    """item, tolist, len, bool, int, iteration and an index made of it all."""

    def forward(self, x):
        order = sorted(range(len(x)), key=lambda i: x[i].sum().item())
        numbers = x[0].tolist()
        if bool((x > 0).any()) and int(x.numel()) == 15 and float(x[0, 0]) == numbers[0]:
            x = x[order]
        best = x.argmax()
        return torch.tensor(numbers), x.flatten()[best], torch.tensor([v.item() for v in x[1]])


@case(lambda: given(_x(3, 5)))
class ZeroSizes(nn.Module):
    """Empty tensors, tensors without dimensions, and ones of a single element."""

    def forward(self, x):
        none = x[:0]
        scalar = torch.tensor(3.0) * x.mean()
        empty = torch.zeros(0, 5) @ x.T
        joined = torch.cat([none, x[:1], torch.zeros(0)[:, None].expand(0, 5)])
        return none.sum(), scalar, empty, joined, scalar[None], torch.empty(2, 0, 3)


@case(lambda: given(_x(3, 5)))
class KeepsOnSelf(nn.Module):
    """Intermediates are stored as attributes, in a list and in a dict, for a look later."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(5, 5)
        self.seen, self.by_name = [], {}

    def forward(self, x):
        self.last = self.layer(x)
        self.seen.append(self.last.relu())
        self.by_name["soft"] = self.last.softmax(-1)
        return self.by_name["soft"].sum()


@case(lambda: given(_x(3, 5)))
class Freed(nn.Module):
    """Tensors are deleted as soon as they are of no more use."""

    def forward(self, x):
        big = x.repeat(20, 20)
        small = big[:2].mean(0)
        del big
        again = x.repeat(10, 10)
        return small.sum() + again.sum()


@made(lambda: given(_x(3, 5)))
def inplace_activations():
    """Activations that write into what they are given."""
    return nn.Sequential(
        nn.Linear(5, 7), nn.ReLU(inplace=True), nn.Linear(7, 7), nn.SiLU(inplace=True),
        nn.Dropout(0.3, inplace=True), nn.Hardtanh(inplace=True),
    )  # fmt: skip


@case(lambda: given(_x(3, 5)))
class ParametersOfOnesOwn(nn.Module):
    """Parameter lists and dicts, a frozen one, and a plain tensor that is not registered."""

    def __init__(self):
        super().__init__()
        self.several = nn.ParameterList(torch.randn(5) for _ in range(3))
        self.named = nn.ParameterDict({"a": torch.randn(5), "b": torch.randn(5)})
        self.frozen = nn.Parameter(torch.randn(5), requires_grad=False)
        self.plain = torch.randn(5)

    def forward(self, x):
        for parameter in self.several:
            x = x * parameter
        return x + self.named["a"] - self.named["b"] * self.frozen + self.plain


@case(lambda: given(_x(3, 5)))
class DeviceMoves(nn.Module):
    """to, type, cpu, contiguous, pin of nothing: calls that often have nothing to do."""

    def forward(self, x):
        y = x.to("cpu").to(torch.float32).contiguous().cpu().float().reshape(3, 5)
        z = y.double().to(y).type(torch.float16).type_as(x)
        return y, z, x.to(torch.bfloat16, copy=True), y.expand(3, 5), y.clone(), y.view(3, 5)


@case(lambda: given(_x(3, 5)))
class MetaInside(nn.Module):
    """Shapes are tried on the meta device first."""

    def forward(self, x):
        shape = (torch.empty(x.shape, device="meta") @ torch.empty(5, 2, device="meta")).shape
        return x @ torch.ones(5, 2), torch.zeros(shape)
