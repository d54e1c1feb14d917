"""Which rows repeat, and that what is folded away is as what is shown."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

import attntrace
from attntrace.analysis.fold import folds, stand_ins
from attntrace.record import Trace
from attntrace.render import DEFAULT, View, to_csv, to_text
from attntrace.render.sheet import sheet_of
from tests.builders import fake_row, fake_trace

SMALL = {"chan": 64, "heads": 4, "tokens": 11, "batch": 3, "run": {"device": "meta"}}


class Block(nn.Module):
    """Norm, projection and skip, in the style of anyone's code."""

    def __init__(self, dim: int, wide: int = 24) -> None:
        """Take the width outside and inside."""
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.up, self.down = nn.Linear(dim, wide), nn.Linear(wide, dim)

    def forward(self, x):
        """Return x plus what is made of it."""
        return x + self.down(self.up(self.norm(x)).relu())


class Pairs(nn.Module):
    """Two lists side by side, whose members take turns, with a row of the caller's in between."""

    def __init__(self) -> None:
        """Make three of each."""
        super().__init__()
        self.first = nn.ModuleList(Block(6) for _ in range(3))
        self.second = nn.ModuleList(Block(6, 10) for _ in range(3))

    def forward(self, x):
        """Go through all pairs."""
        for first, second in zip(self.first, self.second, strict=True):
            x = second(first(x) * 2)
        return x.sum()


def traced(*blocks: nn.Module) -> Trace:
    """Return the facts of blocks one after the other."""
    with torch.no_grad():
        return attntrace.trace(nn.Sequential(*blocks), torch.randn(2, 5, 6)).facts


def titles(trace: Trace) -> list[str]:
    """Return what is folded."""
    return [fold.title for fold in folds(trace)]


def built(**settings) -> Trace:
    """Return the facts of a small block on meta."""
    return attntrace.run(attntrace.load(**{**SMALL, **settings})).facts


CASES = {
    "decoder": lambda: built(block="decoder", layers=4, stack={"vocab": 97}),
    "training": lambda: built(
        block="decoder", layers=5, stack={"vocab": 97}, run={"device": "meta", "grad": True}
    ),
    "encoder-decoder": lambda: built(
        block="encoder-decoder", layers=3, stack={"vocab": 97}, context_tokens=7
    ),
    "deepseek": lambda: attntrace.run(attntrace.load("deepseek-v3", layers=7)).facts,
    "sequential": lambda: traced(*(Block(6) for _ in range(4))),
    "pairs": lambda: attntrace.trace(Pairs().requires_grad_(False), torch.randn(2, 5, 6)).facts,
}


def shown_for(trace: Trace) -> list[int]:
    """Return for each row the one that is shown for it."""
    return stand_ins(folds(trace), len(trace.tensors))


@pytest.mark.parametrize("name", CASES)
def test_unfolding_gives_back_every_row(name):
    """Each row that is folded away has, but for its place, the facts of the row that stands for it."""
    trace = CASES[name]()
    stands = shown_for(trace)
    shown = [index for index, stand in enumerate(stands) if index == stand]
    assert sorted(unfolded(shown, folds(trace))) == [row.index for row in trace.tensors]
    assert 0 < len(shown) < len(trace.tensors)
    assert set(stands) == set(shown)
    for row, stand in zip(trace.tensors, stands, strict=True):
        like = trace.tensors[stand]
        assert without_place(row, like.path) == without_place(like, like.path)


def unfolded(shown, found):
    """Return the rows that some rows stand for, themselves included."""
    every = list(shown)
    for fold in reversed(found):  # the innermost first
        one = [index for index in every if fold.start <= index < fold.start + fold.rows]
        every += [index + fold.rows * times for index in one for times in range(1, fold.count)]
    return every


def without_place(row, path):
    """Return a row without what says which of the layers it is in."""
    return replace(
        row, index=0, path=path, storage_id=None, alias_of=None, inputs=(), source=None,
        gradient_of=None, kind="op", seen_by=(), name=row.name.replace(row.path, path) if row.path else row.name,
    )  # fmt: skip


def test_the_layers_of_a_decoder():
    """Four layers are one fold, and the rows before and after them are in none."""
    trace = built(block="decoder", layers=4, stack={"vocab": 97})
    [fold] = folds(trace)
    assert (fold.title, fold.count, fold.path) == ("stack.layers.0-3 x4", 4, "stack.layers.0")
    first, past = fold.start, fold.start + 4 * fold.rows
    inside = [row.path.startswith("stack.layers.") for row in trace.tensors]
    assert inside == [first <= index < past for index in range(len(trace.tensors))]


