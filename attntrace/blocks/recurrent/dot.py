"""The recurrent decoder that looks back with queries, keys and values."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from attntrace.blocks.axes import Axes
from attntrace.blocks.recurrent.cell import Cell
from attntrace.capture.tap import Tap, Taps
from attntrace.spec import Spec


class DotDecoder(nn.Module):
    """s_j = tanh(A' [s_{j-1}; x'_j; c_{j-1}] + b'), then c_j is what s_j looks back to; c_0 = 0.

    k_i = W_K h_i and v_i = W_V h_i once for all steps, q_j = W_Q s_j in each;
    alpha_j = softmax(K^T q_j), without a scale, and c_j = sum_i alpha_ij v_i. The last c goes with
    the last s into what predicts the next token, and into no further state.

    Shapes: x (batch, tokens, dim), states (batch, context_tokens, chan) -> (batch, tokens, chan).
    q and k are align_dim wide where it is given, else chan.

    Source: Luong et al., "Effective Approaches to Attention-based Neural Machine Translation"
    (2015), section 3.1, for dot products with states; S. Wang's lectures "Transformer Model" for
    the three matrices, which are those of Vaswani et al. (2017) with a recurrent decoder.
    """

    def __init__(self, spec: Spec, axes: Axes) -> None:
        super().__init__()
        self.chan = spec.chan
        width = spec.attention.align_dim or spec.chan
        self.W_Q = nn.Linear(spec.chan, width, bias=False)
        self.W_K = nn.Linear(spec.chan, width, bias=False)
        self.W_V = nn.Linear(spec.chan, spec.chan, bias=False)
        self.cell = Cell(spec, axes, "s", {"x": "dim", "c": "chan"})

        a, each = axes, f"{axes.batch} context_tokens"
        align = "align_dim" if spec.attention.align_dim else a.chan
        self.tap = Taps(
            Tap("k", f"{each} {align}", "W_K h_i"),
            Tap("v", f"{each} {a.chan}", "W_V h_i"),
            Tap("s_0", f"{a.batch} {a.chan}", "h_m, the encoder's last state"),
            Tap("c_0", f"{a.batch} {a.chan}", "zeros"),
            Tap("x_j", f"{a.batch} {a.dim}", "token j"),
            Tap("q", f"{a.batch} {align}", "W_Q s"),
            Tap("scores", each, "K^T q"),
            Tap("probs", each, "alpha = softmax(scores) over the context"),
            Tap("c", f"{a.batch} {a.chan}", "sum_i alpha_i v_i"),
            Tap("all_probs", f"{a.batch} {a.tokens} context_tokens", "alpha of every step"),
            Tap("out", f"{a.batch} {a.tokens} {a.chan}", "S = s_1 ... s_t"),
        )

    def forward(self, x: Tensor, states: Tensor) -> Tensor:
        """Return the states of all tokens, (batch, tokens, chan)."""
        tap = self.tap
        k, v = tap.k(self.W_K(states)), tap.v(self.W_V(states))
        s = tap.s_0(states[:, -1])
        c = tap.c_0(torch.zeros_like(s))
        out, alphas = [], []
        for x_j in x.unbind(dim=1):
            s = self.cell(s, tap.x_j(x_j), c)
            probs = self.align(s, k)
            c = tap.c(torch.einsum("bm,bmc->bc", probs, v))
            out.append(s)
            alphas.append(probs)
        tap.all_probs(torch.stack(alphas, dim=1))
        return tap.out(torch.stack(out, dim=1))

    def align(self, s: Tensor, k: Tensor) -> Tensor:
        """Return how much s (batch, chan) takes from each value, (batch, context_tokens)."""
        tap = self.tap
        q = tap.q(self.W_Q(s))
        scores = tap.scores(torch.einsum("bmd,bd->bm", k, q))
        return tap.probs(scores.softmax(dim=-1))
