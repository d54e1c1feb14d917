"""The path around a part of a layer: where the norms stand, and what is added."""

from __future__ import annotations

from torch import Tensor, nn

from attntrace.blocks.axes import Axes
from attntrace.blocks.norm import norm
from attntrace.capture.tap import Tap, Taps
from attntrace.spec import Spec


class Residual(nn.Module):
    """Norm and addition around a part f.

    pre       x + f(norm(x))
    post      norm(x + f(x))
    sandwich  x + norm(f(norm(x)))
    output    x + norm(f(x))

    Dropout acts on f, or, after-norm, on what the last norm returns. Where f adds values of its
    own (T2T's token transformer), x is not added.

    Shapes: x (batch, tokens, dim) -> (batch, tokens, chan).

    Source: Vaswani et al. (2017), section 3.1, for post; Xiong et al., "On Layer Normalization in
    the Transformer Architecture" (2020), for pre; Gemma 2 (2024) for sandwich; OLMo 2 (2025) for
    output.
    """

    def __init__(self, spec: Spec, axes: Axes, *, adds: bool = True) -> None:
        super().__init__()
        place, a = spec.norm.place, axes
        self.adds, self.place = adds, place
        width, name = (spec.chan, a.chan) if adds else (spec.dim, a.dim)
        before, after = place in ("pre", "sandwich"), place in ("post", "sandwich", "output")
        plain = spec.norm.kind == "none"
        self.norm = norm(spec, width) if before and not plain else None
        self.norm_after = norm(spec, spec.chan) if after and not plain else None
        p, late = spec.stack.dropout, spec.stack.dropout_place == "after-norm"
        self.dropout = nn.Dropout(p) if p and not late else None
        self.dropout_after = nn.Dropout(p) if p and late else None
        kind, chan = spec.norm.kind, f"{a.batch} {a.tokens} {a.chan}"
        self.tap = Taps(
            Tap("normed", f"{a.batch} {a.tokens} {name}", f"{kind}(x)"),
            Tap("dropped", chan, "the part's output, some of it 0"),
            Tap("part_normed", chan, f"{kind} of the part's output"),
            Tap("residual", chan, "x + the part's output"),
            Tap("residual_normed", chan, f"{kind}(residual)"),
            Tap("residual_dropped", chan, "residual_normed, some of it 0"),
        )

    def before(self, x: Tensor) -> Tensor:
        """Return what the part is given."""
        return x if self.norm is None else self.tap.normed(self.norm(x))

    def after(self, x: Tensor, part: Tensor) -> Tensor:
        """Return what the next part is given."""
        tap = self.tap
        if self.dropout is not None:
            part = tap.dropped(self.dropout(part))
        if self.norm_after is not None and self.place != "post":
            part = tap.part_normed(self.norm_after(part))
        x = tap.residual(x + part) if self.adds else part
        if self.norm_after is not None and self.place == "post":
            x = tap.residual_normed(self.norm_after(x))
        return x if self.dropout_after is None else tap.residual_dropped(self.dropout_after(x))