def test_backward_goes_from_the_last_layer_to_the_first():
    """In backward the last layer, which starts it, and the first one, which ends it, stand alone."""
    assert titles(CASES["training"]()) == ["stack.layers.0-4 x5", "stack.layers.3-1 x3"]


def test_a_layer_that_differs_is_shown():
    """A wider layer in the middle parts the others into two folds, and is in none."""
    wide = traced(*(Block(6) for _ in range(3)), Block(6, 48), *(Block(6) for _ in range(2)))
    assert titles(wide) == ["0-2 x3", "4-5 x2"]
    other = traced(Block(6), Block(6), nn.Sequential(nn.ReLU(), nn.ReLU()), Block(6))
    assert titles(other) == ["0-1 x2"]


def test_dense_layers_before_experts():
    """DeepSeek-V3's first three layers are of another kind than those that follow."""
    assert titles(CASES["deepseek"]()) == ["stack.layers.0-2 x3", "stack.layers.3-6 x4"]


def test_layers_of_two_kinds_in_turn():
    """Narrow, wide, narrow, wide ... repeats every two layers; so do two lists side by side."""
    turns = traced(*(Block(6, 24 + 24 * (number % 2)) for number in range(7)))
    assert titles(turns) == ["0-5 x3 of 2"]
    [fold] = folds(CASES["pairs"]())
    assert (fold.title, fold.rows) == ("first.0-2 x3", 11)


def test_a_list_inside_a_list():
    """Inside the layer that is shown, what repeats is folded, too."""
    inner = [nn.Sequential(*(Block(6) for _ in range(3))) for _ in range(4)]
    assert titles(traced(*inner)) == ["0-3 x4", "0.0-2 x3"]
    assert titles(traced(nn.ReLU(), inner[0])) == ["1.0-2 x3"]


def test_little_is_not_folded():
    """Where hardly a line would be saved, every row is shown."""
    assert titles(traced(*(nn.Linear(6, 6) for _ in range(4)))) == []
    assert titles(traced(*(nn.Linear(6, 6) for _ in range(5)))) == ["0-4 x5"]


@pytest.mark.parametrize(
    "change",
    [
        {"name": "other"}, {"op": "mul"}, {"shape": (7, 4)}, {"axes": ("batch", "dim")},
        {"dtype": "bfloat16"}, {"nbytes": 1}, {"origin": "same"}, {"allocated_nbytes": 1},
        {"hidden_nbytes": 1}, {"alias_of": 7}, {"inputs": (6,)},
    ],
)  # fmt: skip
def test_one_fact_that_differs_keeps_a_layer_apart(change):
    """A layer is folded only if each of its rows is as that of the layer before in all that shows."""
    rows = [fake_row(n, "a", "add", (7, 3), path=f"layers.{n // 4}") for n in range(12)]
    trace = fake_trace(tensors=tuple(rows), ops=(), storages=(), modules=())
    assert titles(trace) == ["layers.0-2 x3"]
    rows[8 + 1] = replace(rows[9], **change)
    assert titles(replace(trace, tensors=tuple(rows))) == ["layers.0-1 x2"]


def test_a_module_of_another_type_keeps_a_layer_apart():
    """Headings are shown, too, so the types of the modules must be the same."""
    assert titles(traced(Block(6), Block(6), type("Other", (Block,), {})(6))) == ["0-1 x2"]


def test_the_table_shows_one_layer():
    """The heading says how many it stands for, and the footer what one and all of them take."""
    trace = traced(nn.Linear(6, 6), *(Block(6) for _ in range(4)), nn.Linear(6, 6))
    sheet = sheet_of(trace, View())
    names = [line.cells["tensor"].text.strip() for line in sheet.lines]
    assert names == [
        "input", "Sequential", "0", "1-4 x4: Block", "self.norm(x)", "self.up(self.norm(x))",
        "self.up(self.norm(x)).relu()", "self.down(self.up(self.norm(x)).relu())",
        "x + #5", "5",
    ]  # fmt: skip
    numbers = [line.cells["#"].text for line in sheet.lines if "#" in line.cells]
    assert numbers == ["0", "1", "2", "3", "4", "5", "6", "22"]
    assert dict(sheet.footer)["folded"] == (
        "1-4 x4: 5 rows each, 20 in all; 2.7 KiB allocated by each, 10.6 KiB by all "
        "(--unfold shows every row)"
    )


def test_every_row_where_that_is_wanted():
    """Without folding, and as CSV, each row is there and nothing is said of folds."""
    trace = traced(*(Block(6) for _ in range(4)))
    whole = sheet_of(trace, View(fold=False))
    assert [line.cells["#"].value for line in whole.lines if "#" in line.cells] == [*range(21)]
    assert "folded" not in to_text(trace, View(fold=False))
    assert len(to_csv(trace, View()).splitlines()) == 1 + 21


