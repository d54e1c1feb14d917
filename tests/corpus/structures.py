"""Whatever goes in and comes out: every container that people put tensors in."""

from __future__ import annotations

from collections import ChainMap, OrderedDict, UserDict, UserList, defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from transformers.cache_utils import DynamicCache
from transformers.modeling_outputs import BaseModelOutputWithPast
from transformers.utils import ModelOutput

from tests.corpus.case import case, given


class Pair(NamedTuple):
    """Two tensors with names."""

    left: Tensor
    right: Tensor | None = None


@dataclass
class Batch:
    """What a data loader hands out."""

    ids: Tensor
    mask: Tensor | None = None
    more: Any = None


@dataclass
class Answer(ModelOutput):
    """A model's output in the way of Hugging Face."""

    loss: Tensor | None = None
    logits: Tensor | None = None
    states: tuple[Tensor, ...] | None = None


class Ring:
    """A container of one's own: it can be gone through, and that is all."""

    def __init__(self, *items: Tensor) -> None:
        self.items = items

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self.items)


class Plain:
    """An object with tensors in its attributes."""

    def __init__(self, value: Tensor) -> None:
        self.value = value


class Slotted:
    """An object without a dict."""

    __slots__ = ("value",)

    def __init__(self, value: Tensor) -> None:
        self.value = value


@case(lambda: given(Pair(torch.randn(2, 3), torch.randn(3, 5))))
class NamedTuples(nn.Module):
    """A named tuple goes in, another comes out."""

    def forward(self, pair):
        return Pair(pair.left @ pair.right)


@case(lambda: given(Batch(torch.arange(7), torch.ones(7, dtype=torch.bool), [torch.ones(3)])))
class Dataclasses(nn.Module):
    """A dataclass with None and a list in it goes in and comes out."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(11, 5)

    def forward(self, batch):
        rows = self.embed(batch.ids[batch.mask])
        return Batch(rows.argmax(-1), None, {"rows": rows, "first": batch.more[0] + 1})


@case(lambda: given(torch.randn(2, 7), labels=torch.randn(2, 5)))
class ModelOutputs(nn.Module):
    """What comes out has the class of Hugging Face's outputs, with fields that are not there."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(7, 5)

    def forward(self, x, labels=None):
        logits = self.head(x)
        loss = None if labels is None else (logits - labels).pow(2).mean()
        return Answer(loss=loss, logits=logits, states=(x, logits))


@case(lambda: given(BaseModelOutputWithPast(last_hidden_state=torch.randn(2, 3, 5))))
class ModelOutputGoesIn(nn.Module):
    """An output of one model is the input of the next."""

    def forward(self, previous):
        previous["past_key_values"] = previous[0].mean(1)
        return BaseModelOutputWithPast(last_hidden_state=previous.last_hidden_state.tanh())


@case(lambda: given(OrderedDict(b=torch.randn(3), a=torch.randn(3)), {"c": torch.randn(3)}))
class OrderedDicts(nn.Module):
    """Mappings in and out, in the order that they have."""

    def forward(self, first, second):
        out = OrderedDict((key, value * 2) for key, value in first.items())
        out.update({("c", 1): second["c"].exp(), 7: None})
        return out


@case(lambda: given(UserDict(x=torch.randn(5)), UserList([torch.randn(5)])))
class UserContainers(nn.Module):
    """Containers that are no dict and no list, and behave as such."""

    def forward(self, encoding, states):
        return UserDict(y=encoding["x"] + states[0], z=UserList([states[0].abs()]))


@case(lambda: given(deque([torch.randn(3), torch.randn(3)], maxlen=2)))
class Deques(nn.Module):
    """A rolling window of states in a deque."""

    def forward(self, window):
        window.append(window[-1] * 0.5)
        return deque(item.sin() for item in window)


@case(lambda: given(ChainMap({"a": torch.randn(3)}, {"b": torch.randn(3)})))
class ChainMaps(nn.Module):
    """Maps behind one another, and a dict with defaults."""

    def forward(self, maps):
        out = defaultdict(list)
        for key, value in maps.items():
            out[key[0]].append(value.neg())
        return out


