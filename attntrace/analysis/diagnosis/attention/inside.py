"""Where torch's own modules attend: which of their arguments are queries, keys, values and masks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from attntrace.analysis.diagnosis.call import FailedCall, Given, Key

Slot = tuple[int, str]
"""An argument by its place and its keyword."""

_ENCODER = ((0, "src"),) * 3
_SELF = ((0, "tgt"),) * 3
_CROSS = ((0, "tgt"), (1, "memory"), (1, "memory"))
_DECODER = (
    (*_SELF, (2, "tgt_mask"), (4, "tgt_key_padding_mask")),
    (*_CROSS, (3, "memory_mask"), (5, "memory_key_padding_mask")),
)
SLOTS: dict[str, tuple[tuple[Slot, ...], ...]] = {
    "MultiheadAttention": (
        ((0, "query"), (1, "key"), (2, "value"), (5, "attn_mask"), (3, "key_padding_mask")),
    ),
    "multi_head_attention_forward": (
        ((0, "query"), (1, "key"), (2, "value"), (16, "attn_mask"), (14, "key_padding_mask")),
    ),
    "TransformerEncoderLayer": ((*_ENCODER, (1, "src_mask"), (2, "src_key_padding_mask")),),
    "TransformerEncoder": ((*_ENCODER, (1, "mask"), (2, "src_key_padding_mask")),),
    "TransformerDecoderLayer": _DECODER,
    "TransformerDecoder": _DECODER,
    "Transformer": (
        (*_ENCODER, (2, "src_mask"), (5, "src_key_padding_mask")),
        (*((1, "tgt"),) * 3, (3, "tgt_mask"), (6, "tgt_key_padding_mask")),
        ((1, "tgt"), (0, "src"), (0, "src"), (4, "memory_mask"), (7, "memory_key_padding_mask")),
    ),
}
"""Of each attention inside: queries, keys, values, mask and padding."""


@dataclass(frozen=True, slots=True)
class Use:
    """One attention of a call: (batch, length, embed_dim) of queries, keys and values."""

    call: FailedCall
    slots: tuple[Slot, ...]

    def key(self, role: int) -> Key:
        """How an argument was given; `role` counts queries, keys, values, mask, padding."""
        return self.call.key(*self.slots[role])

    def tensor(self, role: int) -> Given | None:
        """Return an argument; None if it is no tensor of a known shape."""
        found = self.call.argument(*self.slots[role])
        return found if isinstance(found, Given) and found.shape is not None else None

    @property
    def qkv(self) -> tuple[Given, Given, Given]:
        """Queries, keys and values. Raises LookupError where one is missing."""
        q, k, v = (self.tensor(role) for role in range(3))
        if q is None or k is None or v is None:
            raise LookupError(self.call.op)
        return q, k, v

    @property
    def settings(self) -> dict[str, Any]:
        """What the module was built with; empty for a function."""
        return self.call.module.settings if self.call.module else {}

    @property
    def name(self) -> str:
        """The module as the author wrote it."""
        return (self.call.module and self.call.module.text) or self.call.op

    @property
    def batch_first(self) -> bool | None:
        """Whether the batch comes first; None where that is not known."""
        if self.call.op == "multi_head_attention_forward":
            return False
        return self.settings.get("batch_first")

    @property
    def batch_dim(self) -> int:
        """Which dimension is the batch."""
        return 0 if self.batch_first else 1

    @property
    def width(self) -> int | None:
        """The features of a query."""
        place = self.call.argument(3, "embed_dim_to_check")
        own = place if self.call.op == "multi_head_attention_forward" else None
        return own or self.settings.get("embed_dim") or self.settings.get("d_model")

    @property
    def heads(self) -> int | None:
        """How many heads there are."""
        place = self.call.argument(4, "num_heads")
        own = place if self.call.op == "multi_head_attention_forward" else None
        return own or self.settings.get("num_heads") or self.settings.get("nhead")

    def rebuilt(self, **settings: Any) -> FailedCall:
        """Return the call of a module that was built otherwise."""
        module = self.call.module
        assert module is not None, "its settings are known"
        return replace(self.call, module=replace(module, settings={**module.settings, **settings}))

    def constructor(self, **settings: Any) -> str:
        """Return how it would be built: "nn.MultiheadAttention(64, 4, batch_first=True)"."""
        kind = self.call.module.type if self.call.module else self.call.op
        taken = {"batch_first": self.batch_first or None, **settings}
        width = taken.pop("embed_dim", None) or taken.pop("d_model", None) or self.width
        heads = taken.pop("num_heads", None) or taken.pop("nhead", None) or self.heads
        more = "".join(f", {name}={value!r}" for name, value in taken.items() if value is not None)
        return f"nn.{kind}({width}, {heads}{more})"


def uses(call: FailedCall) -> Iterator[Use]:
    """Yield the attentions of a call whose tensors are all known."""
    for slots in SLOTS.get(call.op, ()):
        use = Use(call, slots)
        if all(use.tensor(role) is not None for role in range(3)):
            yield use
