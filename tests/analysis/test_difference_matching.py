"""Which row and which module of one run is which of another, in cases that people meet."""

from __future__ import annotations

from dataclasses import replace
from difflib import SequenceMatcher
from itertools import pairwise
from random import Random

import pytest

from attntrace.analysis.difference import difference
from attntrace.analysis.difference.align import aligned, rising
from tests.snapshots import module, row, snapshot


def rows_told(before, after):
    """Return what is said of rows: what, the old and new path and name, how many."""
    return [
        (change.what, change.before and _name(change.before), change.after and _name(change.after),
         len(change.places))
        for change in difference(before, after).rows
    ]  # fmt: skip


def modules_told(before, after):
    """Return what is said of modules: what, the old and the new path, in how many places."""
    return [
        (change.what, change.before and change.before.path, change.after and change.after.path,
         len(change.places))
        for change in difference(before, after).modules
    ]  # fmt: skip


def _name(item):
    return f"{item.path}.{item.name}" if item.path else item.name


def layers(number, *names, at="layers"):
    """Return a run of layers that are alike, each with a row of each name."""
    return snapshot([row(f"{at}.{n}.attn", name) for n in range(number) for name in names])


def test_the_same_change_in_every_layer_is_one():
    """A row that is new in each of three layers is one change with three places."""
    (change,) = difference(layers(3, "q", "k"), layers(3, "q", "k", "v")).rows
    assert change.what == "inserted"
    assert change.places == ("layers.0.attn", "layers.1.attn", "layers.2.attn")
    assert change.after == row("layers.0.attn", "v")


def test_different_changes_in_layers_stay_apart():
    """Layers in which a row got another size are not those in which it got yet another."""
    before = layers(3, "q")
    shapes = [(13, 100, 32), (13, 100, 32), (13, 100, 16)]
    pairs = zip(before.rows, shapes, strict=True)
    after = replace(before, rows=tuple(replace(of, shape=shape) for of, shape in pairs))
    places = [change.places for change in difference(before, after).rows]
    assert places == [("layers.0.attn", "layers.1.attn"), ("layers.2.attn",)]


def test_a_name_that_repeats_goes_by_what_the_row_is():
    """Of rows that are all called x, the one that is new is the one whose op is new."""
    names = ["linear", "relu", "linear"]
    before = snapshot([row(op=op) for op in names])
    after = snapshot([row(op=op) for op in ["linear", "dropout", "relu", "linear"]])
    assert rows_told(before, after) == [("inserted", None, "x", 1)]
    assert difference(before, after).rows[0].after.op == "dropout"


def test_a_row_in_every_turn_of_a_loop():
    """A row that is new in each turn of a loop is inserted as often, and the others stay."""
    turn, longer = [row(name="h"), row(name="s")], [row(name="h"), row(name="n"), row(name="s")]
    assert rows_told(snapshot(turn * 50), snapshot(longer * 50)) == [("inserted", None, "n", 50)]


def test_another_turn_of_a_loop():
    """One turn more is its rows once, and that its module is called once more is said of it."""
    calls = [module(), module("cell", "Cell"), module("cell.A")]
    turn = [row("cell", "h"), row("cell.A", "out")]
    before, after = (snapshot(turn * n, [calls[0], *calls[1:] * n]) for n in (5, 6))
    found = difference(before, after)
    assert rows_told(before, after) == [
        ("inserted", None, "cell.h", 1), ("inserted", None, "cell.A.out", 1),
    ]  # fmt: skip
    assert [(of.what, of.places, of.calls) for of in found.modules] == [
        ("changed", ("cell",), (5, 6))
    ]


def test_a_row_that_moved_is_neither_inserted_nor_removed():
    """A row in another place of the order is told as moved, and the others are not."""
    names = [row(name=name) for name in "qkvs"]
    before, after = snapshot(names), snapshot([*names[1:], names[0]])
    assert rows_told(before, after) == [("moved", "q", "q", 1)]
    wider = replace(names[0], shape=(13, 100, 32))
    (change,) = difference(before, snapshot([*names[1:], wider])).rows
    assert (change.what, change.moved, change.after) == ("changed", True, wider)


