"""Positions against their formulas in the literature, a place and a feature at a time."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

from tests.blocks.by_hand import (
    CHAN,
    CONTEXT,
    CONTEXT_DIM,
    CROSS,
    DIM,
    HEADS,
    MAP,
    TOKENS,
    attended,
    close,
    heads_of,
    hiding,
    merged,
    ran,
)

WIDTH = CHAN // HEADS
ROWS, COLUMNS = MAP
ORACLES = Path(__file__).parent.parent / "oracles"
SINGLE = 2e-6
"""Angles are computed in float32, also where the block is float64."""


def table_of(tokens, width, base=10000.0):
    """Return PE(place, 2i) = sin(place / base^(2i/width)) and PE(place, 2i+1), its cos."""
    return torch.tensor([
        [
            (math.cos if i % 2 else math.sin)(place / base ** ((i - i % 2) / width))
            for i in range(width)
        ]
        for place in range(tokens)
    ], dtype=torch.float64)  # fmt: skip


@pytest.mark.parametrize("width", [2, 6])
def test_sinusoids_are_the_articles(width):
    """The notes' own tables of 4 places, to their six decimals."""
    values = json.loads((ORACLES / "detr_notes_sinusoidal_pe.json").read_text())["values"]
    sizes = {"tokens": 4, "chan": width, "dim": width, "heads": 1}
    seen = ran(**sizes, positions={"kind": "sinusoidal"}).seen["positions"]
    close(seen, torch.tensor(values[f"PE_4x{width}"], dtype=torch.float64), atol=SINGLE)


@pytest.mark.parametrize(("width", "base"), [(5, 10000.0), (20, 10000.0), (20, 50.0)])
def test_sinusoids_are_vaswanis(width, base):
    """Also where the width is odd, which the exp(log) form of other code cannot do."""
    case = ran(dim=width, positions={"kind": "sinusoidal", "theta": base})
    close(case.seen["positions"], table_of(TOKENS, width, base), atol=SINGLE)
    close(case.seen["x_placed"], case.x + table_of(TOKENS, width, base), atol=SINGLE)


