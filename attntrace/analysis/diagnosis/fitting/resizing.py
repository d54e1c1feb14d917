"""One axis of another size: tables of positions, widths of residuals, lengths, maps, batches."""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import prod

from attntrace.analysis.diagnosis.call import Proposal
from attntrace.analysis.diagnosis.fitting.changed import Changed
from attntrace.analysis.diagnosis.fitting.pair import Pair, base, is_table
from attntrace.analysis.diagnosis.fitting.placing import shortened
from attntrace.analysis.diagnosis.shapes import grid, squared
from attntrace.analysis.diagnosis.writing import wrapped
from attntrace.record import Shape

_BIAS = re.compile(r"bias|rel|mask|causal|tril|alibi")
"""Names of what there is one of for each pair of tokens."""
MOST_PADDED = 6
"""By how much a length differs at most if a convolution's padding made it so."""


def proposals(pair: Pair) -> Iterator[Proposal]:
    """Yield ways to bring the axes that clash to one size."""
    met = pair.met
    if not met:
        return
    main, other = met[-1]
    maps = len(pair.got) == len(pair.wanted) == 4
    if _BIAS.search(pair.other.name.lower()) and _is_square(pair):
        yield from _window(pair)
    elif len(met) > 1 and is_table(pair.other) and not maps:
        yield from shortened(pair)
    elif len(met) > 1:
        yield from _maps(pair)
    elif is_table(pair.other):
        yield from _table(pair, main, other)
    elif maps and main > 1:
        yield from _maps(pair)
    elif main == 0:
        yield from _batch(pair, other)
    elif maps:
        yield from _channels(pair, main, other)
    elif other == len(pair.got) - 1 and not _is_padded(pair, main, other):
        yield from _widths(pair, other)
    else:
        yield from _lengths(pair, main, other)


def _is_padded(pair: Pair, main: int, other: int) -> bool:
    """Whether the last axis of two (B, C, L) looks like a length that a convolution changed."""
    more = abs(pair.wanted[main] - pair.got[other])
    return len(pair.got) == len(pair.wanted) == 3 and more <= MOST_PADDED


def _is_square(pair: Pair) -> bool:
    """Whether both end in n*n, of different n: a bias for each pair of tokens of a window."""
    got, wanted = pair.got[-2:], pair.wanted[-2:]
    return len(pair.met) == 2 and all(
        len({*ends}) == 1 and len(ends) == 2 for ends in (got, wanted)
    )


def _window(pair: Pair) -> Iterator[Proposal]:
    has, needs, name = pair.got[-1], pair.wanted[-1], pair.other.name
    sums = [f"{count} = {text}" for count in (needs, has) if (text := squared(count, 0))]
    more = f" (windows: {' and '.join(sums)})" if len(sums) == 2 else ""
    rank = len(pair.got)
    yield pair.built(
        f"build {name} for {needs}*{needs} pairs of tokens in place of {has}*{has}{more}",
        *pair.got[:-2],
        needs,
        needs,
    )
    if has > needs:
        new = Changed.of(pair.other).cut({rank - 2: (0, needs), rank - 1: (0, needs)})
        yield pair.offer(f"take those of the first {needs} tokens: `{new.text}`", new)


def _table(pair: Pair, main: int, other: int) -> Iterator[Proposal]:
    has, needs = pair.got[other], pair.wanted[main]
    name = base(pair.other)
    if other == len(pair.got) - 1:
        said = f"build {name} {needs} wide, as {pair.main.name} is, in place of {has}"
        if has > needs and _BIAS.search(pair.other.name.lower()):
            new = Changed.of(pair.other).cut({other: (0, needs)})
            yield pair.offer(f"take the first {needs} of the {has} keys: `{new.text}`", new)
        yield pair.built(said, *pair.resized(other, needs))
        return
    if len(pair.wanted) == 4 and main == 1 and pair.wanted[2] == pair.wanted[3]:
        said = f"build {name} for {needs} heads (num_heads={needs}) in place of {has}"
        yield pair.built(said, *pair.resized(other, needs))
        return
    yield from _class_token(pair, other, has, needs)
    yield from _patches(pair, other, has, needs)
    cut = list(shortened(pair)) if has > needs else []
    yield from cut
    if cut and main == 0:
        return
    yield pair.built(
        f"build {name} with {needs} positions in place of {has} (the maximum length, max_len)",
        *pair.resized(other, needs),
    )
    if has < needs:
        new = Changed.of(pair.main).cut({main: (0, has)})
        yield pair.offer_main(f"shorten {pair.main.name} to the {has} positions: `{new.text}`", new)