def test_the_same_name_elsewhere_by_another_op_is_another_row():
    """A name that another op uses in another place is not the row that was there."""
    rest = [row(name=name) for name in "qkv"]
    before, after = snapshot([row(op="relu"), *rest]), snapshot([*rest, row(op="cat")])
    assert [what for what, *_ in rows_told(before, after)] == ["removed", "inserted"]


@pytest.mark.parametrize(
    "changes", [{"name": "query"}, {"name": "query", "shape": (13, 100, 32)}, {"path": "other"}]
)
def test_a_renamed_row(changes):
    """A row by another name or in another module at the same place is renamed, not two rows; its
    sizes may change where its axes are called the same."""
    axes = ("batch", "tokens", "chan")
    before, old, after = row(name="x"), row("here", "q", "view", axes=axes), row("here", "s")
    changed = [before, replace(old, **changes), after]
    told = rows_told(snapshot([before, old, after]), snapshot(changed))
    assert told == [("renamed", "here.q", _name(changed[1]), 1)]


def test_what_is_not_renamed():
    """Another row at the same place, of another op or other axes, is removed and inserted."""
    rest = [row(name="x"), row(name="s")]
    for other in (row(name="y", op="view"), row(name="y", shape=(13, 32))):
        runs = (snapshot([rest[0], of, rest[1]]) for of in (row(name="q"), other))
        assert rows_told(*runs) == [("removed", "q", None, 1), ("inserted", None, "y", 1)]


def test_a_renamed_module_is_told_once():
    """`attn` that is `attention` now is one renamed module in all layers; its rows are the same,
    but for the one that changed."""
    modules = [module(), *(module(f"layers.{n}.attn", "Attention", 9) for n in range(3))]
    before = replace(layers(3, "q", "k", "v"), modules=tuple(modules))
    after = replace(
        before,
        rows=tuple(replace(of, path=of.path.replace("attn", "attention")) for of in before.rows),
        modules=tuple(replace(of, path=of.path.replace("attn", "attention")) for of in modules),
    )
    found = difference(before, after)
    assert found.rows == ()
    assert modules_told(before, after) == [("renamed", "layers.0.attn", "layers.0.attention", 3)]
    assert found.modules[0].were == tuple(f"layers.{n}.attn" for n in range(3))
    wider = [replace(of, dtype="float16", nbytes=1) if of.name == "k" else of for of in after.rows]
    (change,) = difference(before, replace(after, rows=tuple(wider))).rows
    assert (change.what, change.before.path, change.places[0], change.were[0]) == (
        "changed", "layers.0.attn", "layers.0.attention", "layers.0.attn",
    )  # fmt: skip


def test_a_list_of_layers_by_another_name():
    """A list has no module of its own: what lies in it is renamed."""
    assert modules_told(layers(3, "q", "k"), layers(3, "q", "k", at="h")) == [
        ("renamed", "layers.0.attn", "h.0.attn", 3)
    ]


def test_modules_in_a_new_one_and_back():
    """A model that is put into another is renamed, whichever side it is on, and no row is new."""
    names = ["embed", "layers.0", "layers.1", "norm"]
    before = snapshot([row(path, f"{path[:3]}_{name}") for path in names for name in "xy"])
    after = replace(
        before,
        rows=tuple(replace(of, path=f"model.{of.path}") for of in before.rows),
        modules=(
            module(), module("model", "Model"),
            *(replace(of, path=f"model.{of.path}") for of in before.modules[1:]),
        ),
    )  # fmt: skip
    assert difference(before, after).rows == difference(after, before).rows == ()
    assert sorted(modules_told(before, after), key=str) == [
        ("inserted", None, "model", 1), ("renamed", "embed", "model.embed", 1),
        ("renamed", "layers.0", "model.layers.0", 2), ("renamed", "norm", "model.norm", 1),
    ]  # fmt: skip


