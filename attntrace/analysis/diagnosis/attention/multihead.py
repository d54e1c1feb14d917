"""nn.MultiheadAttention, and the layers of nn.Transformer that hold one."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from attntrace.analysis.diagnosis.attention.inside import Use, uses
from attntrace.analysis.diagnosis.attention.multihead_mask import hintless, masked, padded
from attntrace.analysis.diagnosis.call import Culprit, Explained, FailedCall, Given, Key, Proposal
from attntrace.analysis.diagnosis.text import names_of, shaped, ticked
from attntrace.analysis.diagnosis.writing import changed, written


def explain(call: FailedCall) -> Explained | None:
    """Return why a module that attends failed: ranks, widths, batches, lengths, then masks."""
    if call.op == "multi_head_attention_forward" and call.module is not None:
        return None  # the module's own call has the author's tensors, before they were turned
    for use in uses(call):
        for check in CHECKS:
            found = check(use)
            if found is not None:
                return found
    return None


def _named(use: Use) -> list[tuple[Key, Given]]:
    """Return queries, keys and values, each argument once."""
    return list({use.key(role): tensor for role, tensor in enumerate(use.qkv)}.items())


def _layout(use: Use) -> str:
    return "(batch, length, embed_dim)" if use.batch_first else "(length, batch, embed_dim)"


def _ranks(use: Use) -> Explained | None:
    q, k, v = use.qkv
    ranks = (q.rank, k.rank, v.rank)
    if ranks in {(2, 2, 2), (3, 3, 3)}:
        return None
    if q.rank not in {2, 3}:
        rule = (
            f"`{use.name}` takes {_layout(use)}, or (length, embed_dim) without a batch, "
            f"and {shaped(q)} has {q.rank} dimensions."
        )
        return Explained(rule=rule, proposals=tuple(_flattened(use)))
    other = k if k.rank != q.rank else v
    rule = (
        f"`{use.name}` needs query, key and value of the same number of dimensions, and "
        f"{shaped(q)} has {q.rank} where {shaped(other)} has {other.rank}."
    )
    return Explained(rule=rule, proposals=tuple(_batched(use)))


def _flattened(use: Use) -> list[Proposal]:
    """Make (batch, length, embed_dim) of images, or of windows."""
    q, width = use.qkv[0], use.width
    if q.rank != 4:
        if q.rank != 1:
            return []
        moved = {key: one.then("unsqueeze", 0) for key, one in _named(use)}
        said = f"add the axis of the length: {ticked(map(written, moved.values()))}"
        return [changed(use.call, said, moved)]
    if q.shape is not None and q.shape[-1] != width and q.shape[1] == width:
        turn = ("transpose", 1, 2) if use.batch_first else ("permute", 2, 0, 1)
        moved = {key: one.then("flatten", 2).then(*turn) for key, one in _named(use)}
        said = "make one length of height and width, and put the channels last"
    else:
        moved = {key: one.then("flatten", 0, 1) for key, one in _named(use)}
        said = "fold the first two axes into the batch"
    return [changed(use.call, f"{said}: {ticked(map(written, moved.values()))}", moved)]


def _batched(use: Use) -> list[Proposal]:
    """Give those without a batch the batch of the others."""
    full = next(one for one in use.qkv if one.rank == max(t.rank for t in use.qkv))
    short = [(key, one) for key, one in _named(use) if one.rank == full.rank - 1]
    if full.rank != 3 or not short:
        return []
    batch, dim = (full.shape or ())[use.batch_dim], use.batch_dim
    spread = (batch, -1, -1) if dim == 0 else (-1, batch, -1)
    moved = {key: one.then("unsqueeze", dim).then("expand", *spread) for key, one in short}
    said = f"give {names_of(one for _, one in short)} the batch of {batch}"
    return [changed(use.call, f"{said}: {ticked(map(written, moved.values()))}", moved)]


def _widths(use: Use) -> Explained | None:
    if use.width is None:
        return None
    layer = "d_model" in use.settings
    wanted = (
        [("d_model", use.width)] * 3
        if layer
        else [
            ("embed_dim", use.width),
            ("kdim", use.settings.get("kdim") or use.width),
            ("vdim", use.settings.get("vdim") or use.width),
        ]
    )
    for one, (setting, want) in zip(use.qkv, wanted, strict=True):
        have = (one.shape or ())[-1]
        if have != want:
            rule = (
                f"`{use.name}` was built for {setting}={want}, and the last size of "
                f"{shaped(one)} is {have}."
            )
            return Explained(
                rule=rule,
                culprits=(Culprit(tensor=one, dim=one.rank - 1),),
                proposals=(*_transposed(use, want), *_resized(use, have)),
            )
    return None


def _transposed(use: Use, width: int) -> list[Proposal]:
    """Put the features last, where they stand at another place."""
    wrong = [(key, one) for key, one in _named(use) if (one.shape or ())[-1] != width]
    for dim in range(2):
        if all((one.shape or ())[dim] == width for _, one in wrong):
            moved = {key: one.then("transpose", dim, wrong[0][1].rank - 1) for key, one in wrong}
            said = f"put the {width} features last"
            return [changed(use.call, f"{said}: {ticked(map(written, moved.values()))}", moved)]
    return []


def _resized(use: Use, have: int) -> list[Proposal]:
    """Build the module for the width that it is given."""
    q, k, v = ((tensor.shape or ())[-1] for tensor in use.qkv)
    if use.call.module is None:
        return []
    heads = use.heads or 1
    given = use.call.tensors()
    fits = [one for _, one in given if one.rank > 1 and (one.shape or ())[-1] == use.width]
    if "d_model" in use.settings and fits:
        width, one = use.width or 0, use.qkv[int(q == use.width)]
        said = (
            f"bring {one.name} to {width} features first: `nn.Linear({have}, {width})({one.name})`"
        )
        wide = one.of_shape(*(one.shape or ())[:-1], width)
        changes = {key: wide for key, other in given if other.name == one.name}
        return [Proposal(said=said, call=use.call.at(changes))]
    if q == use.width:
        said = f"tell it the widths of keys and values: `{use.constructor(kdim=k, vdim=v)}`"
        return [Proposal(said=said, call=use.rebuilt(kdim=k, vdim=v))]
    fit = heads if have % heads == 0 else _divisor(have, heads)
    names = ("d_model", "nhead") if "d_model" in use.settings else ("embed_dim", "num_heads")
    built = dict(zip(names, (have, fit), strict=True))
    said = f"build `{use.name}` with {names[0]}={have}: `{use.constructor(**built)}`"
    said += f", as {heads} heads do not divide {have}" if fit != heads else ""
    widths = {} if "d_model" in use.settings else {"kdim": k, "vdim": v}
    return [Proposal(said=said, call=use.rebuilt(**built, **widths))]


def _divisor(width: int, heads: int) -> int:
    return min((n for n in range(1, width + 1) if width % n == 0), key=lambda n: abs(n - heads))


def _heads(use: Use) -> Explained | None:
    width, heads = use.width, use.heads
    if width is None or heads is None or width % heads == 0:
        return None
    fit = _divisor(width, heads)
    rule = (
        f"`{use.name}` needs the embed_dim, {width}, to be divisible by the number of heads, "
        f"{heads}: {width} = {heads}*{width // heads} + {width % heads}."
    )
    said = f"take num_heads={fit}, heads of {width // fit}"
    return Explained(rule=rule, proposals=(Proposal(said=said),))


def _batches(use: Use) -> Explained | None:
    q, k, v = use.qkv
    other = next(
        (one for one in (k, v) if q.rank == 3 and _batch(use, one) != _batch(use, q)), None
    )
    if other is None or use.batch_first is None:
        return None
    have, met = _batch(use, q), _batch(use, other)
    rule = (
        f"`{use.name}` was built with batch_first={use.batch_first}, so the batch is size "
        f"{use.batch_dim} of each tensor: {have} in {shaped(q)} and {met} in {shaped(other)}."
    )
    culprits = tuple(Culprit(tensor=one, dim=use.batch_dim) for one in (other, q))
    return Explained(
        rule=rule, culprits=culprits, proposals=(*_realigned(use), *_repeated(use, have, met))
    )


def _batch(use: Use, one: Given) -> int:
    return (one.shape or ())[use.batch_dim]


def _realigned(use: Use) -> list[Proposal]:
    """Swap batch and length: of the module if all agree on the other order, else of the odd one."""
    proposals = []
    q, k, v = use.qkv
    lengths = {(one.shape or ())[1 - use.batch_dim] for one in (q, k, v)}
    if len(lengths) == 1 and use.call.module is not None:
        flag = not use.batch_first
        said = f"build `{use.name}` with batch_first={flag}: `{use.constructor(batch_first=flag)}`"
        proposals.append(Proposal(said=said, call=use.rebuilt(batch_first=flag)))
        proposals.append(_swapped(use, dict(_named(use)), "swap batch and length before it"))
    for chosen in ((0,), (1, 2)):
        tensors = {use.key(role): use.qkv[role] for role in chosen}
        of = names_of(tensors.values())
        proposals.append(_swapped(use, tensors, f"swap the first two axes of {of}"))
    return proposals


def _swapped(use: Use, tensors: Mapping[Key, Given], said: str) -> Proposal:
    moved = {key: one.then("transpose", 0, 1) for key, one in tensors.items()}
    return changed(use.call, f"{said}: {ticked(map(written, moved.values()))}", moved)


def _repeated(use: Use, have: int, met: int) -> list[Proposal]:
    few, many = sorted((have, met))
    if many % few:
        return []
    times, dim = many // few, use.batch_dim
    small = {key: one for key, one in _named(use) if _batch(use, one) == few}
    texts = {key: f"{one.name}.repeat_interleave({times}, dim={dim})" for key, one in small.items()}
    moved = {key: one.then("repeat_interleave", times, dim) for key, one in small.items()}
    said = f"repeat each of the {few} samples {times} times: {ticked(texts.values())}"
    return [changed(use.call, said, moved, texts)]


def _lengths(use: Use) -> Explained | None:
    q, k, v = use.qkv
    dim = 1 - use.batch_dim if q.rank == 3 else 0
    keys, values = (k.shape or ())[dim], (v.shape or ())[dim]
    if keys == values:
        return None
    rule = (
        f"`{use.name}` needs as many values as keys, and {shaped(v)} has a length of {values} "
        f"where {shaped(k)} has {keys}."
    )
    proposals = []
    if (q.shape or ())[dim] == keys:
        said = (
            f"hand over query, key, value in this order, so that keys and values have the same "
            f"length, {keys}: `{use.name}({v.name}, {k.name}, {q.name})`"
        )
        proposals.append(changed(use.call, said, {use.key(0): v, use.key(2): q}))
    said = f"hand over {k.name} as the values too, so that both have a length of {keys}"
    proposals.append(changed(use.call, said, {use.key(2): k}))
    return Explained(
        rule=rule,
        culprits=tuple(Culprit(tensor=one, dim=dim) for one in (v, k)),
        proposals=tuple(proposals),
    )


CHECKS: tuple[Callable[[Use], Explained | None], ...] = (
    _ranks,
    _widths,
    _heads,
    _batches,
    _lengths,
    hintless,
    masked,
    padded,
)
"""In the order in which a reader would want to hear of them."""
