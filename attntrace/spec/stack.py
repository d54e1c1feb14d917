"""What stands around the layers of a stack: embeddings, heads, residuals."""

from __future__ import annotations

from typing import Literal

from attntrace.spec.component import Component, Count, Positive, Share, Size, setting


class StackSpec(Component):
    """Embeddings in front of the layers, a head behind them, and how many there are of each."""

    vocab: Size | None = setting(
        None,
        "rows of the embedding table; the input is then token ids",
        aliases=("vocab_size", "n_vocab"),
        shown="no table: the input is x (batch, tokens, dim)",
    )
    embedding_dim: Size | None = setting(
        None,
        "width of the table and of what is added to it; a projection to chan follows where project is true",
        aliases=("embedding_size", "emb_n", "word_embed_proj_dim"),
        rule="chan, unless project",
        shown="chan",
    )
    project: bool = setting(
        False,
        "project embedding_dim to chan, after places, segments and norm, as ALBERT and ELECTRA do",
    )
    embedding_scale: bool = setting(
        False, "multiply embeddings by chan^0.5", aliases=("scale_embedding",)
    )
    embedding_norm: bool = setting(False, "a norm on the embeddings, as in BERT and BLOOM")
    token_types: Count = setting(
        0, "rows of a table of segments, as in BERT", aliases=("type_vocab_size",)
    )
    head: Literal["none", "vocab", "classes"] = setting(
        "none", "what the output is projected to", rule="vocab needs vocab; classes needs classes"
    )
    tied: bool = setting(
        False,
        "the vocab head is the embedding table itself",
        aliases=("tie_word_embeddings",),
        rule="head vocab, embedding_dim = chan",
    )
    head_scale: bool = setting(
        False, "multiply what the head is given by chan^-0.5, as T5 does", rule="needs a head"
    )
    head_softcap: Positive | None = setting(
        None, "cap * tanh(logits / cap)", aliases=("final_logit_softcapping",), rule="needs a head"
    )
    head_bias: bool = setting(False, "a bias in the head")
    classes: Size | None = setting(
        None, "outputs of a class head", aliases=("num_classes", "num_labels")
    )
    pooler: bool = setting(False, "tanh(W x_0 + b) of the first token, as in BERT")
    dropout: Share = setting(
        0.0,
        "dropout of embeddings and of each part's output; acts in train mode",
        aliases=("hidden_dropout_prob", "resid_pdrop", "hidden_dropout", "dropout_rate"),
    )
    dropout_place: Literal["sublayer", "after-norm"] = setting(
        "sublayer",
        "on the part before it is added, or on the sum after its norm",
        aliases=("dropout_position",),
        rule="after-norm: norm.place post",
    )
    shared_layers: bool = setting(
        False, "all layers are one layer, called again and again, as in ALBERT"
    )
    encoder_layers: Size | None = setting(
        None, "layers of the encoder", aliases=("num_encoder_layers", "enc_layers"), shown="layers"
    )
    decoder_layers: Size | None = setting(
        None, "layers of the decoder", aliases=("num_decoder_layers", "dec_layers"), shown="layers"
    )
    cross: bool = setting(
        False,
        "a decoder that also attends to a context; an encoder-decoder always does",
        aliases=("add_cross_attention",),
        rule="needs context_tokens",
    )
    queries: bool = setting(
        False,
        "the decoder starts from zeros, and its tokens are learned queries that come in as positions, as in DETR",
        aliases=("object_queries",),
        rule="of block encoder-decoder",
    )
    all_layers: bool = setting(
        False, "the decoder returns what every layer made, normed, as DETR does", aliases=("return_intermediate",)
    )  # fmt: skip
