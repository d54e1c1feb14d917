"""Which experts a token goes to, and with what weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from attntrace.blocks.axes import Axes
from attntrace.capture.tap import Tap, Taps
from attntrace.spec import Spec


class Router(nn.Module):
    """A score for each expert, the best experts of each token, and their weights.

    Shapes: x (batch*tokens, chan) -> weights and ids (batch*tokens, experts_per_token).

    softmax: probabilities over all experts, as in Mixtral (Jiang et al., 2024, section 2.1).
    sigmoid: a share for each expert by itself; a correction that balances the load decides the
    choice and not the weights (DeepSeek-V3, 2024, section 2.1.2). With groups, a token chooses its
    experts from its best groups: by the best expert of a group with softmax (DeepSeek-V2, 2024,
    section 2.2.2), by the sum of its two best with sigmoid.
    """

    correction: Tensor

    def __init__(self, spec: Spec, axes: Axes) -> None:
        super().__init__()
        part = spec.feed_forward
        assert part.experts is not None  # the spec's rules ask for both
        assert part.experts_per_token is not None
        self.router, self.normalize, self.factor = part.router, part.normalize, part.router_scale
        self.experts_per_token, self.groups = part.experts_per_token, part.groups
        self.groups_per_token = part.groups_per_token or part.groups
        self.linear = nn.Linear(spec.chan, part.experts, bias=False)
        if part.router == "sigmoid":  # a buffer: training moves it by the load, not by gradients
            self.register_buffer("correction", torch.zeros(part.experts))

        rows = f"{axes.batch}*{axes.tokens}"
        scores, chosen = f"{rows} experts", f"{rows} experts_per_token"
        per_group = "the best expert" if part.router == "softmax" else "the sum of the two best"
        self.tap = Taps(
            Tap("router_scores", scores, "x W_router^T"),
            Tap("router_probs", scores, f"{part.router}(router_scores)"),
            Tap("choice", scores, "router_probs + correction, which choose but do not weigh"),
            Tap("grouped", f"{rows} groups experts//groups", "the experts in their groups"),
            Tap("group_scores", f"{rows} groups", f"{per_group} of each group"),
            Tap("group_ids", f"{rows} groups_per_token", "the best groups of each token"),
            Tap("closed", f"{rows} groups 1", "True for the groups that are not among them"),
            Tap("open_experts", scores, "the experts of closed groups at -inf"),
            Tap("expert_ids", chosen, "the best experts of each token"),
            Tap("expert_probs", chosen, "router_probs of expert_ids"),
            Tap("expert_weights", chosen, self._formula()),
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return expert_weights and expert_ids for x (batch*tokens, chan)."""
        tap = self.tap
        scores = tap.router_scores(self.linear(x))
        softmax = self.router == "softmax"
        probs = tap.router_probs(scores.softmax(dim=-1) if softmax else scores.sigmoid())
        choice = probs if softmax else tap.choice(probs + self.correction)
        if self.groups > 1:
            choice = self.open_groups(choice)
        ids = tap.expert_ids(choice.topk(self.experts_per_token, dim=-1).indices)
        return self.weigh(tap.expert_probs(probs.gather(-1, ids))), ids

    def open_groups(self, choice: Tensor) -> Tensor:
        """Return (batch*tokens, experts) with -inf for all experts outside of the best groups."""
        tap = self.tap
        grouped = tap.grouped(choice.reshape(len(choice), self.groups, -1))
        best = 1 if self.router == "softmax" else min(2, grouped.shape[-1])
        group_scores = tap.group_scores(grouped.topk(best, dim=-1).values.sum(dim=-1))
        group_ids = tap.group_ids(group_scores.topk(self.groups_per_token, dim=-1).indices)
        closed = torch.ones_like(group_scores, dtype=torch.bool).scatter(-1, group_ids, value=False)
        closed = tap.closed(closed.unsqueeze(-1))
        return tap.open_experts(grouped.masked_fill(closed, float("-inf")).flatten(-2))

    def weigh(self, probs: Tensor) -> Tensor:
        """Return the weights of the chosen experts, normalised and scaled as the spec says."""
        weights = probs
        if self.normalize:
            weights = weights / (weights.sum(dim=-1, keepdim=True) + 1e-20)
        if self.factor != 1:
            weights = weights * self.factor
        return self.tap.expert_weights(weights)

    def _formula(self) -> str:
        summed = " / their sum" if self.normalize else ""
        return f"expert_probs{summed}" + (f" * {self.factor:g}" if self.factor != 1 else "")