def test_one_taken_out_of_a_list():
    """Where the second of three modules goes, the third is renamed to be the second."""
    kinds = [("Linear", "linear"), ("Dropout", "dropout"), ("Linear", "linear")]
    rows = [row(f"net.{n}", f"x{n}", op, shape=(n + 2, 5)) for n, (_, op) in enumerate(kinds)]
    modules = [module(), *(module(f"net.{n}", kind, n) for n, (kind, _) in enumerate(kinds))]
    before = snapshot(rows, modules)
    after = snapshot(
        [rows[0], replace(rows[2], path="net.1")], [*modules[:2], module("net.1", parameters=2)]
    )
    assert modules_told(before, after) == [
        ("removed", "net.1", None, 1), ("renamed", "net.2", "net.1", 1),
    ]  # fmt: skip
    assert rows_told(before, after) == [("removed", "net.1.x1", None, 1)]


def test_parameters_are_told_where_they_changed():
    """Fewer parameters in a Linear show in all modules around it, and are told of it alone; a
    parameter of the outer module's own is told of that."""

    def run(outer, inner):
        kinds = [
            module("", "Net", outer, scale=f"float32[{outer - inner - 7}]"),
            module("attn", "Attention", inner + 7),
            module("attn.qkv", "Linear", inner),
        ]
        return snapshot([row("attn.qkv")], kinds, parameters=outer)

    assert modules_told(run(30, 20), run(28, 18)) == [("changed", "attn.qkv", "attn.qkv", 1)]
    assert modules_told(run(30, 20), run(31, 20)) == [("changed", "", "", 1)]
    assert [of[1] for of in modules_told(run(30, 20), run(30, 18))] == ["", "attn.qkv"]


def own_told(before, after):
    """Return what is said of parameters where one module has those of `before`, then of `after`."""
    runs = (snapshot((), [module("", "Net", 9, **own)]) for own in (before, after))
    changes = difference(*runs).modules
    return [
        (of.what, of.before and of.before[0], of.after and of.after[0])
        for change in changes
        for of in change.own
    ]


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ({"w": "float32[4, 5]"}, {"w": "float32[5, 4]"}, [("changed", "w", "w")]),
        ({"w": "float32[4]"}, {"w": "bfloat16[4]"}, [("changed", "w", "w")]),
        ({"cls": "float32[4]"}, {"token": "float32[4]"}, [("renamed", "cls", "token")]),
        ({"cls": "float32[4]"}, {"token": "float32[5]"}, [("removed", "cls", None), ("inserted", None, "token")]),
        ({"a": "float32[4]", "b": "float32[5]"}, {"a": "float32[5]", "b": "float32[4]"}, [("changed", "a", "a"), ("changed", "b", "b")]),
        ({"a": "float32[4]", "b": "float32[4]"}, {"c": "float32[4]"}, [("renamed", "a", "c"), ("removed", "b", None)]),
        ({"a": "float32[4]", "b": "float32[5]"}, {"b": "float32[5]", "a": "float32[4]"}, []),
    ],
)  # fmt: skip
def test_parameters_go_by_name_and_then_by_form(before, after, told):
    """The same name is the same parameter; the same dtype and shape by a new name was renamed."""
    assert own_told(before, after) == told


def test_a_module_that_is_no_longer_called_gives_no_parameters_away():
    """What only lies in another module now, because its own is not called, is no new parameter."""
    rest = [module("", "Net", 12), module("head", "Linear", 6, weight="float32[6]")]
    inner = module("skip", "Linear", 6, weight="float32[6]")
    outer = module("", "Net", 12, **{"skip.weight": "float32[6]"})
    runs = snapshot((), [*rest, inner]), snapshot((), [outer, rest[1]])
    assert modules_told(*runs) == [("removed", "skip", None, 1)]
    assert modules_told(*runs[::-1]) == [("inserted", None, "skip", 1)]


