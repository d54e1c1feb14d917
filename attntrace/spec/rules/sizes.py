"""Sizes that must divide one another or agree."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterator
from math import isqrt

from attntrace.errors import Problem
from attntrace.spec import defaults
from attntrace.spec.block import Spec


def size_rules(spec: Spec) -> Iterator[Problem]:
    """Yield what is wrong between the sizes."""
    if spec.block not in ("patch-embed", "t2t", "rnn-seq2seq"):
        yield from _heads(spec)
        yield from _kv_heads(spec)
    yield from _context(spec)


def _kv_heads(spec: Spec) -> Iterator[Problem]:
    if spec.heads % spec.kv_heads:
        allowed = ", ".join(str(n) for n in divisors(spec.heads))
        near = " or ".join(str(n) for n in _nearest_multiples(spec.heads, spec.kv_heads))
        yield Problem(
            "kv_heads",
            f"heads {spec.heads} is not a multiple of kv_heads {spec.kv_heads}; each kv head must "
            f"serve the same number of query heads (allowed: {allowed}, or heads {near})",
        )


def _heads(spec: Spec) -> Iterator[Problem]:
    given = spec.model_fields_set
    if spec.block == "psa":
        inner = defaults.attended({"block": "psa", "chan": spec.chan, "image": spec.image})
        whole = inner == spec.chan * spec.image.expansion  # else another rule says so
        if whole and inner % spec.heads and "value_head_dim" not in given:
            yield Problem("heads", indivisible("chan*expansion", inner, "heads", spec.heads))
        return
    free = "value_head_dim" if spec.kind == "additive" else "head_dim"
    if spec.chan % spec.heads and free not in given and spec.kind != "mla":
        advice = f"{indivisible('chan', spec.chan, 'heads', spec.heads)}. Or set {free}"
        yield Problem("heads", advice)
        return
    if not spec.attention.out_proj and spec.value_width != spec.chan:
        yield Problem(
            "attention.out_proj",
            f"without an output projection the layer returns heads*value_head_dim "
            f"{spec.value_width} features, not chan {spec.chan}; set chan {spec.value_width}, or "
            "out_proj true",
        )


def _context(spec: Spec) -> Iterator[Problem]:
    """Yield what is missing of the context that keys and values come from."""
    wanted = spec.cross or spec.block in ("encoder-decoder", "rnn-seq2seq")
    wanted = wanted or (spec.block == "decoder" and spec.stack.cross)
    needs = {
        "encoder-decoder": "encoder-decoder needs context_tokens, the length of what is encoded",
        "rnn-seq2seq": "rnn-seq2seq needs context_tokens, the length of the source sequence",
        "decoder": "stack.cross needs context_tokens, the length of the key/value sequence",
        "attention": "source=cross needs context_tokens, the length of the key/value sequence",
    }
    if wanted and spec.context_tokens is None and spec.block in needs:
        yield Problem("context_tokens", needs[spec.block])


def indivisible(whole_name: str, whole: int, part_name: str, part: int) -> str:
    """Say that one size does not divide another, with the arithmetic and sizes that do."""
    quotient, rest = divmod(whole, part)
    near = ", ".join(str(n) for n in nearest_divisors(whole, part))
    return (
        f"{whole_name} {whole} is not divisible by {part_name} {part} "
        f"({whole} = {part}*{quotient} + {rest}); "
        f"nearest {part_name} that divide {whole}: {near}"
    )


def divisors(number: int) -> list[int]:
    """Return the divisors of a number, in order; of a huge one those that are found quickly."""
    small = [n for n in range(1, min(isqrt(number), 10**6) + 1) if number % n == 0]
    return sorted({*small, *(number // n for n in small)})


def _nearest_multiples(whole: int, part: int) -> list[int]:
    """Return the multiples of a size that are next to another, below and above, none of them 0."""
    below = whole - whole % part
    return [n for n in (below, below + part) if n]


def nearest_divisors(whole: int, part: int) -> list[int]:
    """Return the divisors of a number that are next to another, below and above."""
    found = divisors(whole)
    place = bisect(found, part)
    return found[max(0, place - 1) : place + 1]
