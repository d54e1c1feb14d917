"""Block rnn-seq2seq: a recurrent encoder, and a decoder that starts from its last state.

batch            pairs of sequences
context_tokens   length m of the source X; context_dim the features of its tokens
tokens           length t of the target X'; dim the features of its tokens
chan             features of a state, the encoder's h and the decoder's s
align_dim        width of v^T tanh(W [h; s])
"""

from __future__ import annotations

from torch import Tensor, nn

from attntrace.blocks.axes import Axes
from attntrace.blocks.recurrent.additive import AdditiveDecoder
from attntrace.blocks.recurrent.dot import DotDecoder
from attntrace.blocks.recurrent.encoder import RnnEncoder
from attntrace.blocks.recurrent.plain import PlainDecoder
from attntrace.capture.tap import Tap, Taps
from attntrace.spec import Spec

DECODERS: dict[str, type[nn.Module]] = {
    "none": PlainDecoder,
    "additive": AdditiveDecoder,
    "dot": DotDecoder,
}
"""recurrent.alignment -> how the decoder looks back."""


class RnnSeq2Seq(nn.Module):
    """The decoder's states for X', from the encoder's states for X.

    Shapes: x (batch, tokens, dim), context (batch, context_tokens, context_dim) -> out (batch,
    tokens, chan). Nothing here is causal by a mask: a state knows only what came before it.
    """

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        a = Axes.of(spec)
        self.encoder = RnnEncoder(spec, a)
        self.decoder = DECODERS[spec.recurrent.alignment](spec, a)
        self.tap = Taps(
            Tap("x", f"{a.batch} {a.tokens} {a.dim}", "X', the target"),
            Tap("x_context", f"{a.batch} context_tokens {a.context_dim}", "X, the source"),
        )

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """Return the decoder's states, (batch, tokens, chan)."""
        x, context = self.tap.x(x), self.tap.x_context(context)
        states: Tensor = self.decoder(x, self.encoder(context))
        return states