def test_shared_parameters_are_told_below():
    """Where two modules share a matrix, its new size is told of both, and not of the one around
    them, which has less than nothing of its own; that they no longer share it is told of that."""

    def run(size, total):
        kinds = [
            module("", "Net", total),
            module("embed", "Embedding", size),
            module("head", "Linear", size),
        ]
        return snapshot([row("embed"), row("head")], kinds, parameters=total)

    assert [of[1] for of in modules_told(run(20, 20), run(30, 30))] == ["embed", "head"]
    assert [of[1] for of in modules_told(run(20, 20), run(20, 40))] == [""]


def test_what_came_with_its_module_is_marked():
    """Rows and modules in a module that is new are all there, marked as implied; others are not."""
    found = difference(layers(2, "q"), layers(3, "q"))
    assert [(of.places, of.implied) for of in found.rows] == [(("layers.2.attn",), True)]
    assert not difference(layers(3, "q"), layers(3, "q", "k")).rows[0].implied


def test_a_module_that_no_row_tells_of_may_move():
    """Two modules without rows that are entered the other way round are a difference."""
    ones = [module(), module("drop", "Dropout"), module("skip", "Identity")]
    before, after = snapshot((), ones), snapshot((), [ones[0], ones[2], ones[1]])
    (change,) = difference(before, after).modules
    assert (change.what, change.moved) == ("moved", True)


def test_removed_rows_stand_where_they_stood():
    """Changes come in the order of the second run, what was removed behind what was before it."""
    names = [row(name=name, op=name) for name in "abcdef"]
    changed = replace(names[4], dtype="float16")
    after = snapshot([names[0], row(name="new"), names[1], names[3], changed, names[5]])
    told = rows_told(snapshot(names), after)
    assert [(what, old or new) for what, old, new, _ in told] == [
        ("inserted", "new"), ("removed", "c"), ("changed", "e"),
    ]  # fmt: skip


def test_thousands_of_rows():
    """Of a run of 2,000 rows, what was dropped is found, and what is quite another is told whole."""
    random = Random(7)
    names = [row(f"layers.{n // 50}.attn", f"x{n % 50}") for n in range(2_000)]
    kept = [of for of in names if random.random() < 0.7]
    found = difference(snapshot(names), snapshot(kept))
    assert sum(len(of.places) for of in found.rows if of.what == "removed") == 2_000 - len(kept)
    assert {of.what for of in found.rows} == {"removed"}
    loop = [row("cell", f"y{n % 3}", "view") for n in range(2_000)]
    assert {what for what, *_ in rows_told(snapshot(names), snapshot(loop))} == {
        "inserted",
        "removed",
    }


def test_rising_runs_are_the_longest():
    """The run that is kept of pairs that cross is as long as any, by trying them all."""
    random = Random(3)
    for _ in range(50):
        second = random.sample(range(7), 7)
        runs = [[at for at in range(7) if taken >> at & 1] for taken in range(2**7)]
        longest = max(
            len(run)
            for run in runs
            if [second[at] for at in run] == sorted(second[at] for at in run)
        )
        found = rising(list(enumerate(second)))
        assert len(found) == longest
        assert found == sorted(found, key=lambda pair: pair[1])


def test_alignment_is_a_common_subsequence():
    """What is aligned is equal and in order, and where nothing repeats it is not shorter than what
    difflib finds."""
    random = Random(5)
    for letters in ("abc", "abcdefghijklmnopqrstuvwxyz"):
        for _ in range(60):
            first, second = (
                random.sample(letters, len(letters) // 2)
                if len(letters) > 3
                else random.choices(letters, k=12)
                for _ in "ab"
            )
            pairs = aligned([(first, second)])
            assert [first[i] for i, _ in pairs] == [second[j] for _, j in pairs]
            assert all(a < c and b < d for (a, b), (c, d) in pairwise(pairs))
            blocks = SequenceMatcher(None, first, second, autojunk=False).get_matching_blocks()
            if len(letters) > 3:
                assert len(pairs) >= sum(block.size for block in blocks)
