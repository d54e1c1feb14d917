"""One small linear map a projection, shared by all heads: the article's multi-head attention."""

from __future__ import annotations

from torch import Tensor, nn

from attntrace.blocks.attention.words import plus, sources_of
from attntrace.blocks.axes import Axes
from attntrace.blocks.heads import HeadLayout
from attntrace.capture.tap import Tap, Taps
from attntrace.spec import Spec


class SharedHead(nn.Module):
    """Cut x into heads first, then W_q, W_k, W_v of head_dim x head_dim for every head alike.

    Shapes: x (batch, tokens, heads*head_dim) -> q, k, v with heads in the layout of the spec. The
    heads of x are not mixed before the output projection.
    """

    def __init__(self, spec: Spec, axes: Axes) -> None:
        super().__init__()
        a, attention = axes, spec.attention
        self.heads, self.layout = spec.heads, HeadLayout(attention.layout)
        self.q_proj = nn.Linear(spec.head_dim, spec.head_dim, bias=attention.q_bias)
        self.k_proj = nn.Linear(spec.head_dim, spec.head_dim, bias=attention.k_bias)
        self.v_proj = nn.Linear(spec.head_dim, spec.head_dim, bias=attention.v_bias)
        keys = a.keys if spec.cross else a.tokens
        taps = []
        biases = {"q": attention.q_bias, "k": attention.k_bias, "v": attention.v_bias}
        for name, tokens in (("q", a.tokens), ("k", keys), ("v", keys)):
            cut = f"{a.batch} {tokens} {a.heads} {a.head_dim}"
            x = getattr(sources_of(spec), name)
            taps.append(Tap(f"{name}_heads", cut, f"{x}, cut into heads"))
            same = f"{plus(biases[name], name)}, the same for every head"
            proj = f"{name}_heads W_{name}^T{same}"
            if attention.layout == "token-first":
                taps.append(Tap(name, cut, proj))
            else:
                final = self.layout.axes(a.batch, a.heads, tokens, a.head_dim)
                taps += [
                    Tap(f"{name}_split", cut, proj),
                    Tap(name, final, f"{name}_split, heads moved"),
                ]
        self.tap = Taps(*taps)

    def forward(
        self, queries: Tensor, keys: Tensor, values: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return q, k and v."""
        return (
            self.one("q", self.q_proj, queries),
            self.one("k", self.k_proj, keys),
            self.one("v", self.v_proj, values),
        )

    def one(self, name: str, projection: nn.Module, x: Tensor) -> Tensor:
        """Return q, k or v of x (batch, tokens, heads*head_dim)."""
        x = self.tap.get(f"{name}_heads")(x.reshape(*x.shape[:2], self.heads, -1))
        return self.layout.lift(self.tap, name, projection(x))
