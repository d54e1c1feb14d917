"""One call of scaled_dot_product_attention: its tensors by their roles."""

from __future__ import annotations

from dataclasses import dataclass

from attntrace.analysis.diagnosis.call import Culprit, FailedCall, Given, Key

OP = "scaled_dot_product_attention"
ROLES = ("query", "key", "value", "attn_mask")
"""Its first arguments, in order."""


@dataclass(frozen=True, slots=True)
class Attended:
    """One call of it: (..., heads, length, head_dim) of queries, keys and values."""

    call: FailedCall
    q: Given
    k: Given
    v: Given
    mask: Given | None

    @property
    def scores(self) -> tuple[int, ...]:
        """The shape that a mask must broadcast to, (..., heads, queries, keys)."""
        lead = range(-max(self.q.rank, self.k.rank), -2)
        return (
            *(max(size(self.q, dim), size(self.k, dim)) for dim in lead),
            size(self.q, -2),
            size(self.k, -2),
        )

    def key(self, role: str) -> Key:
        """How an argument was given."""
        return self.call.key(ROLES.index(role), role)

    def keys_and_values(self, method: str, *args: object) -> dict[Key, Given]:
        """Return k and v after one more method."""
        return {
            self.key("key"): self.k.then(method, *args),
            self.key("value"): self.v.then(method, *args),
        }


def size(tensor: Given, dim: int) -> int:
    """Return one size, counted from the end; 1 where the tensor has no such dimension."""
    shape = tensor.shape or ()
    return shape[dim] if -dim <= len(shape) else 1


def culprit(tensor: Given, dim: int) -> Culprit:
    """Point at one size, counted from the end."""
    return Culprit(tensor=tensor, dim=max(tensor.rank + dim, 0))


def roles(a: Attended) -> list[tuple[str, Given]]:
    """Return queries, keys and values by their roles."""
    return [("query", a.q), ("key", a.k), ("value", a.v)]


def pairs(a: Attended) -> list[tuple[Given, Given]]:
    """Return every two of queries, keys and values."""
    return [(a.q, a.k), (a.q, a.v), (a.k, a.v)]


def clash(one: Given, other: Given) -> int | None:
    """Return the dimension before length and width, from the end, that does not broadcast."""
    for dim in range(-3, -max(one.rank, other.rank) - 1, -1):
        if size(one, dim) != size(other, dim) and 1 not in {size(one, dim), size(other, dim)}:
            return dim
    return None
