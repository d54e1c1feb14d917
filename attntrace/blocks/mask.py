"""Which key a query may see: order, distance, padding, all in one tensor of bools."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from attntrace.blocks.axes import Axes
from attntrace.capture.tap import Tap, Taps
from attntrace.spec import Spec


class Mask(nn.Module):
    """Causal, sliding and padding masks, and all of them together.

    Queries stand at the end of the keys: query i is token past + i, so a decode step sees
    everything before it (bottom-right aligned). A sliding mask leaves it the keys less than
    `window` away, itself included: on both sides, or with causal behind it.

    Shapes: lengths (batch,) or None -> (tokens, keys), or with padding (batch, 1, 1, keys) or
    (batch, 1, tokens, keys). In eager and in `nn.MultiheadAttention` True hides a key; in
    `scaled_dot_product_attention` True shows it. The tensor is named for it: `hidden`, `seen`.

    Source: Beltagy et al., "Longformer" (2020), section 3.1, for the window; Mistral 7B (2023).
    """

    def __init__(self, spec: Spec, axes: Axes) -> None:
        super().__init__()
        a = axes
        self.kinds, self.window = spec.masks, spec.mask.window or 0
        self.shows = spec.attention.impl == "sdpa"
        name = "seen" if self.shows else "hidden"
        table = f"{a.tokens} {a.keys}"
        padded = f"{a.batch} 1 1 {a.keys}"
        self.tap = Taps(
            Tap("query_place", a.tokens, "where each query stands, at the end of the keys"),
            Tap("key_place", a.keys, "where each key stands"),
            Tap("distance", table, "place of the query - place of the key"),
            Tap(f"{name}_order", table, self.words()),
            Tap(f"{name}_padding", padded, f"key {'<' if self.shows else '>='} length of its sequence"),
            Tap(name, f"{a.batch} 1 {table}", f"{name}_order {'and' if self.shows else 'or'} {name}_padding"),
        )  # fmt: skip

    def words(self) -> str:
        """Return the rule of order in words."""
        sliding, causal = "sliding" in self.kinds, "causal" in self.kinds
        far = f"distance >= {self.window}" if causal else f"|distance| >= {self.window}"
        hidden = " or ".join(["distance < 0"] * causal + [far] * sliding)
        return f"not ({hidden})" if self.shows else hidden

    def forward(
        self, tokens: int, keys: int, lengths: Tensor | None, device: torch.device
    ) -> Tensor:
        """Return the mask for so many queries at the end of so many keys."""
        tap = self.tap
        name = "seen" if self.shows else "hidden"
        order = (
            self.order(tokens, keys, device) if set(self.kinds) & {"causal", "sliding"} else None
        )
        if "padding" not in self.kinds or lengths is None:
            assert order is not None, "a mask has a kind"
            return order
        place = torch.arange(keys, device=device)
        limit = lengths[:, None, None, None]
        padding = place < limit if self.shows else place >= limit
        padding = tap.get(f"{name}_padding")(padding)
        if order is None:
            return padding
        return tap.get(name)(order & padding if self.shows else order | padding)

    def order(self, tokens: int, keys: int, device: torch.device) -> Tensor:
        """Return the part of the mask that is a matter of places alone, (tokens, keys)."""
        tap = self.tap
        query = tap.query_place(torch.arange(keys - tokens, keys, device=device))
        key = tap.key_place(torch.arange(keys, device=device))
        distance = tap.distance(query.unsqueeze(1) - key)
        if "causal" not in self.kinds:
            away = distance.abs()
            return (
                tap.seen_order(away < self.window)
                if self.shows
                else tap.hidden_order(away >= self.window)
            )
        near = self.window if "sliding" in self.kinds else None
        if self.shows:
            seen = distance >= 0
            return tap.seen_order(seen if near is None else seen & (distance < near))
        hidden = distance < 0
        return tap.hidden_order(hidden if near is None else hidden | (distance >= near))
