"""Sequence to sequence with recurrent networks, with and without looking back."""

from attntrace.blocks.recurrent.seq2seq import RnnSeq2Seq as RnnSeq2Seq
