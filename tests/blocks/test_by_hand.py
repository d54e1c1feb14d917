"""Attention layers against their formulas in the literature, written out in plain float64 torch."""

from __future__ import annotations

import pytest
import torch

from tests.blocks.by_hand import (
    CHAN,
    CROSS,
    DIM,
    HEADS,
    HIDDEN,
    MAP,
    TOKENS,
    attended,
    close,
    heads_of,
    hiding,
    merged,
    ran,
    ran_with,
    softmax,
)

WIDTH = CHAN // HEADS
SOURCES = pytest.mark.parametrize("cross", [False, True], ids=["self", "cross"])


def sourced(attention, *, cross):
    """Return the settings of a layer over its own tokens, or over a context."""
    if not cross:
        return {"attention": {"qkv": "separate", **attention}}
    return {"attention": {"qkv": "separate", "source": "cross", **attention}, **CROSS}


@SOURCES
def test_additive_is_bahdanaus(cross):
    """e_tu = u^T tanh(W_q x_t + W_k x_u), a pair of places at a time."""
    case = ran(**sourced({"kind": "additive", "align_dim": 5, "qkv_bias": True}, cross=cross))
    q, k, v = (heads_of(part) for part in case.projected())
    energy = case.weights["attend.energy.weight"][0]
    rows = [
        torch.stack([torch.tanh(q_t + k_u) @ energy for k_u in k.unbind(2)], dim=-1)
        for q_t in q.unbind(2)
    ]
    probs = softmax(torch.stack(rows, dim=2))
    close(case.out, case.returned(probs @ v))


@SOURCES
def test_separate_heads_are_h_layers_of_one_head(cross):
    """Each head has three maps of its own; the contexts side by side are projected."""
    attention = {"kind": "separate-heads", "qkv_bias": True, "qkv": "auto"}
    case = ran(**sourced(attention, cross=cross))
    heads = [case.projected(f"each.{number}.project") for number in range(HEADS)]
    found = [attended(q, k, v, scale=WIDTH**-0.5) for q, k, v in heads]
    close(case.out, case.linear("proj", torch.cat(found, dim=-1)))


@SOURCES
def test_linear_elu_is_katharopoulos(cross):
    """Its kernel (elu(q)+1)(elu(k)+1)^T, written out for all pairs, with rows made to sum to 1."""
    case = ran(**sourced({"kind": "linear", "features": "elu"}, cross=cross))
    q, k, v = (heads_of(part) for part in case.projected())
    q, k = (torch.where(t > 0, t + 1, t.exp()) for t in (q, k))
    kernel = torch.einsum("bhqd,bhkd->bhqk", q, k)
    probs = kernel / kernel.sum(dim=-1, keepdim=True)
    close(case.out, case.returned(probs @ v), atol=1e-7)


@SOURCES
def test_performer_has_positive_random_features(cross):
    """Its kernel is the mean over directions w of e^(w q - q^2/2) e^(w k - k^2/2)."""
    case = ran(**sourced({"kind": "linear", "kernel_features": 11}, cross=cross))
    q, k, v = (heads_of(part) for part in case.projected())
    directions = case.weights["attend.features.w"]
    assert directions.shape == (11, WIDTH)
    kernel = 0
    for w in directions:
        one = [torch.exp(t @ w - t.square().sum(dim=-1) / 2) for t in (q, k)]
        kernel = kernel + one[0].unsqueeze(-1) * one[1].unsqueeze(-2)
    probs = kernel / kernel.sum(dim=-1, keepdim=True)
    close(case.out, case.returned(probs @ v), atol=1e-7)


def test_performer_comes_near_softmax():
    """With many normal directions the kernel is e^(q k): softmax attention without a scale."""
    attention = {"kind": "linear", "kernel_features": 40_000, "qkv": "separate"}
    weights = ran(attention=attention).weights
    normal, directions = torch.Generator().manual_seed(0), weights["attend.features.w"]
    weights["attend.features.w"] = torch.randn(directions.shape, generator=normal).double()
    for name in "qk":  # the variance of the estimate grows with e^(|q + k|^2)
        weights[f"project.{name}_proj.weight"] = weights[f"project.{name}_proj.weight"] / 2
    case = ran_with(weights, attention=attention)
    q, k, v = (heads_of(part) for part in case.projected())
    exact = case.returned(attended(q, k, v, scale=1.0))
    uniform = case.returned(v.mean(dim=2, keepdim=True).expand_as(v))
    assert (case.out - exact).norm() < (uniform - exact).norm() / 20


