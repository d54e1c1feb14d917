"""The masks of nn.MultiheadAttention: attn_mask, key_padding_mask, and is_causal beside them."""

from __future__ import annotations

from attntrace.analysis.diagnosis.attention.inside import Use
from attntrace.analysis.diagnosis.call import Culprit, Explained, Given, Proposal
from attntrace.analysis.diagnosis.text import shaped, sizes
from attntrace.analysis.diagnosis.writing import changed, with_keyword, written

MASK, PADDING = 3, 4
"""Their roles in `Use`."""


def _extent(use: Use) -> tuple[int, int, int]:
    """Return (batch, queries, keys) as the module reads them."""
    q, k, _ = (one.shape or () for one in use.qkv)
    if len(q) == 2:
        return 1, q[0], k[0]
    return q[use.batch_dim], q[1 - use.batch_dim], k[1 - use.batch_dim]


def hintless(use: Use) -> Explained | None:
    """Return that is_causal=True needs a mask beside it."""
    if use.call.op != "MultiheadAttention" or use.call.argument(7, "is_causal") is not True:
        return None
    if use.call.argument(*use.slots[MASK]) is not None:
        return None
    _, queries, keys = _extent(use)
    code = f"nn.Transformer.generate_square_subsequent_mask({keys})"
    rule = (
        f"`{use.name}` takes is_causal=True only as a hint beside an attn_mask of "
        f"({queries}, {keys}), and attn_mask is None."
    )
    said = f"hand over the mask as well: `attn_mask={code}`"
    call = use.call.given(
        attn_mask=use.qkv[0].of_shape(queries, keys), is_causal=True, need_weights=False
    )
    return Explained(
        rule=rule,
        proposals=(
            Proposal(said=said, code=with_keyword(use.call, f"attn_mask={code}"), call=call),
        ),
    )


def masked(use: Use) -> Explained | None:
    """Return why attn_mask does not fit; None where it does, or where there is none."""
    mask = use.tensor(MASK)
    if mask is None or use.batch_first is None or use.heads is None:
        return None
    batch, queries, keys = _extent(use)
    wanted = {2: (queries, keys), 3: (batch * use.heads, queries, keys)}
    if mask.shape == wanted.get(mask.rank):
        return _typed(use, mask, MASK)
    rule = f"`{use.name}` takes {_article(use.slots[MASK][1])} of ({queries}, {keys}), or one a head of "
    rule += f"({batch * use.heads}, {queries}, {keys}), as batch * num_heads is {batch} * "
    rule += f"{use.heads} = {batch * use.heads}; {mask.name} is {sizes(mask.shape)}"
    if mask.rank == 3 and (mask.shape or ())[0] != wanted[3][0]:
        rule += f" and has {(mask.shape or ())[0]}"
    ways = [*_turned(use, mask, MASK), *_a_head(use, mask), *_as_padding(use, mask)]
    dim = next((dim for dim in range(-1, -mask.rank - 1, -1) if _off(mask, wanted, dim)), -1)
    return Explained(
        rule=rule + ".",
        culprits=(Culprit(tensor=mask, dim=mask.rank + dim),),
        proposals=tuple(ways or _cut(use, mask)),
    )


def _article(name: str) -> str:
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def _off(mask: Given, wanted: dict[int, tuple[int, ...]], dim: int) -> bool:
    want = wanted.get(min(mask.rank, 3), ())
    return -dim <= len(want) and (mask.shape or ())[dim] != want[dim]


def _propose(use: Use, said: str, mask: Given, role: int, text: str | None = None) -> Proposal:
    code, key = text or written(mask), use.key(role)
    return changed(use.call, f"{said}: `{code}`", {key: mask}, {key: code})


