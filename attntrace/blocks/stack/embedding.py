"""From token ids to tokens."""

from __future__ import annotations

from torch import Tensor, nn

from attntrace.blocks.axes import Axes
from attntrace.blocks.norm import norm
from attntrace.blocks.positions.absolute import Positions
from attntrace.capture.tap import Tap, Taps
from attntrace.spec import Spec


class Embedding(nn.Module):
    """A row of the table for each id, and what models add to it: scale, segments, places, a norm.

    All of it at the width of the table; a projection to chan comes last (ALBERT).

    Shapes: ids (batch, tokens) int64, token_types likewise or None -> (batch, tokens, chan).

    Source: Vaswani et al. (2017), section 3.4, for the scale; Devlin et al., "BERT" (2019), figure
    2, for segments.
    """

    def __init__(self, spec: Spec, axes: Axes, table: nn.Embedding | None = None) -> None:
        super().__init__()
        stack, a = spec.stack, axes
        width = stack.embedding_dim or spec.chan
        assert stack.vocab is not None, "ids have a table"
        self.table = nn.Embedding(stack.vocab, width) if table is None else table
        self.scale = spec.chan**0.5 if stack.embedding_scale else None
        self.project = nn.Linear(width, spec.chan) if stack.project else None
        self.types = nn.Embedding(stack.token_types, width) if stack.token_types else None
        self.positions = Positions(spec, a) if spec.positions_on == "input" else None
        self.norm = norm(spec, width) if stack.embedding_norm else None
        self.dropout = nn.Dropout(stack.dropout) if stack.dropout else None
        tokens = f"{a.batch} {a.tokens} {a.chan if width == spec.chan else 'embedding_dim'}"
        self.tap = Taps(
            Tap("ids", f"{a.batch} {a.tokens}", "numbers of words"),
            Tap("embedded", tokens, "table[ids]"),
            Tap("embedded_scaled", tokens, "embedded * chan^0.5"),
            Tap("token_types", f"{a.batch} {a.tokens}", "which segment a token is in"),
            Tap("types", tokens, "types_table[token_types]"),
            Tap("x_typed", tokens, "x + types"),
            Tap("x_placed", tokens, "x + positions"),
            Tap("x_normed", tokens, f"{spec.norm.kind}(x)"),
            Tap("x_dropped", tokens, "x, some of it 0"),
            Tap(
                "x_projected",
                f"{a.batch} {a.tokens} {a.chan}",
                "x W_in^T + b_in, as wide as the layers",
            ),
        )

    def forward(self, ids: Tensor, token_types: Tensor | None = None) -> Tensor:
        """Return (batch, tokens, chan)."""
        tap = self.tap
        x = tap.embedded(self.table(tap.ids(ids)))
        if self.scale is not None:
            x = tap.embedded_scaled(x * self.scale)
        if self.types is not None and token_types is not None:
            x = tap.x_typed(x + tap.types(self.types(tap.token_types(token_types))))
        if self.positions is not None:
            x = tap.x_placed(x + self.positions(x))
        if self.norm is not None:
            x = tap.x_normed(self.norm(x))
        if self.dropout is not None:
            x = tap.x_dropped(self.dropout(x))
        return x if self.project is None else tap.x_projected(self.project(x))