def test_shared_head_is_a_block_diagonal_projection():
    """One small map for every head: the big one has it on its diagonal, and 0 elsewhere."""
    attention = {"kind": "shared-head", "qk_scale": "embed"}
    case = ran(dim=CHAN, attention=attention, mask={"kind": "causal"})
    q, k, v = (
        heads_of(case.x @ torch.block_diag(*[case.weights[f"project.{n}_proj.weight"]] * HEADS).T)
        for n in "qkv"
    )
    later = torch.ones(TOKENS, TOKENS).triu(1).bool()
    close(case.out, case.returned(attended(q, k, v, scale=CHAN**-0.5, extra=hiding(later))))


def convolved(x, weight, bias):
    """Return a convolution over the map of x (batch, tokens, dim): a product for each offset."""
    side = weight.shape[-1]
    rows, columns = MAP
    grid = x.unflatten(1, MAP)
    edge = side // 2
    padded = torch.zeros(x.shape[0], rows + 2 * edge, columns + 2 * edge, x.shape[-1]).double()
    padded[:, edge : edge + rows, edge : edge + columns] = grid
    parts = [
        padded[:, down : down + rows, right : right + columns] @ weight[:, :, down, right].T
        for down in range(side)
        for right in range(side)
    ]
    return (sum(parts) + bias).flatten(1, 2)


@pytest.mark.parametrize("kernel", [1, 3])
def test_conv_projects_neighbourhoods(kernel):
    """q, k and v are the three thirds of one convolution over the map of tokens."""
    attention = {"qkv": "conv", "conv_kernel": kernel, "qkv_bias": True}
    case = ran(attention=attention, image={"map": list(MAP)})
    weight, bias = case.weights["project.qkv.weight"], case.weights["project.qkv.bias"]
    assert weight.shape == (3 * CHAN, DIM, kernel, kernel)
    parts = convolved(case.x, weight, bias).tensor_split(3, dim=-1)
    q, k, v = (heads_of(part) for part in parts)
    close(case.out, case.returned(attended(q, k, v, scale=WIDTH**-0.5)))


def copied(kv, times):
    """Return kv heads (batch, kv_heads, keys, d), each of them `times` in a row."""
    return torch.stack([head for head in kv.unbind(1) for _ in range(times)], dim=1)


@SOURCES
def test_kv_fused_has_keys_first(cross):
    """The first half of the rows of W_kv makes k, the second v; each kv head serves two heads."""
    case = ran(kv_heads=2, **sourced({"qkv": "kv-fused", "qkv_bias": True}, cross=cross))
    weight, bias = case.weights["project.kv_proj.weight"], case.weights["project.kv_proj.bias"]
    half = 2 * WIDTH
    assert len(weight) == 2 * half
    q = heads_of(case.linear("project.q_proj", case.x))
    k, v = (
        copied(heads_of(case.source @ weight[part].T + bias[part], 2), 2)
        for part in (slice(0, half), slice(half, None))
    )
    close(case.out, case.returned(attended(q, k, v, scale=WIDTH**-0.5)))


@pytest.mark.parametrize("layout", ["heads-first", "token-first", "folded"])
@pytest.mark.parametrize("order", ["3hd", "kqv", "h3d"])
def test_fused_is_separate_with_its_rows_rearranged(order, layout):
    """q k v, k q v, or q k v of each head: three projections whose rows are laid out so."""
    apart = ran(attention={"qkv": "separate", "qkv_bias": True})
    fused = {"proj.weight": apart.weights["proj.weight"], "proj.bias": apart.weights["proj.bias"]}
    for name in ("weight", "bias"):
        q, k, v = (apart.weights[f"project.{n}_proj.{name}"] for n in "qkv")
        by_head = [
            part for h in zip(*(t.split(WIDTH) for t in (q, k, v)), strict=True) for part in h
        ]
        rows = {"3hd": [q, k, v], "kqv": [k, q, v], "h3d": by_head}[order]
        fused[f"project.qkv.{name}"] = torch.cat(rows)
    attention = {"qkv": "fused", "qkv_bias": True, "qkv_layout": order, "layout": layout}
    close(ran_with(fused, attention=attention).out, apart.out)


NORMS = {
    "l2": lambda x, w, b: x / x.square().sum(dim=-1, keepdim=True).sqrt(),
    "rmsnorm": lambda x, w, b: x / (x.square().mean(dim=-1, keepdim=True) + 1e-3).sqrt() * w,
    "layernorm": lambda x, w, b: (
        (x - x.mean(dim=-1, keepdim=True))
        / (x.var(dim=-1, keepdim=True, correction=0) + 1e-3).sqrt()
        * w
        + b
    ),
}


