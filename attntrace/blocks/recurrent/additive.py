"""The recurrent decoder that looks back with additive alignment, where attention began."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from attntrace.blocks.axes import Axes
from attntrace.blocks.recurrent.cell import Cell
from attntrace.capture.tap import Tap, Taps
from attntrace.spec import Spec


class AdditiveDecoder(nn.Module):
    """s_j = tanh(A' [s_{j-1}; x'_j; c_{j-1}] + b'), where c_{j-1} is what s_{j-1} looks back to.

    alpha_i = softmax_i(v^T tanh(W [h_i; s])) and c = sum_i alpha_i h_i, from s_0 = h_m; so c_0 is
    a sum of states, not zero. W [h; s] is W_h h + W_s s, which is how the paper writes it.

    Shapes: x (batch, tokens, dim), states (batch, context_tokens, chan) -> (batch, tokens, chan).

    Source: Bahdanau et al., "Neural Machine Translation by Jointly Learning to Align and
    Translate" (2015), section 3.1 and appendix A.1.2.
    """

    def __init__(self, spec: Spec, axes: Axes) -> None:
        super().__init__()
        align_dim = spec.attention.align_dim
        assert align_dim is not None, "a rule asks for it"
        self.W = nn.Linear(2 * spec.chan, align_dim, bias=False)
        self.v = nn.Linear(align_dim, 1, bias=False)
        self.cell = Cell(spec, axes, "s", {"x": "dim", "c": "chan"})

        a, each = axes, f"{axes.batch} context_tokens"
        self.tap = Taps(
            Tap("s_0", f"{a.batch} {a.chan}", "h_m, the encoder's last state"),
            Tap("x_j", f"{a.batch} {a.dim}", "token j"),
            Tap("s_row", f"{a.batch} 1 {a.chan}", "s, with an axis for the h_i"),
            Tap("s_rows", f"{each} {a.chan}", "s beside every h_i"),
            Tap("h_s", f"{each} {a.chan}+{a.chan}", "[h_i; s]"),
            Tap("align_linear", f"{each} align_dim", "W [h_i; s]"),
            Tap("align", f"{each} align_dim", "tanh(align_linear)"),
            Tap("score_column", f"{each} 1", "v^T align"),
            Tap("scores", each, "score_column, without its last axis"),
            Tap("probs", each, "alpha = softmax(scores) over the context"),
            Tap("c", f"{a.batch} {a.chan}", "sum_i alpha_i h_i"),
            Tap("all_probs", f"{a.batch} {a.tokens} context_tokens", "alpha of every step"),
            Tap("out", f"{a.batch} {a.tokens} {a.chan}", "S = s_1 ... s_t"),
        )

    def forward(self, x: Tensor, states: Tensor) -> Tensor:
        """Return the states of all tokens, (batch, tokens, chan)."""
        tap = self.tap
        s = tap.s_0(states[:, -1])
        out, alphas = [], []
        for x_j in x.unbind(dim=1):
            probs = self.align(s, states)
            c = tap.c(torch.einsum("bm,bmc->bc", probs, states))
            s = self.cell(s, tap.x_j(x_j), c)
            out.append(s)
            alphas.append(probs)
        tap.all_probs(torch.stack(alphas, dim=1))  # the picture of Bahdanau's figure 3
        return tap.out(torch.stack(out, dim=1))

    def align(self, s: Tensor, states: Tensor) -> Tensor:
        """Return how much s (batch, chan) takes from each state, (batch, context_tokens)."""
        tap = self.tap
        s = tap.s_rows(tap.s_row(s.unsqueeze(1)).expand_as(states))
        hidden = tap.h_s(torch.cat([states, s], dim=-1))
        hidden = tap.align_linear(self.W(hidden))
        hidden = tap.align(hidden.tanh())
        scores = tap.scores(tap.score_column(self.v(hidden)).squeeze(-1))
        return tap.probs(scores.softmax(dim=-1))
