"""The part of a block that works on each token by itself."""

from __future__ import annotations

from typing import Literal

from attntrace.spec.component import Component, Count, Positive, Share, Size, setting


class FeedForwardSpec(Component):
    """An MLP, a gated one, a mixture of experts, or convolutions over the map."""

    kind: Literal["none", "mlp", "glu", "moe", "conv"] = setting(
        "mlp",
        "mlp: down(act(up(x))); glu: down(act(gate(x)) * up(x)); moe: such experts; conv: 1x1, depthwise, 1x1 over the map",
        aliases=("ffn",),
    )
    activation: Literal["relu", "relu2", "gelu", "gelu-tanh", "silu", "quick-gelu"] = setting(
        "gelu",
        "the nonlinearity",
        aliases=("hidden_act", "activation_function", "hidden_activation"),
    )
    bias: bool = setting(True, "biases in the projections", aliases=("mlp_bias", "ffn_bias"))
    ratio: Positive | None = setting(
        None,
        "ff_dim as a multiple of chan",
        aliases=("mlp_ratio", "forward_expansion"),
        rule="give ff_dim or ratio, not both",
        shown="4",
    )
    dropout: Share = setting(
        0.0, "dropout of the hidden features; acts in train mode", aliases=("activation_dropout",)
    )
    kernel: Size = setting(3, "side of the depthwise kernel of kind conv", rule="odd")
    experts: Size | None = setting(
        None,
        "number of routed experts",
        aliases=("n_routed_experts", "num_local_experts", "num_experts"),
        rule="moe needs it",
    )
    experts_per_token: Size | None = setting(
        None,
        "experts that a token goes to",
        aliases=("num_experts_per_tok", "top_k", "moe_topk"),
        rule="moe needs it; at most experts",
    )
    expert_dim: Size | None = setting(
        None, "hidden width of one expert", aliases=("moe_intermediate_size",), shown="ff_dim"
    )
    expert: Literal["glu", "mlp"] = setting("glu", "what one expert is")
    expert_impl: Literal["auto", "loop", "grouped"] = setting(
        "auto",
        "one product an expert, or one grouped product for all of them",
        rule="grouped: rows of a multiple of 16 bytes, no float64, on meta bfloat16",
        shown="grouped in bfloat16 where the widths allow it, else loop",
    )
    shared_experts: Count = setting(
        0, "experts that every token goes to", aliases=("n_shared_experts", "num_shared_experts")
    )
    shared_dim: Size | None = setting(
        None,
        "hidden width of the shared experts together",
        aliases=("shared_expert_intermediate_size",),
        shown="shared_experts * expert_dim",
    )
    shared_gate: bool = setting(
        False, "weigh the shared experts' output by a sigmoid of the token, as Qwen2-MoE does"
    )
    groups: Size = setting(
        1, "groups that the experts are in", aliases=("n_group", "expert_groups"), rule="divides experts"
    )  # fmt: skip
    groups_per_token: Size | None = setting(
        None,
        "groups that a token may choose its experts from",
        aliases=("topk_group",),
        rule="they hold at least experts_per_token experts",
        shown="groups",
    )
    router: Literal["softmax", "sigmoid"] = setting(
        "softmax", "how the router scores become weights", aliases=("scoring_func",)
    )
    normalize: bool = setting(
        True, "make the weights of a token's experts sum to 1", aliases=("norm_topk_prob",)
    )
    router_scale: Positive = setting(
        1.0, "what the weights are multiplied by", aliases=("routed_scaling_factor",)
    )
    dense_layers: Count = setting(
        0,
        "layers at the start that have a plain glu of ff_dim instead of experts",
        aliases=("first_k_dense_replace",),
        rule="at most layers",
    )