@pytest.mark.parametrize("over", ["head", "width"])
@pytest.mark.parametrize("kind", NORMS)
def test_qk_norm(kind, over):
    """q and k of unit length, of unit mean square, or of unit variance, over a head or all of them."""
    attention = {"qkv": "separate", "qk_norm": kind, "qk_norm_over": over, "qk_scale": 7.0}
    eps = {} if kind == "l2" else {"norm": {"eps": 1e-3}}
    case = ran(kv_heads=2, attention=attention, **eps)
    where = "" if over == "head" else "project."

    def normed(name, x):
        norm = f"{where}qk_norm.{name}_norm"
        weights = [case.weights.get(f"{norm}.{part}") for part in ("weight", "bias")]
        return NORMS[kind](x, *weights)

    q, k, v = case.projected()
    if over == "width":
        q, k = normed("q", q), normed("k", k)
    q, k, v = heads_of(q), heads_of(k, 2), heads_of(v, 2)
    if over == "head":
        q, k = normed("q", q), normed("k", k)
    close(case.out, case.returned(attended(q, copied(k, 2), copied(v, 2), scale=7.0)))


@pytest.mark.parametrize("place", ["q", "scores", "masked_scores"])
@pytest.mark.parametrize("cap", [None, 0.5])
def test_softcap_and_the_place_of_the_scale(cap, place):
    """cap tanh(scores / cap), with the scale inside, or outside where it comes after the mask."""
    attention = {"qkv": "separate", "scale_at": place, "softcap": cap, "qk_scale": 1.7}
    case = ran(attention=attention, mask={"kind": "causal", "fill": -300.0})
    q, k, v = (heads_of(part) for part in case.projected())
    late = place == "masked_scores"
    scores = torch.einsum("bhqd,bhkd->bhqk", q, k) * (1.0 if late else 1.7)
    if cap is not None:
        scores = cap * torch.tanh(scores / cap)
    scores = scores.masked_fill(torch.ones(TOKENS, TOKENS).triu(1).bool(), -300.0)
    close(case.seen["masked_scores"], scores)
    probs = softmax(scores * (1.7 if late else 1.0))
    close(case.out, case.returned(probs @ v))


def test_skips_add_the_input_or_the_values():
    """A value skip adds v, all heads side by side; an input skip adds x itself."""
    case = ran(attention={"skip": "value", "qkv": "separate"})
    q, k, v = (heads_of(part) for part in case.projected())
    bare = case.returned(attended(q, k, v, scale=WIDTH**-0.5))
    close(case.out, bare + case.projected()[2])
    case = ran(dim=CHAN, attention={"skip": "input", "qkv": "separate"})
    q, k, v = (heads_of(part) for part in case.projected())
    close(case.out, case.x + case.returned(attended(q, k, v, scale=WIDTH**-0.5)))


@pytest.mark.parametrize("impl", ["eager", "sdpa"])
def test_one_kv_head_by_broadcasting_is_one_that_is_copied(impl):
    """Multi-query attention: all heads meet the same keys, however they come by them."""
    repeat = ran(attention={"kind": "mqa", "impl": impl, "kv_expand": "repeat"})
    other = ran_with(
        repeat.weights, attention={"kind": "mqa", "impl": impl, "kv_expand": "broadcast"}
    )
    q, k, v = repeat.projected()
    expected = repeat.returned(attended(heads_of(q), k[:, None], v[:, None], scale=WIDTH**-0.5))
    close(repeat.out, expected)
    close(other.out, expected)


ROWS, COLUMNS, SIDE = 6, 9, 3


