"""The difference of two runs as people read it: whole texts of real runs, and each part."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache

import pytest

import attntrace
from attntrace.analysis.difference import difference
from attntrace.analysis.snapshot import snapshot_of
from attntrace.record.snapshot import Measured
from attntrace.render.difference import (
    difference_facts,
    difference_lines,
    difference_markdown,
    difference_sentence,
)
from attntrace.render.difference.axes import shape_change
from attntrace.render.difference.names import places_text
from tests.snapshots import module, row, snapshot

BLOCK = {"batch": 13, "tokens": 100, "dim": 64, "chan": 64, "heads": 4}
ENCODER = {"block": "encoder", "layers": 3, "heads": 4, "tokens": 17, "batch": 3, "chan": 64}
SEPARATE = {**ENCODER, "attention": {"qkv": "separate"}}
QKV = "stack.layers.0-2.attention.project.qkv"
SPECS = {
    "block": BLOCK,
    "8 heads": {**BLOCK, "heads": 8},
    "float64": {**BLOCK, "run": {"dtype": "float64"}},
    "encoder": ENCODER,
    "bias": {**ENCODER, "attention": {"qkv_bias": True}},
    "4 layers": {**ENCODER, "layers": 4},
    "post": {**ENCODER, "norm": {"place": "post"}},
    "separate": SEPARATE,
    "2 kv heads": {**SEPARATE, "kv_heads": 2},
    "sdpa": {**SEPARATE, "attention": {"qkv": "separate", "impl": "sdpa"}},
}


@cache
def run(name):
    """Return what is compared of a real run."""
    return snapshot_of(attntrace.run(SPECS[name], axes=True).facts)


def lines(before, after, **how):
    """Return the text of the difference of two real runs."""
    return difference_lines(difference(run(before), run(after)), **how)


def test_heads():
    """More heads show in each row that has an axis of them, which the sizes explain; bytes where
    they changed, too."""
    assert lines("block", "8 heads") == [
        "! size heads 4 -> 8",
        "! size head_dim 16 -> 8",
        "  these explain all: 11 rows",
        "! attention.project.qkv_split: (batch, tokens, 3, 4 -> 8 heads, 16 -> 8 head_dim)",
        "! attention.project.qkv_stack: (3, batch, 4 -> 8 heads, tokens, 16 -> 8 head_dim)",
        "! attention.project.q: (batch, 4 -> 8 heads, tokens, 16 -> 8 head_dim)",
        "! attention.project.k: (batch, 4 -> 8 heads, tokens, 16 -> 8 head_dim)",
        "! attention.project.v: (batch, 4 -> 8 heads, tokens, 16 -> 8 head_dim)",
        "! attention.attend.q_scaled: (batch, 4 -> 8 heads, tokens, 16 -> 8 head_dim)",
        "! attention.attend.k_t: (batch, 4 -> 8 heads, 16 -> 8 head_dim, tokens)",
        "! attention.attend.scores: (batch, 4 -> 8 heads, tokens, tokens), 2.0 MiB -> 4.0 MiB",
        "! attention.attend.probs: (batch, 4 -> 8 heads, tokens, tokens), 2.0 MiB -> 4.0 MiB",
        "! attention.attend.context: (batch, 4 -> 8 heads, tokens, 16 -> 8 head_dim)",
        "! attention.context_t: (batch, tokens, 4 -> 8 heads, 16 -> 8 head_dim)",
        "! bytes of all rows 10.3 MiB -> 14.3 MiB (4.0 MiB more, +38.5 %)",
        "! forward peak on cpu 4.9 MiB -> 8.9 MiB (4.0 MiB more, +80.6 %)",
        "  the same: parameters 16,448, rows 16",
    ]
    assert difference_sentence(difference(run("block"), run("8 heads"))) == (
        "size heads 4 -> 8 and size head_dim 16 -> 8 in 11 rows"
    )


def test_a_bias():
    """A bias is told of the Linear that has it, once for all layers, and nothing of the rows."""
    found = difference(run("bias"), run("encoder"))
    said = "bias float32[192] removed, parameters 12,480 -> 12,288 (192 less) each"
    assert difference_lines(found) == [
        f"! module {QKV} x3 Linear: {said}",
        "! parameters 150,080 -> 149,504 (576 less, -0.4 %)",
        "  the same: rows 65, bytes of all rows 1.3 MiB, forward peak on cpu 140.2 KiB",
    ]
    assert difference_sentence(found) == (
        f"module {QKV} x3 Linear changed: {said}, and parameters 150,080 -> 149,504"
    )


def test_a_layer():
    """One layer more is one line, which counts what came with it."""
    assert lines("encoder", "4 layers") == [
        "! size layers 3 -> 4 explains all: 1 module",
        "+ module stack.layers.3 Layer: 21 rows, parameters 49,792",
        "! parameters 149,504 -> 199,296 (49,792 more, +33.3 %)",
        "! rows 65 -> 86 (21 more, +32.3 %)",
        "! bytes of all rows 1.3 MiB -> 1.7 MiB (422.3 KiB more, +32.7 %)",
        "  the same: forward peak on cpu 140.2 KiB",
    ]
    assert difference_sentence(difference(run("4 layers"), run("encoder"))) == (
        "size layers 4 -> 3 in 1 module, and parameters 199,296 -> 149,504"
    )


def test_key_value_heads():
    """Fewer heads of keys and values change symbol and number; what repeats them is a module."""
    where = "stack.layers.0-2.attention"
    fewer = "12.8 KiB -> 6.4 KiB"
    half = "weight [64, 64] -> [32, 64], parameters 4,096 -> 2,048 (2,048 less) each"
    assert lines("separate", "2 kv heads") == [
        "+ size kv_heads 2",
        f"! {where}.project.k_proj.k_proj x3: (batch, tokens, chan 64 -> kv_heads*head_dim 32), {fewer}",
        f"! {where}.project.k_split x3: (batch, tokens, heads 4 -> kv_heads 2, head_dim), {fewer}",
        f"! {where}.project.k x3: (batch, heads 4 -> kv_heads 2, tokens, head_dim), {fewer}",
        f"! {where}.project.v_proj.v_proj x3: (batch, tokens, chan 64 -> kv_heads*head_dim 32), {fewer}",
        f"! {where}.project.v_split x3: (batch, tokens, heads 4 -> kv_heads 2, head_dim), {fewer}",
        f"! {where}.project.v x3: (batch, heads 4 -> kv_heads 2, tokens, head_dim), {fewer}",
        f"! module {where}.project.k_proj x3 Linear: {half}",
        f"! module {where}.project.v_proj x3 Linear: {half}",
        f"+ module {where}.repeat x3 Repeat: 18 rows",
        "! parameters 149,504 -> 137,216 (12,288 less, -8.2 %)",
        "! rows 74 -> 92 (18 more, +24.3 %)",
        "! bytes of all rows 1,206,048 B -> 1,284,384 B (78,336 B more, +6.5 %)",
        "  the same: forward peak on cpu 140.2 KiB",
    ]


def test_norms_behind():
    """Norms that come behind are renamed modules at another place, and the last one is gone."""
    moved = "LayerNorm: at another place in the order"
    assert [line for line in lines("encoder", "post") if " module " in line] == [
        f"~ module stack.layers.0-2.attention_residual.norm -> norm_after x3 {moved}",
        f"~ module stack.layers.0-2.feed_forward_residual.norm -> norm_after x3 {moved}",
        "- module stack.norm LayerNorm: 1 row, parameters 128",
    ]


def test_another_kernel():
    """Another implementation is another type of one module, other rows in it and another op."""
    where = "stack.layers.0-2.attention.attend"
    assert lines("separate", "sdpa")[:6] == [
        f"- {where}.q_scaled x3: mul, (batch, heads, tokens, head_dim) = (3, 4, 17, 16), float32, 12.8 KiB",
        f"- {where}.k_t x3: transpose, (batch, heads, head_dim, tokens) = (3, 4, 16, 17), float32, 12.8 KiB",
        f"- {where}.scores x3: matmul, (batch, heads, tokens, tokens) = (3, 4, 17, 17), float32, 13.5 KiB",
        f"- {where}.probs x3: softmax, (batch, heads, tokens, tokens) = (3, 4, 17, 17), float32, 13.5 KiB",
        f"! {where}.context x3: op matmul -> scaled_dot_product_attention",
        f"! module {where} x3: type DotProduct -> Kernel",
    ]


def test_a_long_difference_is_cut():
    """Only `most` lines of rows are there, and the others are counted; sizes and totals stay."""
    cut, whole = lines("block", "float64", most=2), lines("block", "float64", most=None)
    assert cut == [
        "! x: dtype float32 -> float64, 325.0 KiB -> 650.0 KiB",
        "! attention.project.qkv.qkv: dtype float32 -> float64, 975.0 KiB -> 1.9 MiB",
        "  ... and 14 more rows",
        "! module attention.project.qkv Linear: weight float32 -> float64",
        "! module attention.proj Linear: bias float32 -> float64, weight float32 -> float64",
        "! bytes of all rows 10.3 MiB -> 20.6 MiB (10.3 MiB more, +100.0 %)",
        "! forward peak on cpu 4.9 MiB -> 9.8 MiB (4.9 MiB more, +100.0 %)",
        "  the same: parameters 16,448, rows 16",
    ]
    assert len(whole) == 16 + 2 + 3
    assert difference_sentence(difference(run("block"), run("float64"))) == (
        "x changed: dtype float32 -> float64, 325.0 KiB -> 650.0 KiB, and 15 more rows and 2 modules"
    )


def test_markdown():
    """Markdown is the sentence, a table of totals and a fence that is coloured as a diff."""
    found = difference(run("encoder"), run("4 layers"))
    assert (
        difference_markdown(found)
        == """\