def _class_token(pair: Pair, other: int, has: int, needs: int) -> Iterator[Proposal]:
    main, name = pair.main.name, base(pair.other)
    fewer = min(has, needs)
    side = squared(fewer, 0)
    if abs(has - needs) != 1 or side is None:
        return
    if has > needs:
        yield pair.built_main(
            f"join the class token to {main} first, torch.cat([cls, {main}], dim=1): {name} has "
            f"{has} = {side} + 1 positions, one of them for it, and {main} {needs} = {side} tokens",
            *(
                size + (at == other + len(pair.wanted) - len(pair.got))
                for at, size in enumerate(pair.wanted)
            ),
        )
        new = Changed.of(pair.other).cut({other: (1, needs)})
        text = f"leave out the position of the class token: `{new.text}`"
        yield pair.offer(text, new)
        return
    yield pair.built(
        f"build {name} with one more position, for the class token: {main} has {needs} = {side} "
        f"+ 1 tokens, {name} {has} = {side}; or add {name} before the class token is joined",
        *pair.resized(other, needs),
    )


def _patches(pair: Pair, other: int, has: int, needs: int) -> Iterator[Proposal]:
    """A learned table of another grid of patches: 50 = 7*7 + 1 where it has 65 = 8*8 + 1."""
    mine, theirs = grid(has), grid(needs)
    if mine is None or theirs is None or mine[1] != theirs[1]:
        return
    name, shape = base(pair.other), pair.resized(other, needs)
    old, new = mine[0], theirs[0]
    sums = f"{needs} = {squared(needs)} where it has {has} = {squared(has)}"
    yield pair.built(
        f"build the model with the image size of the input, {new}*{new} patches (image_size = "
        f"{new} * the patch size): {name} needs {sums}",
        *shape,
    )
    yield pair.built(
        f"interpolate {name} from {old}*{old} to {new}*{new} positions (F.interpolate, "
        f'mode="bicubic"){", apart from the class token" if mine[1] else ""}: {sums}',
        *shape,
    )


def _maps(pair: Pair) -> Iterator[Proposal]:
    """Maps, or tables of positions on a map, of another height and width."""
    dims = [other for _, other in pair.met]
    rank = len(pair.got)
    last = rank == 4 and rank - 1 not in dims and min(dims) == 1
    if rank != len(pair.wanted) or rank < 3 or (min(dims) < rank - 2 and not last):
        return
    where = slice(1, 3) if last else slice(-2, None)
    wanted = pair.wanted[where]
    shape = (*pair.got[:1], *wanted, pair.got[3]) if last else (*pair.got[:-2], *wanted)
    size = f"{wanted[0]}*{wanted[1]}"
    name = pair.other.name
    if is_table(pair.other):
        grid_of = "*".join(map(str, pair.got[where]))
        said = f"build the model with the image size of the input: {name} has {grid_of} places"
        yield pair.built(f"{said}, {pair.main.name} {size}", *shape)
    made = pair.built(f"make both {size}: {_bigger(pair)} is {_by(pair)}", *shape)
    is_branch = name.endswith(")")
    if is_branch:
        yield made
    if rank == 4:
        text = _interpolated(name, wanted, last)
        yield pair.offer(
            f"resize {name} to {size}: `{text}`", Changed(pair.other.of_shape(*shape), text, shape)
        )
    yield from _cropped(pair)
    if not is_branch:
        yield made


def _interpolated(name: str, size: Shape, last: bool) -> str:
    if not last:
        return f"F.interpolate({name}, size={size})"
    return f"F.interpolate({wrapped(name)}.permute(0, 3, 1, 2), size={size}).permute(0, 2, 3, 1)"


def _bigger(pair: Pair) -> str:
    return pair.main.name if prod(pair.wanted) > prod(pair.got) else pair.other.name


def _by(pair: Pair) -> str:
    """Return by how much one is larger, and what makes it so."""
    main, other = pair.met[-1]
    big, small = sorted((pair.wanted[main], pair.got[other]), reverse=True)
    if small and big % small == 0:
        times = big // small
        return (
            f"{times} times as large, {big} = {times}*{small}, as before stride={times}: give both "
            f"paths the same stride, and the input a size that it divides"
        )
    return (
        f"{big - small} larger, {big} = {small} + {big - small}, as before a convolution without "
        f"padding=kernel_size // 2, or an odd size that was halved"
    )


