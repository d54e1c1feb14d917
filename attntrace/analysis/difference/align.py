"""Two sequences in line with each other, in order: a patience difference by several keys.

What both have once, and only once, is an anchor; of anchors that cross, the longest rising run is
kept (B. Cohen's patience diff). Between two anchors more is there only once, so it goes on there.
Keys go from exact to loose: what is the same in everything is paired before what is only called the
same. Where nothing is there only once, as in a loop, what repeats is numbered from the front. Takes
n log n, where the longest common subsequence takes n squared.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from itertools import pairwise

Pair = tuple[int, int]
Keys = Sequence[Hashable]
_Span = tuple[range, range]


def aligned(keys: Sequence[tuple[Keys, Keys]]) -> list[Pair]:
    """Return the places of what is the same in two sequences, both places rising.

    `keys` has a key for each item of both sequences, and this several times, from exact to loose.
    Items whose loosest keys are equal are left only where they cross others.
    """
    before, after = keys[-1]
    spans: list[_Span] = [(range(len(before)), range(len(after)))]
    found: list[Pair] = []
    while spans:
        span = spans.pop()
        anchors = next(filter(None, _tries(keys, span)), [])
        found += anchors
        spans += _between(anchors, span)
    return sorted(found)


def rising(pairs: Sequence[Pair]) -> list[Pair]:
    """Return the most of some pairs, the first place of which rises, whose second rises as well."""
    tails: list[int] = []  # the least second place that ends a run of each length
    ends: list[int] = []
    last: list[int] = []
    for at, (_, second) in enumerate(pairs):
        length = bisect_left(tails, second)
        tails[length : length + 1] = [second]
        ends[length : length + 1] = [at]
        last.append(ends[length - 1] if length else -1)
    run: list[Pair] = []
    at = ends[-1] if ends else -1
    while at >= 0:
        run.append(pairs[at])
        at = last[at]
    return run[::-1]


def numbered(keys: Keys, span: range | None = None) -> dict[Hashable, int]:
    """Return where each key is for the first time, (key, 0), for the second, (key, 1), and so on."""
    times: Counter[Hashable] = Counter()
    found: dict[Hashable, int] = {}
    for at in range(len(keys)) if span is None else span:
        found[keys[at], times[keys[at]]] = at
        times[keys[at]] += 1
    return found


def _tries(keys: Sequence[tuple[Keys, Keys]], span: _Span) -> Iterator[list[Pair]]:
    """Yield what each key pairs between two anchors, the exact keys first."""
    for of in (_once, numbered):
        for before, after in keys:
            places, others = of(before, span[0]), of(after, span[1])
            yield rising([(at, others[key]) for key, at in places.items() if key in others])


def _once(keys: Keys, span: range) -> dict[Hashable, int]:
    """Return where each key is that is there once."""
    times = Counter(keys[span.start : span.stop])
    return {keys[at]: at for at in span if times[keys[at]] == 1}


def _between(anchors: list[Pair], span: _Span) -> Iterator[_Span]:
    """Yield what lies between anchors where both sequences have something; nothing without any."""
    if anchors:
        first, end = (span[0].start - 1, span[1].start - 1), (span[0].stop, span[1].stop)
        for (i, j), (k, m) in pairwise([first, *anchors, end]):
            if k - i > 1 and m - j > 1:
                yield range(i + 1, k), range(j + 1, m)
