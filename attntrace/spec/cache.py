"""What a decode step finds of the tokens before it."""

from __future__ import annotations

from attntrace.spec.component import Component, Count, setting


class CacheSpec(Component):
    """The KV cache."""

    past: Count | None = setting(
        None,
        "tokens that are already cached; 0 is a prefill that fills the cache",
        aliases=("past_length", "past_tokens"),
        rule="needs a causal mask, and keys of the tokens' own",
        shown="no cache",
    )