@case(lambda: given(Ring(torch.randn(3), torch.randn(3))))
class CustomIterables(nn.Module):
    """A container that only its own class knows how to go through."""

    def forward(self, ring):
        first, second = ring
        return Ring(first * second, first / second)


@case(lambda: given(Plain(torch.randn(3)), SimpleNamespace(value=torch.randn(3))))
class PlainObjects(nn.Module):
    """Objects with tensors in attributes, with a dict, in a namespace and in slots."""

    def forward(self, plain, space):
        return Slotted(plain.value - space.value)


@case(lambda: given(torch.randn(1, 2, 1, 4), _cache()))
class CacheObjects(nn.Module):
    """A cache of Hugging Face's goes in, grows, and comes out: an object with a list of objects."""

    def forward(self, k, cache):
        keys, values = cache.update(k, k * 2, 0)
        return {"past": cache, "scores": k @ keys.mT @ values}


def _cache() -> DynamicCache:
    cache = DynamicCache()
    cache.update(torch.randn(1, 2, 3, 4), torch.randn(1, 2, 3, 4), 0)
    return cache


@case(lambda: given({torch.randn(3)}, frozenset([torch.randn(3)])))
class Sets(nn.Module):
    """Tensors are hashed by identity, so sets hold them."""

    def forward(self, one, other):
        (left,), (right,) = one, other
        return {left + right}


@case(lambda: given(torch.randn(4, 3)))
class GeneratorComesOut(nn.Module):
    """What comes out is a generator: nothing has run yet when forward is over."""

    def forward(self, x):
        x = x.relu()
        return (row * 2 for row in x)


@case(lambda: given(torch.randn(3) for _ in range(4)))
class GeneratorGoesIn(nn.Module):
    """What goes in can be gone through once."""

    def forward(self, rows):
        total = 0
        for row in rows:
            total = total + row
        return total


@case(lambda: given(torch.randn(2, 3), 2, 0.5, "relu", None, True, [], {}, ()))
class ScalarsAndStrings(nn.Module):
    """Numbers, text, None and empty containers stand among the tensors."""

    def forward(self, x, times, scale, name, nothing, flag, *empty):
        for _ in range(times):
            x = getattr(torch, name)(x) * scale
        return x, times, scale, name, nothing, flag, *empty


@case(lambda: given(torch.randn(3), mask=None))
class NothingComesOut(nn.Module):
    """Forward returns nothing, and its work is lost."""

    def forward(self, x, *, mask):
        x.mul(2)


@case(given)
class NothingGoesIn(nn.Module):
    """Forward takes nothing and makes its own tensors."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 5))

    def forward(self):
        return self.weight @ torch.ones(5, 2)


@case(lambda: given([({"a": [torch.randn(3)]}, (torch.randn(3), [{"b": torch.randn(3)}]))]))
class DeeplyNested(nn.Module):
    """Containers within containers, both ways."""

    def forward(self, deep):
        ((first, (second, (third,))),) = deep
        return {"x": [{"y": (first["a"][0] + second,)}, [[third["b"] - second]]]}


@case(lambda: given(torch.randn(3)))
class TheInputComesOut(nn.Module):
    """Forward hands back what it was given, its parameter, and one tensor twice."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))

    def forward(self, x):
        y = x * self.weight
        return x, self.weight, y, y


@case(lambda: given(torch.randn(3)))
class TensorsAsKeys(nn.Module):
    """A dict by tensor, and a container that holds itself by a reference of its own."""

    def forward(self, x):
        order = {x: x + 1}
        order[order[x]] = x + 2
        return list(order.values())


@case(lambda: given(torch.randn(2, 3)))
class ReturnTypes(nn.Module):
    """Torch's own named tuples: of max, topk, svd."""

    def forward(self, x):
        best = x.max(dim=1)
        return best, x.topk(2), torch.linalg.svd(x), best.values


@case(lambda: given(torch.randn(3)))
class ModuleComesOut(nn.Module):
    """Forward makes a module and hands it out with what it computed."""

    def forward(self, x):
        layer = nn.Linear(3, 2)
        return layer(x), layer


@case(lambda: given(torch.randn(3)))
class CyclicContainer(nn.Module):
    """A list that is an item of itself: nobody may walk it to its end."""

    def forward(self, x):
        out = [x + 1]
        out.append(out)
        return out