def _turned(use: Use, mask: Given, role: int) -> list[Proposal]:
    """Read the batch from the other axis, where the mask says that it is there."""
    batch, queries, keys = _extent(use)
    q, k, _ = (one.shape or () for one in use.qkv)
    if len(q) != 3 or use.call.module is None or use.call.op == "multi_head_attention_forward":
        return []
    other = (q[1 - use.batch_dim], q[use.batch_dim], k[use.batch_dim])
    fits = {
        MASK: ((other[1], other[2]), (other[0] * (use.heads or 1), other[1], other[2])),
        PADDING: ((other[0], other[2]),),
    }
    if other == (batch, queries, keys) or mask.shape not in fits[role]:
        return []
    flag = not use.batch_first
    said = (
        f"build `{use.name}` with batch_first={flag}, so that {shaped(use.qkv[0])} is read as a "
        f"batch of {other[0]} and a length of {other[1]}: `{use.constructor(batch_first=flag)}`"
    )
    return [Proposal(said=said, call=use.rebuilt(batch_first=flag))]


def _a_head(use: Use, mask: Given) -> list[Proposal]:
    """Repeat a mask a sample for every head, or fold the heads of one into the batch."""
    batch, queries, keys = _extent(use)
    heads, shape = use.heads or 1, mask.shape or ()
    if shape == (batch, queries, keys):
        repeated = mask.then("repeat_interleave", heads, 0)
        text = f"{mask.name}.repeat_interleave({heads}, dim=0)"
        said = f"repeat the mask of each sample for its {heads} heads"
        return [_propose(use, said, repeated, MASK, text)]
    if shape == (1, queries, keys):
        return [_propose(use, "drop its first axis", mask.then("squeeze", 0), MASK)]
    if shape == (batch, heads, queries, keys):
        return [_propose(use, "fold heads into the batch", mask.then("flatten", 0, 1), MASK)]
    if shape == (1, 1, queries, keys):
        return [_propose(use, "drop its first two axes", mask.then("view", queries, keys), MASK)]
    if shape in {(batch, 1, queries, keys), (1, heads, queries, keys)}:
        spread = mask.then("expand", batch, heads, queries, keys).then("flatten", 0, 1)
        said = f"spread it over {batch} samples and {heads} heads, and fold these into one axis"
        return [_propose(use, said, spread, MASK)]
    return []


def _as_padding(use: Use, mask: Given) -> list[Proposal]:
    """Hand a mask of (batch, keys) over as the key_padding_mask that it is."""
    batch, _, keys = _extent(use)
    shape = mask.shape or ()
    if use.tensor(PADDING) is not None or not mask.rank or shape[-1] != keys:
        return []
    if shape not in {(batch, keys), (batch, 1, 1, keys), (batch, 1, keys)}:
        return []
    flat = mask if mask.rank == 2 else mask.then("reshape", batch, keys)
    flat = flat if mask.dtype == "bool" or mask.dtype.startswith("float") else flat.then("eq", 0)
    name = use.slots[PADDING][1]
    text = written(flat).replace(".eq(0)", " == 0")
    said = (
        f"{mask.name} masks keys, one row a sample: hand it over as `{name}={text}`, True where "
        f"a key is padding"
    )
    return [Proposal(said=said, call=use.call.at({use.key(MASK): None, use.key(PADDING): flat}))]


def _cut(use: Use, mask: Given) -> list[Proposal]:
    """Cut a mask made for a longer sequence, or build one for this length."""
    batch, queries, keys = _extent(use)
    rows, columns = (mask.shape or ())[-2:] if mask.rank > 1 else (0, 0)
    proposals = []
    if (rows, columns) == (keys, queries) != (queries, keys) and mask.rank == 2:
        turned = mask.then("transpose", 0, 1)
        proposals.append(_propose(use, "swap queries and keys of the mask", turned, MASK))
    elif rows >= queries and columns >= keys and mask.rank == 2:
        cut = mask.then("narrow", 0, 0, queries).then("narrow", 1, 0, keys)
        said = f"cut {mask.name} to {queries} queries and {keys} keys"
        proposals.append(_propose(use, said, cut, MASK, f"{mask.name}[:{queries}, :{keys}]"))
    if queries == keys and (batch, keys) != mask.shape and (rows, columns) != (queries, keys):
        code = f"nn.Transformer.generate_square_subsequent_mask({keys})"
        built = mask.of_shape(queries, keys)
        said = f"where it is causal, build it for this length, {keys}"
        proposals.append(_propose(use, said, built, MASK, code))
    return proposals