def test_the_peak_in_a_layer_that_is_not_shown():
    """The row that stands for the peak's is marked, and the footer has the real one."""
    trace = built(block="decoder", layers=4, stack={"vocab": 97}, tokens=130)
    sheet = sheet_of(trace, View())
    [marked] = [line.cells["#"].value for line in sheet.lines if line.is_peak]
    [fold] = folds(trace)
    peak = attntrace.analysis.memory.memory_report(trace).peak_at
    assert (peak, marked) == (marked + fold.rows, shown_for(trace)[peak])
    assert ("folded", f"the peak's #{peak} is marked where it repeats #{marked}") in sheet.footer


class Own(nn.Module):
    """Blocks that are attributes, one that is called again and again, and lists that none calls."""

    def __init__(self) -> None:
        """Make four blocks, a cell, and three pairs under words."""
        super().__init__()
        self.block1, self.block2, self.block3 = Block(6), Block(6), Block(6)
        self.last = Block(6)
        self.cell = Block(6, 10)
        pairs = {name: nn.ModuleList([Block(6), Block(6, 12)]) for name in ("low", "mid", "high")}
        self.levels = nn.ModuleDict(pairs)

    def forward(self, x):
        """Go through all of them."""
        x = self.last(self.block3(self.block2(self.block1(x))))
        for _ in range(12):
            x = self.cell(x)
        for narrow, wide in self.levels.values():
            x = x + narrow(x)
            x = x + wide(x)
        return x.sum()


def test_modules_of_any_name():
    """Attributes in a row, calls of one module, and members of lists in lists are all folded."""
    with torch.no_grad():
        trace = attntrace.trace(Own(), torch.randn(2, 5, 6)).facts
    assert titles(trace) == ["block1-last x4", "cell x12", "levels.low-high x3"]
    names = [line.cells["tensor"].text for line in sheet_of(trace, View()).lines]
    headings = [name for name in names if ": " in name or " x" in name]
    assert headings[0] == "block1-last x4: Block"
    assert "cell x12: Block" in headings
    assert [name for name in headings if name.startswith("levels")] == [
        "levels.low-high x3", "levels.low.0: Block", "levels.low.1: Block",
    ]  # fmt: skip


def test_the_last_call_of_which_nothing_is_saved():
    """Where backward is not followed, what autograd keeps parts calls only if that is shown."""
    cell = nn.Linear(6, 6)
    trace = attntrace.trace(nn.Sequential(*[cell] * 7), torch.randn(2, 6)).facts
    for columns, title in ((DEFAULT, "0 x7:"), (("tensor", "saved"), "0 x6:")):
        footer = sheet_of(trace, View(columns=columns)).footer
        assert [text.split(" 1 row")[0] for name, text in footer if "each" in text] == [title]


def test_kinds_that_take_turns():
    """Three kinds are folded by the three, whether these are others each time or the same again."""
    kinds = (lambda: nn.Linear(6, 6), nn.ReLU, lambda: nn.LayerNorm(6))
    assert titles(traced(*(make() for _ in range(4) for make in kinds))) == ["0-11 x4 of 3"]
    assert titles(traced(*[make() for make in kinds] * 4)) == ["0 x4 of 3"]


def test_calls_of_one_module_apart_are_headed_anew():
    """A module that comes back after another has its heading again, so that no row seems to be its."""
    first, other = Block(6), Block(6, 12)
    names = [
        line.cells["tensor"].text
        for line in sheet_of(traced(first, other, first), View()).lines
        if line.role == "module"
    ]
    assert names == ["Sequential", "0: Block", "1: Block", "0: Block"]


class Often(nn.Module):
    """The same op a number of times."""

    def __init__(self, times: int) -> None:
        """Take the number."""
        super().__init__()
        self.times = times

    def forward(self, x):
        """Return what is left of x."""
        for _ in range(self.times):
            x = x.relu()
        return x


def test_what_a_view_hides_does_not_keep_layers_apart():
    """Layers that differ inside alone are one where only what they return is shown."""
    trace = traced(*(Often(1 + number) for number in range(6)))
    assert titles(trace) == []
    sheet = sheet_of(trace, View(depth=0))
    assert [line.cells["tensor"].text for line in sheet.lines][2] == "0-5 x6: Often"
    said = (
        "0-5 x6: 1 row each, 6 in all; 240 B allocated by each, 1.4 KiB by all "
        "(--unfold shows every row)"
    )
    assert ("folded", said) in sheet.footer
