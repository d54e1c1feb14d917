"""Which query may see which key."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from attntrace.spec.component import Component, Size, setting

MaskKind = Literal["causal", "padding", "sliding"]


def _as_tuple(value: object) -> object:
    """One name may stand for a list of one; YAML has lists, a frozen model tuples."""
    if value == "none":
        return ()
    if isinstance(value, str) and value != "auto":
        value = [part.strip() for part in value.split(",")]
    return (
        tuple(dict.fromkeys(value))
        if isinstance(value, list) and all(map(_is_text, value))
        else value
    )


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _listed(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _named(value: object) -> object:
    """YAML's -.inf, Python's and a flag's -inf are one thing."""
    return "-inf" if value == float("-inf") else value


Lengths = Annotated[tuple[Size, ...], BeforeValidator(_listed), Field(min_length=1)]
Fill = Annotated[
    Literal["-inf", "min"] | Annotated[float, Field(allow_inf_nan=False)], BeforeValidator(_named)
]


class MaskSpec(Component):
    """What is hidden from the softmax."""

    kind: Annotated[
        Literal["auto"] | tuple[MaskKind, ...], BeforeValidator(_as_tuple)
    ] = setting(
        "auto",
        "none, or any of causal, padding, sliding, as a list or separated by commas",
        rule="causal and sliding need keys of the tokens' own; sliding needs window",
        shown="causal in a decoder, else none",
    )  # fmt: skip
    window: Size | None = setting(
        None,
        "keys that a query sees under a sliding mask on each side, itself included; with causal it looks back alone",
        aliases=("sliding_window",),
        rule="sliding needs it",
    )
    full_every: Size | None = setting(
        None,
        "every n-th layer sees past the sliding window: 2 in Gemma 2, 6 in Gemma 3",
        aliases=("sliding_window_pattern",),
        rule="with a sliding mask, at most layers",
    )
    lengths: Lengths | None = setting(
        None,
        "tokens of each sequence that are not padding",
        rule="one a sequence, between 1 and the number of keys",
        shown="all of them but the last sequence's last",
    )
    fill: Fill = setting(
        "-inf",
        "what a hidden score becomes in eager: -inf, the dtype's smallest number, or a number",
        aliases=("mask_fill",),
        rule="fits the dtype",
    )