def padded(use: Use) -> Explained | None:
    """Return why key_padding_mask does not fit; None where it does, or where there is none."""
    mask = use.tensor(PADDING)
    if mask is None or use.batch_first is None:
        return None
    batch, _, keys = _extent(use)
    wanted = (batch, keys) if use.qkv[0].rank == 3 else (keys,)
    if mask.shape == wanted:
        return _typed(use, mask, PADDING)
    axes = "(batch, keys)" if len(wanted) == 2 else "(keys,)"
    rule = (
        f"`{use.name}` takes {_article(use.slots[PADDING][1])} of {axes} = {sizes(wanted)}, and "
        f"{mask.name} is {sizes(mask.shape)}."
    )
    proposals = [*_turned(use, mask, PADDING)]
    if mask.rank == 2 and mask.shape == wanted[::-1]:
        turned = _propose(
            use, "put the batch first in the mask", mask.then("transpose", 0, 1), PADDING
        )
        is_first = use.batch_first or mask.name.endswith((".T", ".t()", ".transpose(0, 1)"))
        proposals = [turned, *proposals] if is_first else [*proposals, turned]
    proposals += _squeezed(use, mask, wanted) + _lengthened(use, mask, wanted)
    dim = next((d for d in (-1, -2) if _off(mask, {mask.rank: wanted}, d)), -1)
    return Explained(
        rule=rule,
        culprits=(Culprit(tensor=mask, dim=max(mask.rank + dim, 0)),),
        proposals=tuple(proposals),
    )


def _squeezed(use: Use, mask: Given, wanted: tuple[int, ...]) -> list[Proposal]:
    count = 1
    for size in mask.shape or ():
        count *= size
    if mask.rank > len(wanted) and count == _product(wanted):
        flat = mask.then("reshape", *wanted)
        return [_propose(use, "drop the axes of size 1", flat, PADDING)]
    if mask.rank == 1 and wanted[1:] == mask.shape:
        spread = mask.then("expand", *wanted)
        return [_propose(use, "give every sample the same row", spread, PADDING)]
    return []


def _product(shape: tuple[int, ...]) -> int:
    return shape[0] * (shape[1] if len(shape) > 1 else 1)


def _lengthened(use: Use, mask: Given, wanted: tuple[int, ...]) -> list[Proposal]:
    """Cut a mask to the keys, or add columns for keys that were added, such as a class token."""
    have, want = (mask.shape or (0,))[-1], wanted[-1]
    if mask.rank != len(wanted) or (mask.shape or ())[:-1] != wanted[:-1]:
        return []
    if have > want:
        cut = mask.then("narrow", -1, 0, want)
        index = f"[:, :{want}]" if mask.rank == 2 else f"[:{want}]"
        return [_propose(use, f"cut it to {want} keys", cut, PADDING, f"{mask.name}{index}")]
    added = want - have
    text = f"F.pad({mask.name}, ({added}, 0), value=False)"
    said = f"add {added} column{'s' * (added > 1)} for the keys put before the {have}"
    return [_propose(use, said, mask.of_shape(*wanted), PADDING, text)]


def _typed(use: Use, mask: Given, role: int) -> Explained | None:
    """Return that a mask of whole numbers is not taken, or one of other floats than the queries."""
    q, name = use.qkv[0], use.slots[role][1]
    if mask.dtype in {"bool", q.dtype}:
        return None
    rule = (
        f"`{use.name}` takes {_article(name)} of torch.bool, or of {q.dtype} as {q.name} is, "
        f"and {mask.name} is {mask.dtype}."
    )
    if mask.dtype.startswith(("float", "bfloat")):
        text = f"{mask.name}.to({q.name}.dtype)"
        cast = mask.then("to", f"torch.{q.dtype}")
        return Explained(rule=rule, proposals=(_propose(use, "cast it", cast, role, text),))
    return Explained(
        rule=rule,
        proposals=(
            _propose(
                use,
                "where 1 marks what may be looked at, turn it round to a torch.bool mask that is "
                "True where nothing may look",
                mask.then("eq", 0),
                role,
                f"{mask.name} == 0",
            ),
            _propose(use, "where 1 marks what is hidden, cast it", mask.then("bool"), role),
        ),
    )
