"""Views that narrow: which rows they leave, and that rows and totals always add up."""

from __future__ import annotations

import random

import pytest
import torch
from torch import nn

import attntrace
from attntrace.analysis.fold import folds, stand_ins
from attntrace.analysis.narrow import Wanted, matchable, narrowed, unmatched
from attntrace.record import Trace
from attntrace.render import View
from attntrace.render.sheet import sheet_of
from tests.builders import fake_module, fake_row, fake_trace

KINDS = (lambda: nn.Linear(6, 6), nn.ReLU, lambda: nn.LayerNorm(6), lambda: nn.Dropout(0.1))


class Group(nn.Module):
    """Children as attributes, called once or a few times each, with an op of its own now and then."""

    def __init__(self, children, calls, adds) -> None:
        """Take the children, how often each is called, and after which there is an op."""
        super().__init__()
        self.calls, self.adds = calls, adds
        for number, child in enumerate(children):
            setattr(self, f"part_{'abcdefgh'[number]}", child)

    def forward(self, x):
        """Call each child as often as it is to be called."""
        for child, calls, adds in zip(self.children(), self.calls, self.adds, strict=True):
            for _ in range(calls):
                x = child(x)
                if adds:
                    x = x + 1
        return x


def any_module(dice: random.Random, levels: int) -> nn.Module:
    """Return a random module of modules, of which many are alike."""
    if not levels or dice.random() < 0.2:
        return dice.choice(KINDS)()
    seed, count = dice.random(), dice.randint(1, 4)
    alike = dice.random() < 0.6
    children = [
        any_module(random.Random(seed) if alike else dice, levels - 1) for _ in range(count)
    ]
    if dice.random() < 0.5:
        return nn.Sequential(*children)
    adds = [dice.random() < 0.5] * count if alike else [dice.random() < 0.5 for _ in children]
    return Group(dict.fromkeys(children), [dice.choice((1, 1, 3)) for _ in children], adds)


def any_trace(seed: int, grad: bool = False) -> Trace:
    """Return the facts of a run of a random module."""
    dice = random.Random(seed)
    with torch.set_grad_enabled(grad):
        module = any_module(dice, 3 + (seed % 4 == 0))
        return attntrace.trace(module.eval(), torch.randn(2, 5, 6)).facts


def any_view(trace: Trace, dice: random.Random) -> View:
    """Return a random view, with patterns that match something."""
    names = list(matchable(trace))
    return View(
        level=dice.choice(("op", "op", "module", "kernel")),
        fold=dice.random() < 0.7,
        depth=dice.choice((None, None, 0, 1, 2, 3)),
        only=tuple(dice.sample(names, k=min(len(names), dice.choice((0, 0, 1, 2))))),
        min_nbytes=dice.choice((None, None, 1, 200, 241)),
    )


def rows_in(sheet) -> list[int]:
    """Return the numbers of the rows that a sheet shows."""
    return [line.cells["#"].value for line in sheet.lines if line.role == "tensor"]


def totals(sheet) -> list[tuple[str, str]]:
    """Return the footer without what it says of rows that are left out."""
    return [line for line in sheet.footer if line[0] not in ("hidden", "folded")]


@pytest.mark.parametrize("seed", range(60))
def test_shown_and_hidden_and_folded_are_all(seed):
    """Whatever the view: each row is shown, folded into one like it, or counted as hidden."""
    trace, dice = any_trace(seed), random.Random(seed)
    every = totals(sheet_of(trace, View(fold=False)))
    for _ in range(5):
        view = any_view(trace, dice)
        wanted = Wanted(
            boundaries=view.level == "module", only=view.only, depth=view.depth,
            min_nbytes=view.min_nbytes,
        )  # fmt: skip
        kept, hidden = narrowed(trace, wanted)
        stands = stand_ins(folds(trace, kept, with_saved=False) if view.fold else (), len(kept))
        shown = [row.index for place, row in enumerate(kept) if stands[place] == place]
        sheet = sheet_of(trace, view)
        assert len(kept) + hidden.total() == len(trace.tensors)
        assert rows_in(sheet) == shown
        assert totals(sheet) == every
        said = dict(sheet.footer[::-1]).get("hidden", "0 of")  # the first of the lines
        assert said.startswith(f"{hidden.total():,} of")
        for place, row in enumerate(kept):
            like = kept[stands[place]]
            assert alike(row, like), (row, like)


def alike(row, like) -> bool:
    """Return whether two rows show the same but for their numbers and where they are."""
    facts = ("op", "shape", "stride", "axes", "dtype", "device", "nbytes", "origin", "flops",
             "allocated_nbytes", "hidden_nbytes", "formula", "phase")  # fmt: skip
    return all(getattr(row, name) == getattr(like, name) for name in facts)