def along(size, width):
    """Return DETR's sines and cosines along one side of a map: places are 1 .. size over size."""
    rows = []
    for place in range(1, size + 1):
        angle = place / (size + 1e-6) * 2 * math.pi
        angles = [angle / 10000 ** (2 * (i // 2) / width) for i in range(width)]
        rows.append([math.cos(a) if i % 2 else math.sin(a) for i, a in enumerate(angles)])
    return rows


@pytest.mark.parametrize("on", ["input", "qk"])
def test_sine_2d_is_detrs(on):
    """The row's sines in the first half of the features, the column's in the second; never in v."""
    case = ran(positions={"kind": "sine-2d", "on": on}, image={"map": list(MAP)})
    down, across = along(ROWS, DIM // 2), along(COLUMNS, DIM // 2)
    table = torch.tensor([[*y, *x] for y in down for x in across], dtype=torch.float64)
    close(case.seen["positions"], table, atol=SINGLE)
    placed = case.x + table
    if on == "input":
        parts = case.linear("project.qkv", placed).split(CHAN, dim=-1)
    else:
        parts = [
            case.linear(f"project.{name}_proj", x)
            for name, x in (("q", placed), ("k", placed), ("v", case.x))
        ]
    q, k, v = (heads_of(part) for part in parts)
    close(case.out, case.returned(attended(q, k, v, scale=WIDTH**-0.5)), atol=SINGLE)


def test_learned_2d_has_columns_first():
    """As in DETR's learned variant: half of the features for the column, half for the row."""
    case = ran(positions={"kind": "learned-2d"}, image={"map": list(MAP)})
    rows, columns = (
        next(w for name, w in case.weights.items() if name.endswith(f"{side}.weight"))
        for side in ("rows", "columns")
    )
    assert (len(rows), len(columns)) == MAP
    table = torch.stack([torch.cat((x, y)) for y in rows for x in columns])
    close(case.seen["x_placed"], case.x + table)


def test_a_class_token_has_no_place_on_the_map():
    """It stands in front of the patches, with zeros for a place."""
    image = {"stem": "patch", "size": [12, 20], "patch": 4, "class_token": True}
    sizes = {"tokens": 16, "dim": 48}
    case = ran(block="encoder", **sizes, image=image, positions={"kind": "sine-2d"})
    table = case.seen["positions"]
    assert table.shape == (16, CHAN)
    assert not table[0].any()
    down, across = along(3, CHAN // 2), along(5, CHAN // 2)
    expected = torch.tensor([[*y, *x] for y in down for x in across], dtype=torch.float64)
    close(table[1:], expected, atol=SINGLE)


def test_conv_adds_a_mean_of_neighbouring_values():
    """A depthwise kernel over the map of all heads' values, added to the context before W_proj."""
    attention = {"qkv": "separate"}
    case = ran(attention=attention, positions={"kind": "conv"}, image={"map": list(MAP)})
    kernel, bias = case.weights["value_conv.conv.weight"], case.weights["value_conv.conv.bias"]
    assert kernel.shape == (CHAN, 1, 3, 3)
    q, k, v = case.projected()
    near = torch.zeros_like(v) + bias
    for row in range(ROWS):
        for column in range(COLUMNS):
            for down in (-1, 0, 1):
                for right in (-1, 0, 1):
                    y, x = row + down, column + right
                    if 0 <= y < ROWS and 0 <= x < COLUMNS:
                        share = kernel[:, 0, down + 1, right + 1] * v[:, y * COLUMNS + x]
                        near[:, row * COLUMNS + column] += share
    context = merged(attended(heads_of(q), heads_of(k), heads_of(v), scale=WIDTH**-0.5))
    close(case.out, case.linear("proj", context + near))


@pytest.mark.parametrize("on", ["input", "qk"])
@pytest.mark.parametrize("kind", ["sinusoidal", "learned"])
def test_cross_attention_places_both_sides(kind, on):
    """x and the context have each their own places; on qk, values have none."""
    attention = {"source": "cross", "qkv": "separate"}
    case = ran(attention=attention, positions={"kind": kind, "on": on}, **CROSS)
    if kind == "sinusoidal":
        tables = [table_of(TOKENS, DIM), table_of(CONTEXT, CONTEXT_DIM)]
    else:
        tables = [w for name, w in case.weights.items() if "position" in name]
        assert [t.shape for t in tables] == [(TOKENS, DIM), (CONTEXT, CONTEXT_DIM)]
    x, context = case.x + tables[0], case.source + tables[1]
    q = heads_of(case.linear("project.q_proj", x))
    k = heads_of(case.linear("project.k_proj", context))
    v = heads_of(case.linear("project.v_proj", context if on == "input" else case.source))
    close(case.out, case.returned(attended(q, k, v, scale=WIDTH**-0.5)), atol=SINGLE)


SLOPES = {
    5: [1 / 4, 1 / 16, 1 / 64, 1 / 256, 1 / 2],
    8: [1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 32, 1 / 64, 1 / 128, 1 / 256],
    12: [*(2**-n for n in range(1, 9)), 2**-0.5, 2**-1.5, 2**-2.5, 2**-3.5],
    16: [2 ** -(n / 2) for n in range(1, 17)],
}
"""As published: 1/2 .. 1/256 for 8 heads, its square roots for 16; between two powers of two those
of the smaller one, then every second of the larger one's."""


@pytest.mark.parametrize("heads", SLOPES)
def test_alibi_slopes_are_the_papers(heads):
    """-slope * distance, in a causal layer, added after the scale."""
    settings = {"chan": heads * WIDTH, "heads": heads, "dim": heads * WIDTH}
    attention = {"qkv": "separate"}
    mask, positions = {"kind": "causal"}, {"kind": "alibi"}
    case = ran(**settings, attention=attention, mask=mask, positions=positions)
    close(case.seen["slopes"].double(), torch.tensor(SLOPES[heads], dtype=torch.float64), 1e-7)
    place = torch.arange(TOKENS)
    back = place[:, None] - place
    bias = torch.stack([-slope * back for slope in SLOPES[heads]]).double() + hiding(back < 0)
    q, k, v = (heads_of(part, heads) for part in case.projected())
    context = attended(q, k, v, scale=WIDTH**-0.5, extra=bias)
    close(case.out, case.returned(context), atol=SINGLE)


def bucket(ahead, buckets, far, *, both_ways):
    """Return the bucket of a key so many places ahead of its query, as T5's paper and code say.

    Half of the buckets are for keys ahead, where those are seen at all. Half of each direction's
    are for single distances; the others cover logarithmically larger ranges up to `far`.
    """
    start, away = 0, max(-ahead, 0)
    if both_ways:
        buckets //= 2
        start, away = (buckets if ahead > 0 else 0), abs(ahead)
    exact = buckets // 2
    if away < exact:
        return start + away
    share = math.log(away / exact) / math.log(far / exact)
    return start + min(exact + int(share * (buckets - exact)), buckets - 1)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("buckets", "far"), [(32, 128), (14, 50)])
def test_t5_buckets_are_the_papers(buckets, far, causal):
    """Every distance from -200 to 200 is in its bucket, and its bias is the bucket's row."""
    positions = {"kind": "t5", "buckets": buckets, "max_distance": far}
    sizes = {"batch": 1, "tokens": 201, "chan": 4, "heads": 2, "dim": 4}
    mask = {"kind": "causal"} if causal else {}
    case = ran(**sizes, positions=positions, mask=mask)
    of = {n: bucket(n, buckets, far, both_ways=not causal) for n in range(-200, 201)}
    expected = torch.tensor([[of[key - query] for key in range(201)] for query in range(201)])
    assert torch.equal(case.seen["buckets"], expected)
    (table,) = (w for name, w in case.weights.items() if name.endswith("bias.table.weight"))
    close(case.seen["bias"], table[expected].permute(2, 0, 1))


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("buckets", "far"), [(32, 128), (14, 50)])
def test_t5_buckets_are_those_of_transformers(buckets, far, causal):
    """The same, by the function that published T5 models run."""
    from transformers.models.t5.modeling_t5 import T5Attention

    ahead = torch.arange(-200, 201)
    theirs = T5Attention._relative_position_bucket(
        ahead, bidirectional=not causal, num_buckets=buckets, max_distance=far
    )
    ours = [bucket(n, buckets, far, both_ways=not causal) for n in ahead.tolist()]
    assert theirs.tolist() == ours
