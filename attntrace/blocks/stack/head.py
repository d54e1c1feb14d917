"""What is made of a stack's output."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attntrace.blocks.axes import Axes
from attntrace.capture.tap import Tap, Taps
from attntrace.spec import Spec


class Head(nn.Module):
    """A score for each word of the vocabulary, or for each class.

    A tied head multiplies by the embedding table itself. Classes are judged by the class token,
    or, without one, by the mean of all tokens.

    Shapes: x (batch, tokens, chan) -> (batch, tokens, vocab) or (batch, classes).

    Source: Press and Wolf, "Using the Output Embedding to Improve Language Models" (2017), for
    tying; Raffel et al. (2020) for the scale.
    """

    def __init__(self, spec: Spec, axes: Axes, table: nn.Embedding | None) -> None:
        super().__init__()
        stack, a = spec.stack, axes
        self.kind = stack.head
        self.first = spec.image.class_token and spec.stem != "none"
        self.scale = spec.chan**-0.5 if stack.head_scale else None
        self.softcap = stack.head_softcap
        width = stack.classes if stack.head == "classes" else stack.vocab
        self.project = (
            None if stack.tied else nn.Linear(spec.chan, width or 0, bias=stack.head_bias)
        )
        self.bias = nn.Parameter(self.zeros(spec)) if stack.tied and stack.head_bias else None
        self.tied = [table] if stack.tied and table is not None else []  # the stack owns it
        tokens = f"{a.batch} {a.tokens}"
        x = "pooled" if self.kind == "classes" else "x_scaled" if stack.head_scale else "x"
        bias = " + b_head" if stack.head_bias else ""
        words = f"{x} {'table' if stack.tied else 'W_head'}^T{bias}"
        self.tap = Taps(
            Tap("x_scaled", f"{tokens} {a.chan}", "x * chan^-0.5"),
            Tap("pooled", f"{a.batch} {a.chan}", "the class token" if self.first else "the mean of all tokens"),
            Tap("logits", f"{tokens} vocab", words),
            Tap("class_logits", f"{a.batch} classes", words),
            Tap("capped", f"{tokens} vocab" if self.kind == "vocab" else f"{a.batch} classes", f"{self.softcap} tanh(logits / {self.softcap})"),
        )  # fmt: skip

    @staticmethod
    def zeros(spec: Spec) -> Tensor:
        """Return a bias for each word."""
        return nn.Linear(1, spec.stack.vocab or 1).bias.detach() * 0

    def forward(self, x: Tensor) -> Tensor:
        """Return the scores, capped where the spec says so."""
        logits = self.scores(x)
        if self.softcap is None:
            return logits
        return self.tap.capped(torch.tanh(logits / self.softcap) * self.softcap)

    def scores(self, x: Tensor) -> Tensor:
        """Return the scores."""
        tap = self.tap
        if self.scale is not None:
            x = tap.x_scaled(x * self.scale)
        if self.kind == "classes":
            assert self.project is not None
            x = tap.pooled(x[:, 0] if self.first else x.mean(dim=1))
            return tap.class_logits(self.project(x))
        if self.project is not None:
            return tap.logits(self.project(x))
        return tap.logits(F.linear(x, self.tied[0].weight, self.bias))


class Pooler(nn.Module):
    """tanh(W x_0 + b), a vector for the whole sequence.

    Shapes: x (batch, tokens, chan) -> (batch, chan).

    Source: Devlin et al., "BERT" (2019), and its code.
    """

    def __init__(self, spec: Spec, axes: Axes) -> None:
        super().__init__()
        self.project = nn.Linear(spec.chan, spec.chan)
        pooled = f"{axes.batch} {axes.chan}"
        self.tap = Taps(
            Tap("first", pooled, "the first token"),
            Tap("pooled_proj", pooled, "first W_pool^T + b_pool"),
            Tap("pooled", pooled, "tanh(pooled_proj)"),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, chan)."""
        tap = self.tap
        return tap.pooled(tap.pooled_proj(self.project(tap.first(x[:, 0]))).tanh())
