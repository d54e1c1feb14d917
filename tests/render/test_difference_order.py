"""What is told first of a difference, what only once, and what is only counted."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import nn

import attntrace
from attntrace.analysis.difference import difference
from attntrace.analysis.snapshot import snapshot_of
from attntrace.render.difference import (
    difference_facts,
    difference_lines,
    difference_markdown,
    difference_sentence,
)
from tests.snapshots import module, row, snapshot


def model(width, layers, act):
    """Return a run of layers whose axes are known, with an activation in each."""
    axes, wide = ("batch", "width"), ("batch", "4*width")
    rows, modules = (
        [row(name="x", shape=(3, width), axes=axes)],
        [module("", "Net", layers * 4 * width * width)],
    )
    for n in range(layers):
        here = f"layers.{n}"
        rows += [
            row(here, "h", shape=(3, 4 * width), axes=wide),
            row(here, "a", act, shape=(3, 4 * width), axes=wide),
            row(here, "y", shape=(3, width), axes=axes),
        ]
        form = f"float32[{4 * width}, {width}]"
        modules.append(module(here, "Layer", 4 * width * width, weight=form))
    sizes = {"batch": 3, "width": width, "layers": layers}
    return snapshot(rows, modules, sizes=sizes)


def test_what_no_size_explains_comes_first():
    """Another op stands before the rows, parameters and layers that sizes explain."""
    found = difference(model(96, 4, "gelu"), model(120, 6, "relu"))
    act = "op gelu -> relu"
    assert difference_sentence(found) == (
        f"layers.0-3.a x4 changed: (batch, 4*width 384 -> 480), {act}, 4.5 KiB -> 5.6 KiB, and "
        "size width 96 -> 120 and size layers 4 -> 6 in 9 rows and 6 modules"
    )
    assert difference_lines(found)[:5] == [
        f"! layers.0-3.a x4: (batch, 4*width 384 -> 480), {act}, 4.5 KiB -> 5.6 KiB",
        "! size width 96 -> 120",
        "! size layers 4 -> 6",
        "  these explain the rest: 9 rows, 6 modules",
        "! x: (batch, 96 -> 120 width), 1.1 KiB -> 1.4 KiB",
    ]
    facts = difference_facts(found)
    assert [([*of["places"]], of["explained"]) for of in facts["modules"]] == [
        ([f"layers.{n}" for n in range(4)], True),
        (["layers.4", "layers.5"], True),
    ]


def test_what_a_size_explains_of_modules():
    """Only dimensions that are sizes follow, and only so many layers, each as the others."""
    before, after = model(96, 4, "gelu"), model(96, 6, "gelu")
    assert difference_lines(difference(before, after))[:2] == [
        "! size layers 4 -> 6 explains all: 2 modules",
        "+ module layers.4-5 x2 Layer: 6 rows, parameters 36,864 each",
    ]
    assert difference_sentence(difference(after, before)) == "size layers 6 -> 4 in 2 modules"
    odd = replace(after.modules[-1], type="Other")
    for other in (
        replace(after, modules=(*after.modules[:-1], odd)),
        replace(after, modules=(*after.modules, replace(odd, path="layers.6"))),
        replace(after, sizes={**after.sizes, "layers": 7}),
    ):
        assert "explain" not in "".join(difference_lines(difference(before, other)))
    vocab = (("weight", "float32[384, 95]"),)
    strange = tuple(replace(of, own=vocab) if of.own else of for of in before.modules)
    told = difference_lines(difference(before, replace(model(120, 4, "gelu"), modules=strange)))
    assert told[0].startswith("! module layers.0-3 x4 Layer: weight [384, 96] -> [384, 95]")


def test_one_change_is_told_once():
    """Below its sentence, a single change has no line; without one it has."""
    before, after = (snapshot([row("a", "q", shape=(3, n))]) for n in (4, 5))
    found = difference(before, after)
    line = "! a.q: (3, 4 -> 5), 48 B -> 60 B"
    assert difference_lines(found)[0] == line
    assert difference_lines(found, headed=True) == difference_lines(found)[1:]
    assert line not in difference_markdown(found)
    assert "```" not in difference_markdown(found)


def sequence(layers, width):
    """Return a model of lists in lists, without a name for any row."""
    return nn.Sequential(
        *(nn.Sequential(nn.Linear(8, width), nn.ReLU(), nn.Linear(width, 8)) for _ in range(layers))
    )


def taken(model, *inputs):
    """Return what is compared of a run."""
    return snapshot_of(attntrace.trace(model, *inputs).facts)


def test_rows_of_lists_are_one_line():
    """A row that has but a path is written with that once, and told once for all layers."""
    found = difference(*(taken(sequence(5, width), torch.ones(3, 8)) for width in (16, 12)))
    assert [line for line in difference_lines(found) if "module" not in line][:2] == [
        "! 0-4.0 x5: (3, 16 -> 12), 192 B -> 144 B",
        "! 0-4.1 x5: (3, 16 -> 12), 192 B -> 144 B",
    ]


class Shared(nn.Module):
    """Three blocks, or one three times."""

    def __init__(self, *, shared):
        """Make them."""
        super().__init__()
        blocks = [nn.Sequential(nn.Linear(8, 8), nn.Tanh()) for _ in range(3)]
        self.blocks = nn.ModuleList(blocks[:1] * 3 if shared else blocks)

    def forward(self, x):
        """Return (batch, 8)."""
        for block in self.blocks:
            x = block(x)
        return x


def test_rows_that_go_with_their_module_are_counted():
    """Where one block stands for three, that is told, and its rows are its consequence."""
    found = difference(*(taken(Shared(shared=of), torch.ones(3, 8)) for of in (False, True)))
    assert difference_lines(found)[:3] == [
        "! module blocks.0 Sequential: called 1 -> 3 times",
        "- module blocks.1-2 x2 Sequential: parameters 72 each",
        "  with that, 4 rows in another module: blocks.1-2.0 -> blocks.0.0 x2",
    ]


def test_names_that_only_count_are_one_line():
    """Results with a number behind them are told once; what is done with a number is not one."""
    norms = [row(name=f"norms[{n}]", shape=()) for n in range(28)]
    found = difference(snapshot([row()]), snapshot([row(), *norms]))
    assert difference_lines(found)[0] == "+ norms[0-27] x28: linear, (), float32, 4 B"
    assert found.rows[0].names == tuple(f"norms[{n}]" for n in range(28))
    scaled = [row(name=f"x * {n}") for n in (2, 3)]
    assert len(difference(snapshot([row()]), snapshot([row(), *scaled])).rows) == 2


class Round(torch.autograd.Function):
    """Rounds, and lets gradients through."""

    @staticmethod
    def forward(ctx, x):
        """Return the same shape."""
        return torch.round(x * 8) / 8

    @staticmethod
    def backward(ctx, grad):
        """Return it as it is."""
        return grad


class Rounded(nn.Module):
    """Gives a result of an autograd.Function a name."""

    def forward(self, x):
        """Return the same shape."""
        z = Round.apply(x)
        return F.relu(z)


def test_a_function_of_autograd_has_the_name_it_is_given():
    """What it returns is called as the author calls it, whatever stands within it."""
    rows = taken(Rounded(), torch.ones(2, requires_grad=True)).rows
    assert [of.name for of in rows][:4] == ["x", "x * 8", "torch.round(x * 8)", "z"]