def apart_in_shifted_windows(shift):
    """Return which pairs of places (tokens, tokens) share no window, or only by being wrapped."""
    place = torch.arange(ROWS * COLUMNS)
    hidden = torch.zeros(len(place), len(place), dtype=torch.bool)
    for size, at in ((ROWS, place // COLUMNS), (COLUMNS, place % COLUMNS)):
        window, wrapped = (at - shift) % size // SIDE, at < shift
        for told in (window, wrapped):
            hidden |= told[:, None] != told
    return hidden


@pytest.mark.parametrize("impl", ["eager", "sdpa"])
@pytest.mark.parametrize("shift", [0, 1, 2])
def test_windows_are_a_mask_over_the_whole_map(shift, impl):
    """A place meets those of its shifted window that lie on its own side of the map's border."""
    case = ran(
        tokens=ROWS * COLUMNS,
        attention={
            "kind": "window", "window": SIDE, "shift": shift, "impl": impl, "qkv": "separate",
        },
        positions={"kind": "swin"},
        image={"map": [ROWS, COLUMNS]},
    )  # fmt: skip
    table = case.weights["bias.table.weight"]
    hidden = apart_in_shifted_windows(shift)
    bias = torch.full((HEADS, *hidden.shape), HIDDEN).double()
    for query, key in (~hidden).nonzero().tolist():
        down = query // COLUMNS - key // COLUMNS
        right = query % COLUMNS - key % COLUMNS
        bias[:, query, key] = table[(down + SIDE - 1) * (2 * SIDE - 1) + right + SIDE - 1]
    q, k, v = (heads_of(case.linear(f"attention.project.{n}_proj", case.x)) for n in "qkv")
    context = attended(q, k, v, scale=WIDTH**-0.5, extra=bias)
    close(case.out, case.linear("attention.proj", merged(context)))


@pytest.mark.parametrize("impl", ["eager", "sdpa"])
@pytest.mark.parametrize(
    ("kind", "sees"),
    [
        ("sliding", lambda query, key: abs(query - key) < 4),
        (["causal", "sliding"], lambda query, key: 0 <= query - key < 4),
        ("causal", lambda query, key: key <= query),
    ],
    ids=["sliding", "causal-sliding", "causal"],
)
def test_masks_of_order(kind, sees, impl):
    """A window alone looks both ways (Longformer), with a causal mask back only (Mistral)."""
    window = {"window": 4} if "sliding" in kind else {}
    case = ran(attention={"impl": impl, "qkv": "separate"}, mask={"kind": kind, **window})
    hidden = torch.tensor([[not sees(q, k) for k in range(TOKENS)] for q in range(TOKENS)])
    q, k, v = (heads_of(part) for part in case.projected())
    close(case.out, case.returned(attended(q, k, v, scale=WIDTH**-0.5, extra=hiding(hidden))))


def test_a_window_alone_shows_seven_keys():
    """Three before, itself, three after; at the ends there are fewer."""
    probs = ran(mask={"kind": "sliding", "window": 4}).seen["probs"]
    keys = [4, 5, 6, *[7] * (TOKENS - 6), 6, 5, 4]
    assert (probs > 0).sum(dim=-1).flatten(0, 1).unique(dim=0).tolist() == [keys]


@pytest.mark.parametrize(
    "kind", [{}, {"kind": "additive", "align_dim": 5}], ids=["mha", "additive"]
)
def test_dropped_probabilities(kind):
    """In train mode a share of the probabilities is 0, the rest grow by 1 / (1 - p); in eval none."""
    case = ran(attention={**kind, "dropout": 0.25}, run={"mode": "train"})
    probs, dropped = case.seen["probs"], case.seen["probs_dropped"]
    kept = dropped != 0
    close(dropped[kept], probs[kept] / 0.75)
    assert 0.65 < kept.double().mean() < 0.85
    close(case.seen["context"], dropped @ case.seen["v"])
    quiet = ran(attention={**kind, "dropout": 0.25})
    close(quiet.seen["context"], quiet.seen["probs"] @ quiet.seen["v"])


def test_dropout_after_the_norm_reaches_the_output():
    """The article's block drops what the last norm returns: zeros in its final output."""
    stack = {"dropout": 0.2, "dropout_place": "after-norm"}
    settings = {"block": "encoder", "dim": CHAN, "norm": {"place": "post"}, "stack": stack}
    case = ran(**settings, run={"mode": "train"})
    kept = case.out != 0
    normed = case.seen["residual_normed"]  # the second of the layer is the last that is seen
    close(case.out[kept], normed[kept] / 0.8)
    assert 0.7 < kept.double().mean() < 0.9
    assert (ran(**settings).out != 0).all()


def test_dropout_of_a_part_leaves_the_residual_whole():
    """The paper's place: what is added may be 0, and the sum is then x itself."""
    bare = {"norm": {"kind": "none"}, "feed_forward": {"kind": "none"}}
    train = {"stack": {"dropout": 0.4}, "run": {"mode": "train"}}
    case = ran(block="encoder", dim=CHAN, **bare, **train)
    same = case.out == case.x
    assert 0.3 < same.double().mean() < 0.5
    part = case.seen["proj"]
    close(case.out[~same], (case.x + part / 0.6)[~same])