size layers 3 -\\> 4 in 1 module, and parameters 149,504 -\\> 199,296

| figure | before | after | difference |
| --- | ---: | ---: | ---: |
| size layers | 3 | 4 |  |
| parameters | 149,504 | 199,296 | 49,792 more, +33.3 % |
| rows | 65 | 86 | 21 more, +32.3 % |
| bytes of all rows | 1.3 MiB | 1.7 MiB | 422.3 KiB more, +32.7 % |
| forward peak on cpu | 140.2 KiB | 140.2 KiB |  |

```diff
! size layers 3 -> 4 explains all: 1 module
+ module stack.layers.3 Layer: 21 rows, parameters 49,792
```
"""
    )


def test_facts_are_complete():
    """The facts hold each row and module in all its places, and survive JSON."""
    found = difference(run("encoder"), run("4 layers"))
    facts = json.loads(json.dumps(difference_facts(found)))
    assert sum(len(change["places"]) for change in facts["rows"]) == 21
    assert all(change["implied"] for change in facts["rows"])
    assert facts["modules"][0]["after"] == {
        "path": "stack.layers.3", "type": "Layer", "parameters": 49_792, "own": {}, "settings": {}
    }  # fmt: skip
    names = [change["after"]["path"] for change in facts["modules"]]
    norm = facts["modules"][names.index("stack.layers.3.attention_residual.norm")]
    assert norm["after"]["own"] == {"bias": "float32[64]", "weight": "float32[64]"}
    assert facts["sentence"] == difference_sentence(found)
    assert [of["name"] for of in facts["figures"] if of["differs"]] == [
        "size layers", "parameters", "rows", "nbytes"
    ]  # fmt: skip


def test_nothing():
    """Of a run and itself there is no line, and a sentence that says so."""
    found = difference(run("block"), run("block"))
    assert difference_lines(found) == []
    assert difference_sentence(found) == "no difference"
    assert difference_markdown(found) == "no difference\n"
    assert difference_facts(found)["differs"] is False


def axis_row(shape, axes=None):
    """Return a row of a shape, its axes as words."""
    return row(shape=shape, axes=tuple(axes.split()) if axes else None)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (((2, 8, 9), "batch heads tokens"), ((2, 32, 9), "batch heads tokens"), "(batch, 8 -> 32 heads, tokens)"),
        (((2, 8), "batch kv_heads"), ((2, 32), "batch heads"), "(batch, kv_heads 8 -> heads 32)"),
        (((2, 8), "batch heads"), ((2, 8), "batch kv_heads"), "(batch, heads -> kv_heads)"),
        (((2, 192), "batch 3*chan"), ((2, 96), "batch 3*chan"), "(batch, 3*chan 192 -> 96)"),
        (((2, 3), "batch 3"), ((2, 4), "batch 4"), "(batch, 3 -> 4)"),
        (((2, 3), "batch 3"), ((2, 4), "batch heads"), "(batch, 3 -> heads 4)"),
        (((2, 8), None), ((2, 32), None), "(2, 8 -> 32)"),
        (((2, 8), None), ((2, 8), "batch heads"), "axes named: (batch, heads)"),
        (((2, 8), "batch heads"), ((2, 8), None), "axes no longer named: (batch, heads)"),
        (((2, 3, 8), "batch 3 heads"), ((2, 3, 8), "batch kinds heads"), "axes named: (batch, kinds, heads)"),
        (((8,), "heads"), ((9,), "heads"), "(8 -> 9 heads,)"),
        (((2, 8, 9), "batch heads tokens"), ((2, 9, 8), "batch tokens heads"),
         "axes 1 and 2 swapped: (batch, heads, tokens) = (2, 8, 9) -> (batch, tokens, heads) = (2, 9, 8)"),
        (((2, 8, 9), "batch heads tokens"), ((9, 2, 8), "tokens batch heads"),
         "axes in another order: (batch, heads, tokens) = (2, 8, 9) -> (tokens, batch, heads) = (9, 2, 8)"),
        (((2, 8, 9), None), ((9, 8, 2), None), "axes 0 and 2 swapped: (2, 8, 9) -> (9, 8, 2)"),
        (((2, 8, 8, 9), None), ((8, 2, 8, 9), None), "(2 -> 8, 8 -> 2, 8, 9)"),
        (((2, 9, 64), "batch tokens chan"), ((2, 8, 9, 8), "batch heads tokens head_dim"),
         "(batch, tokens, chan) = (2, 9, 64) -> (batch, heads, tokens, head_dim) = (2, 8, 9, 8)"),
        ((None, None), ((2, 8), None), "nested -> (2, 8)"),
        (((), None), ((1,), None), "() -> (1,)"),
        (((2, 8), "batch heads"), ((2, 8), "batch heads"), ""),
    ],
)  # fmt: skip
def test_shapes(before, after, said):
    """Each axis says what of it changed: its number, its symbol, both, or its place."""
    assert shape_change(axis_row(*before), axis_row(*after)) == said


@pytest.mark.parametrize(
    ("places", "said"),
    [
        ([""], ""),
        (["layers.3.attn"], "layers.3.attn"),
        ([f"layers.{n}.attn" for n in range(32)], "layers.0-31.attn"),
        (["layers.0", "layers.1", "layers.1", "layers.4"], "layers.0-1,4"),
        ([f"layers.{2 * n}" for n in range(9)], "layers.0,2,..,16"),
        ([f"stages.{n}.blocks.{m}" for n in range(2) for m in range(3)], "stages.0-1.blocks.0-2"),
        (["stages.0.blocks.0", "stages.1.blocks.0", "stages.1.blocks.1"], "stages.0.blocks.0 and others"),
    ],
)  # fmt: skip
def test_places(places, said):
    """Places that differ in their numbers are written as ranges, as far as these are all there."""
    assert places_text(places) == said


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"name": "query"}, "~ layers.0-1.attn.q -> query x2"),
        ({"name": "query", "shape": (13, 100, 32)}, "~ layers.0-1.attn.q -> query x2: (batch, tokens, 64 -> 32 chan)"),
        ({"op": "conv2d", "kind": "module"}, "! layers.0-1.attn.q x2: op linear -> conv2d, kind op -> module"),
        ({"nbytes": None}, "! layers.0-1.attn.q x2: 325.0 KiB -> no size in bytes"),
        ({"nbytes": 332_804}, "! layers.0-1.attn.q x2: 332,800 B -> 332,804 B"),
        ({"phase": "backward"}, "! layers.0-1.attn.q x2: phase forward -> backward"),
    ],
)  # fmt: skip
def test_what_changed_of_a_row(changes, line):
    """Each field that changed is told by its name, bytes with a unit that tells them apart."""
    axes = ("batch", "tokens", "chan")
    before = snapshot([row(f"layers.{n}.attn", of, axes=axes) for n in range(2) for of in "xqy"])
    after = [replace(of, **changes) if of.name == "q" else of for of in before.rows]
    assert difference_lines(difference(before, replace(before, rows=tuple(after))))[0] == line


def test_rows_in_other_places():
    """A row that moved says so; one in another module is written with both paths."""
    names = [row("a", name) for name in "qkvs"]
    before, after = snapshot(names), snapshot([*names[1:], names[0]])
    assert difference_lines(difference(before, after))[0] == "! a.q: at another place in the order"
    others = [row("b", "z")]
    inner = [snapshot([*others, *of]) for of in (names, [replace(names[0], path="b"), *names[1:]])]
    assert difference_lines(difference(*inner))[0] == "~ a.q -> b.q"


def test_what_changed_of_a_module():
    """The outermost module has no path; calls are counted; a type is told before and after."""
    before = snapshot([row()], [module("", "Net", 3), module("cell", "Cell"), module("drop", "A")])
    calls = [
        module("", "Net", 5),
        module("cell", "Cell"),
        module("cell", "Cell"),
        module("drop", "B"),
    ]
    found = difference(before, snapshot([row()], calls, subject="Other", parameters=2))
    assert difference_lines(found)[:-1] == [
        "! subject Model -> Other",
        "! module Net: parameters 3 -> 5 (2 more)",
        "! module cell Cell: called 1 -> 2 times",
        "! module drop: type A -> B",
        "! parameters 0 -> 2 (2 more)",
    ]
    assert (
        difference_sentence(found) == "subject Model -> Other, and 3 modules and parameters 0 -> 2"
    )


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ({"bias": "float32[192]"}, {}, "bias float32[192] removed"),
        ({}, {"bias": "float32[192]"}, "bias float32[192] added"),
        ({"cls_token": "float32[4]"}, {"class_token": "float32[4]"}, "cls_token renamed class_token"),
        ({"weight": "float32[64, 49]"}, {"weight": "float32[49, 64]"}, "weight [64, 49] -> [49, 64]"),
        ({"weight": "float32[]"}, {"weight": "bfloat16[]"}, "weight float32 -> bfloat16"),
        ({"weight": "float32[4]"}, {"weight": "bfloat16[5]"}, "weight float32[4] -> bfloat16[5]"),
        ({"w": "float32 uninitialized"}, {"w": "float32[5]"}, "w float32 uninitialized -> float32[5]"),
        ({"w": "float32[4]"}, {"w": "float32[4], frozen"}, "w frozen"),
        ({"w": "float32[4], frozen"}, {"w": "float32[4]"}, "w no longer frozen"),
        ({"a\nb": "float32[4]"}, {}, "a b float32[4] removed"),
        ({f"p{n}": "float32[4]" for n in range(9)}, {}, ", ".join(f"p{n} float32[4] removed" for n in range(6)) + ", 3 more parameters changed"),
    ],
)  # fmt: skip
def test_what_changed_of_parameters(before, after, said):
    """Each parameter is told by its name, with what of it changed; of many the first ones."""
    runs = [snapshot((), [module("", "Net", 9, **own)]) for own in (before, after)]
    found = difference(*runs)
    assert difference_lines(found)[0] == f"! module Net: {said}"
    (change,) = json.loads(json.dumps(difference_facts(found)))["modules"]
    assert (change["before"]["own"], change["after"]["own"]) == (before, after)
    assert len(change["own"]) == max(len(before), len(after))


def test_measured_numbers():
    """A peak within the tolerance is the same, a number that one has not is told as such, and a
    device that one was not run on is not spoken of."""

    def measured(**peaks):
        return snapshot([row()], measured={"cpu": Measured(**peaks), **others})

    others = {}
    before = measured(peak_nbytes=10_000)
    others = {"cuda": Measured(peak_nbytes=5)}
    found = difference(before, measured(peak_nbytes=10_100))
    assert not found
    assert [of.differs for of in found.figures] == [False] * 4
    found = difference(
        before, measured(peak_nbytes=9_000, training_peak_nbytes=2_048), tolerance=0.02
    )
    assert difference_lines(found) == [
        "! forward peak on cpu 9.8 KiB -> 8.8 KiB (1000 B less, -10.0 %, 2 % is tolerated)",
        "+ training peak on cpu 2.0 KiB",
        "  the same: parameters 0, rows 1, bytes of all rows 325.0 KiB",
    ]
    assert difference_sentence(found) == "forward peak on cpu 9.8 KiB -> 8.8 KiB"
    near = difference(before, measured(peak_nbytes=10_050, training_peak_nbytes=2_048))
    assert difference_lines(near)[-1].endswith("forward peak on cpu within 1 %")
    gone = difference(measured(peak_nbytes=0, training_peak_nbytes=7), measured(peak_nbytes=4))
    assert difference_lines(gone)[:2] == [
        "! forward peak on cpu 0 B -> 4 B (4 B more)",
        "- training peak on cpu 7 B",
    ]


def test_a_name_of_many_lines_is_one_line():
    """A name is an expression as somebody wrote it; in a difference it has one line, and in a table
    of Markdown its marks mean nothing."""
    before, after = snapshot(()), snapshot([row(name="f(\n    x, `a`)")])
    found = difference(before, after)
    assert all("\n" not in line for line in difference_lines(found))
    assert difference_lines(found)[0].startswith("+ f( x, `a`): linear, (13, 100, 64), float32")
    assert difference_markdown(found).startswith("f( x, \\`a\\`) inserted: linear")


def test_sizes_that_do_not_explain_all():
    """That sizes explain what changed is said only where each axis is worth what it was and is."""
    axes = ("batch", "2*chan")
    before = snapshot([row(shape=(3, 8), axes=axes)], sizes={"batch": 3, "chan": 4})
    for shape, explained in (((3, 10), True), ((3, 12), False)):
        after = snapshot([row(shape=shape, axes=axes)], sizes={"batch": 3, "chan": 5})
        said = difference_lines(difference(before, after))
        assert any("explain" in line for line in said) is explained
