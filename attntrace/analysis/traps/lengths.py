"""Attention over keys of one length and values of another, and causal masks laid at the wrong end."""

from __future__ import annotations

from collections.abc import Iterator

from attntrace.analysis.traps.flow import Flow
from attntrace.analysis.traps.links import PERMUTING, PICKING, RESHAPING, shape
from attntrace.analysis.traps.products import Product, product_of
from attntrace.analysis.traps.said import called, trap
from attntrace.record import AttentionRecord, Fix, Shape, TensorRecord, Trap

CAUSAL, LENGTHS = "causal-offset", "kv-lengths"
ORDER = Fix(
    said="check the argument order: query, key, value, the keys and values of the same length, or "
    "pass them by name: query=, key=, value=",
    code="scaled_dot_product_attention(query=q, key=k, value=v)",
)
CONCAT = ("cat", "concat", "concatenate")
_MASKING = ("masked_fill", "masked_fill_", "where", "add", "iadd", "scaled_dot_product_attention")


def causal_offset(flow: Flow) -> Iterator[Trap]:
    """Yield the calls with a causal mask at the top left, and fewer queries than keys."""
    for call, row, (q, k, _) in calls_of(flow):
        queries, keys = q[-2], k[-2]
        if call.is_causal and queries < keys:
            operands = operands_of(flow, row, (q, k))
            names = " and ".join(map(called, operands[:2]))
            yield trap(CAUSAL, row, operands, f"is_causal=True {_hides(names, queries, keys)}", [
                *([Fix(said="leave is_causal out: one query that comes last sees every key",
                       code="scaled_dot_product_attention(q, k, v, is_causal=False)")]
                  if queries == 1 else []),
                _from_below(queries, keys),
            ])  # fmt: skip
    yield from _by_hand(flow)


def _hides(names: str, queries: int, keys: int) -> str:
    """Return what a mask at the top left does to queries that come last."""
    sees = (
        f"the 1 query sees only key 0 of {keys}"
        if queries == 1
        else f"query 0 of {queries} sees only key 0, and the last {keys - queries} of {keys} keys "
        "are seen by none"
    )
    return f"lays the mask at the top left of {names}: {sees}"


def _from_below(queries: int, keys: int) -> Fix:
    offset = keys - queries
    return Fix(
        said=f"lay the mask at the bottom right, {offset} keys further: attn_mask with "
        f"diagonal={offset}, or causal_lower_right({queries}, {keys})",
        code=f"torch.ones({queries}, {keys}, dtype=torch.bool).tril(diagonal={offset})",
    )


def kv_lengths(flow: Flow) -> Iterator[Trap]:
    """Yield the calls whose keys and values differ in length: the kernel of the CPU does not look."""
    for _, row, (q, k, v) in calls_of(flow):
        if k[-2] != v[-2]:
            operands = operands_of(flow, row, (q, k, v))
            rule = (
                f"k has {k[-2]} keys and v has {v[-2]} values: each key needs its value, and the CPU "
                f"kernel does not check, it reads {v[-2]} of each"
            )
            yield trap(LENGTHS, row, operands, rule, [*_swapped(q, k, v), ORDER])
    for row in flow.rows:
        product = product_of(row, flow.inputs(row)) if row.op == "einsum" else None
        if product is not None:
            yield from _spread(product)


def _swapped(q: Shape, k: Shape, v: Shape) -> list[Fix]:
    """Return the way out if q and v were swapped: then q and k are as long as each other."""
    if q[-2] != k[-2]:
        return []
    return [
        Fix(
            said=f"swap the query and the value: {v[-2]} queries, and {k[-2]} keys and values; the "
            "caller gives (value, key, query) to what takes (query, key, value)",
            code="scaled_dot_product_attention(v, k, q)",
        )
    ]


def _spread(product: Product) -> Iterator[Trap]:
    """Yield an einsum that sums over an axis which one factor has only once."""
    for label in product.summed:
        left, right = product.size(0, label), product.size(1, label)
        if left != right and 1 in (left, right):
            rule = (
                f"einsum sums over {label}, which is {left} in {called(product.left)} and {right} in "
                f"{called(product.right)}: the 1 is repeated {max(left, right)} times"
            )
            yield trap(LENGTHS, product.row, [product.left, product.right], rule, [ORDER])


def calls_of(
    flow: Flow,
) -> Iterator[tuple[AttentionRecord, TensorRecord, tuple[Shape, Shape, Shape]]]:
    """Yield the attention of a forward with its row and the shapes of q, k and v."""
    for call in flow.trace.attention:
        if call.shapes is not None and call.row is not None:
            row = flow.row(call.row)
            if row.phase == "forward" and all(len(one) >= 2 for one in call.shapes):
                yield call, row, call.shapes


def operands_of(flow: Flow, row: TensorRecord, wanted: tuple[Shape, ...]) -> list[TensorRecord]:
    """Return the rows of those shapes among what a call took, in order."""
    left = flow.inputs(row)
    found = []
    for size in wanted:
        one = next((one for one in left if shape(one) == size), None)
        if one is not None:
            found.append(one)
            left = left[left.index(one) + 1 :] or left
    return found


def _by_hand(flow: Flow) -> Iterator[Trap]:
    """Yield the masks of `tril` at the top left of scores whose keys were put behind older ones."""
    for row in flow.rows:
        sides = shape(row)[-2:]
        if row.op not in ("tril", "triu") or len(sides) < 2 or sides[0] >= sides[1]:
            continue
        said = row.arguments or {}
        scores = _masked(flow, row) if said.get("diagonal", 0) == (row.op == "triu") else None
        product = _product(flow, scores) if scores is not None else None
        if product is not None and _is_cached(flow, product.right):
            rule = f"`{row.name}` {_hides(called(scores or row), *sides)}"
            yield trap(CAUSAL, row, [row, product.left, product.right], rule, [_from_below(*sides)])


def _masked(flow: Flow, mask: TensorRecord) -> TensorRecord | None:
    """Return the scores that a mask is laid on, through comparisons and new axes."""
    left, sides = [mask], shape(mask)[-2:]
    while left:
        one = left.pop()
        for user in flow.users.get(one.index, []):
            others = [other for other in flow.inputs(user) if other.index != one.index]
            if user.op in _MASKING and others and shape(others[0])[-2:] == sides:
                return others[0]
            if shape(user)[-2:] == sides and not others:
                left.append(user)
    return None


def _product(flow: Flow, row: TensorRecord) -> Product | None:
    """Return the product that scores are, scaled or not."""
    while (found := product_of(row, flow.inputs(row))) is None:
        same = [one for one in flow.inputs(row) if one.shape == row.shape]
        if len(same) != 1:
            return None
        row = same[0]
    return found


def _is_cached(flow: Flow, row: TensorRecord) -> bool:
    """Return whether keys are older ones with newer ones behind."""
    while row.inputs and row.op in (*PERMUTING, *RESHAPING, *PICKING, "contiguous", "expand"):
        row = flow.inputs(row)[0]
    return row.op in CONCAT
