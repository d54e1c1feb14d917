"""From a spec to a module. The only door into this room."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from attntrace.blocks.attention_block import attention_block
from attntrace.blocks.checkpoint import checkpointed
from attntrace.blocks.inputs import dtype_of, first_line
from attntrace.blocks.recurrent import RnnSeq2Seq
from attntrace.blocks.stack.encoder_decoder import EncoderDecoder
from attntrace.blocks.stack.stack import StackBlock
from attntrace.blocks.vision import C2PSA, PatchEmbedBlock, T2TBlock
from attntrace.errors import BuildError
from attntrace.spec import Spec
from attntrace.spec.symbols import STACKS

BLOCKS: dict[str, Callable[[Spec], nn.Module]] = {
    "attention": attention_block,
    "encoder": StackBlock,
    "decoder": StackBlock,
    "encoder-decoder": EncoderDecoder,
    "patch-embed": PatchEmbedBlock,
    "t2t": T2TBlock,
    "psa": C2PSA,
    "rnn-seq2seq": RnnSeq2Seq,
}


def build(spec: Spec) -> nn.Module:
    """Return the block with seeded weights, on its device, in its dtype and mode.

    The global random state is as before. Raises BuildError with torch's error as its cause.
    """
    device = torch.device(spec.run.device)
    before, usual = torch.get_rng_state(), torch.get_default_dtype()
    try:
        torch.default_generator.manual_seed(spec.run.seed)
        torch.set_default_dtype(dtype_of(spec))  # a float32 copy of a large model may not fit
        with torch.device("meta" if device.type == "meta" else "cpu"):
            block = BLOCKS[spec.block](spec)
        if spec.run.checkpoint and spec.block not in STACKS:  # whose layers are, one by one
            block = checkpointed(block)
        block = block.to(device=device, dtype=dtype_of(spec))
    except (RuntimeError, TypeError, MemoryError) as error:
        raise BuildError(f"the block could not be built: {first_line(error)}") from error
    finally:
        torch.set_default_dtype(usual)
        torch.set_rng_state(before)
    return block.train(spec.run.mode == "train")