def _cropped(pair: Pair) -> Iterator[Proposal]:
    parts = {o: (0, pair.wanted[m]) for m, o in pair.met if pair.got[o] > pair.wanted[m]}
    if len(parts) == len(pair.met):
        new = Changed.of(pair.other).cut(parts)
        yield pair.offer(f"cut {pair.other.name} to that size: `{new.text}`", new)
        return
    parts = {m: (0, pair.got[o]) for m, o in pair.met if pair.wanted[m] > pair.got[o]}
    if len(parts) == len(pair.met):
        new = Changed.of(pair.main).cut(parts)
        yield pair.offer_main(f"cut {pair.main.name} to that size: `{new.text}`", new)


def _widths(pair: Pair, other: int) -> Iterator[Proposal]:
    """Branches of different widths: a residual, a gate."""
    has, needs = pair.got[other], pair.wanted[-1]
    halves = list(_halves(pair, has, needs))
    is_gate = "mul" in pair.call.op
    yield from halves if is_gate else ()
    name, main = pair.other.name, pair.main.name
    yield pair.built(
        f"let the layer that makes {name} end {needs} wide, as {main} is (out_features={needs} in "
        f"place of {has})",
        *pair.resized(other, needs),
    )
    text = f"nn.Linear({needs}, {has})"
    said = f"project {main} to the width of {name} first, with a layer {text}"
    yield pair.built_main(said, *pair.wanted[:-1], has)
    yield from () if is_gate else halves


def _halves(pair: Pair, has: int, needs: int) -> Iterator[Proposal]:
    is_other, small = has > needs, min(has, needs)
    if max(has, needs) != 2 * small:
        return
    tensor, offer = (pair.other, pair.offer) if is_other else (pair.main, pair.offer_main)
    text = f"{wrapped(tensor.name)}.chunk(2, dim=-1)[0]"
    new = Changed(tensor.then("narrow", -1, 0, small), text, (*(tensor.shape or ())[:-1], small))
    yield offer(f"split {tensor.name} in two, {2 * small} = 2*{small} (value, gate): `{text}`", new)


def _channels(pair: Pair, main: int, other: int) -> Iterator[Proposal]:
    has, needs = pair.got[other], pair.wanted[main]
    name = pair.other.name
    text = f"nn.Conv2d({needs}, {has}, 1)"
    yield pair.built_main(
        f"project {pair.main.name} from {needs} to {has} channels with a 1x1 convolution, {text}",
        *pair.wanted[:1], has, *pair.wanted[2:],
    )  # fmt: skip
    yield pair.built(
        f"build the layer that makes {name} with out_channels={needs} in place of {has}",
        *pair.resized(other, needs),
    )


def _batch(pair: Pair, other: int) -> Iterator[Proposal]:
    has, needs = pair.got[other], pair.wanted[0]
    name = pair.other.name
    big, small = max(has, needs), min(has, needs)
    if small and big % small == 0:
        times = big // small
        tensor, offer = (pair.other, pair.offer) if has < needs else (pair.main, pair.offer_main)
        text = f"{wrapped(tensor.name)}.repeat_interleave({times}, dim=0)"
        shape = (big, *(tensor.shape or ())[1:])
        new = Changed(tensor.then("repeat_interleave", times, 0), text, shape)
        said = f"repeat each sample of {tensor.name} {times} times, {big} = {small}*{times}"
        yield offer(f"{said} (heads, beams, frames): `{text}`", new)
    yield pair.built(
        f"give both the same batch: {name} has {has} samples, {pair.main.name} {needs}",
        *pair.resized(other, needs),
    )


def _lengths(pair: Pair, main: int, other: int) -> Iterator[Proposal]:
    """Sequences of different lengths."""
    has, needs = pair.got[other], pair.wanted[main]
    big = pair.other.name if has > needs else pair.main.name
    if has > needs:
        new = Changed.of(pair.other).cut({other: (0, needs)})
        yield pair.offer(f"cut {big} to the length {needs}: `{new.text}`", new)
    else:
        new = Changed.of(pair.main).cut({main: (0, has)})
        yield pair.offer_main(f"cut {big} to the length {has}: `{new.text}`", new)
    said = f"make both {needs} long: {big} has {abs(has - needs)} more"
    if _is_padded(pair, main, other) and other == 2:
        said += ", as a convolution has whose padding is not (kernel_size - 1) // 2"
    yield pair.built(said, *pair.resized(other, needs))