@pytest.mark.parametrize("seed", range(8))
def test_totals_of_training_never_change_either(seed):
    """With backward, the lines below the table are those of the whole run in every view."""
    block = {"block": "encoder", "layers": 2 + seed % 3, "heads": 4, "chan": 64, "tokens": 11}
    trace = attntrace.run({**block, "run": {"device": "meta", "grad": True}}).facts
    every, dice = totals(sheet_of(trace, View())), random.Random(seed)
    for _ in range(4):
        assert totals(sheet_of(trace, any_view(trace, dice))) == every


def nested() -> Trace:
    """Return rows of a network, its block and the block's attention, whose last is returned up."""
    paths = ("", "block", "block.attn", "block.attn", "block.attn", "")
    rows = [
        fake_row(n, name, "add", (7, 3 + n), path=path)
        for n, (name, path) in enumerate(zip("abcdef", paths, strict=True))
    ]
    modules = (
        fake_module("", "Net", 5), fake_module("block", "Block", 4),
        fake_module("block.attn", "Attention", 4),
    )  # fmt: skip
    return fake_trace(tensors=tuple(rows), ops=(), storages=(), modules=modules)


def names(trace: Trace, **view) -> str:
    """Return the names of the tensors that a view shows."""
    lines = sheet_of(trace, View(**view)).lines
    return "".join(line.cells["tensor"].text for line in lines if line.role == "tensor")


@pytest.mark.parametrize(
    ("depth", "shown"), [(0, "aef"), (1, "abef"), (2, "abcdef"), (9, "abcdef")]
)
def test_depth(depth, shown):
    """Below a depth only what a module returns is left, also where one inside it made that."""
    assert names(nested(), depth=depth) == shown


def test_headings_go_as_deep_as_rows():
    """At depth 1 the attention has no heading, and its output stands where its rows would."""
    lines = sheet_of(nested(), View(depth=1)).lines
    assert [(line.role, line.depth, line.cells["tensor"].text) for line in lines] == [
        ("module", 0, "Net"), ("tensor", 1, "a"), ("module", 1, "block: Block"), ("tensor", 2, "b"),
        ("tensor", 3, "e"), ("tensor", 1, "f"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("patterns", "shown"),
    [
        (("attn",), "cde"), (("block",), "bcde"), (("block.attn",), "cde"), (("b",), "b"),
        (("*attn",), "cde"), (("[af]",), ""), (("a", "attn"), "acde"), (("bl*",), "bcde"),
        (("ATTN",), ""), (("blo",), ""), (("*",), "abcdef"),
    ],
)  # fmt: skip
def test_only(patterns, shown):
    """A path takes all below it, its last part does, too; a name takes its rows; case counts."""
    assert names(nested(), only=patterns) == shown


def test_a_name_with_brackets_is_itself():
    """An expression such as `x[0]` is found as it stands: brackets are letters, as for `find`."""
    row = fake_row(0, "x[0]", "getitem", (7, 3))
    trace = fake_trace(tensors=(row,), ops=(), storages=(), modules=())
    assert [names(trace, only=(text,)) for text in ("x[0]", "x[?]", "[x]*")] == ["x[0]", "x[0]", ""]


def test_patterns_that_match_nothing():
    """Each pattern that no row matches is told, and only these."""
    assert unmatched(nested(), ("attn", "nope", "z*")) == ["nope", "z*"]


def test_sizes():
    """Rows below a size are hidden, one of unknown size is not."""
    trace = nested()
    assert names(trace, min_nbytes=4 * 7 * 5) == "cdef"
    unknown = fake_row(0, "a", "add", (7, 3), nbytes=None)
    assert (
        names(fake_trace(tensors=(unknown,), ops=(), storages=(), modules=()), min_nbytes=2**40)
        == "a"
    )


def test_what_the_footer_says():
    """Reasons are counted in their order, each row once; the peak's row is named where it is hidden."""
    view = View(only=("block", "a"), depth=1, min_nbytes=100)
    assert dict(sheet_of(nested(), view).footer)["hidden"] == (
        "4 of 6 rows: 1 not matched by block, a, 2 below depth 1, 1 under 100 B; totals count all"
    )
    lines = sheet_of(fake_trace(), View(only=("q",))).footer[:2]
    assert lines == (
        ("hidden", "3 of 4 rows: 3 not matched by q; totals count all"),
        ("hidden", "the peak's #3 scores is one of them"),
    )


def test_nothing_is_said_where_nothing_is_hidden():
    """A view that every row fulfils has no such line."""
    assert "hidden" not in dict(sheet_of(nested(), View(depth=5, min_nbytes=1)).footer)


def test_the_end_of_a_path_with_wildcards():
    """`h.*.attn` is of any layer, wherever the layers are, and of no other module."""
    paths = ("net.h.0.attn", "net.h.0.mlp", "net.h.1.attn", "net.bath.1.attn")
    rows = [fake_row(n, "abcd"[n], "add", (7, 3 + n), path=path) for n, path in enumerate(paths)]
    trace = fake_trace(tensors=tuple(rows), ops=(), storages=(), modules=())
    assert names(trace, only=("h.*.attn",)) == "ac"
