"""`--show-config`: a document that builds the same block, with the origin of each value."""

from __future__ import annotations

import pytest

from attntrace.spec import load, show

DEFAULTS = """\
block: attention       # default
batch: 13              # default
tokens: 100            # default: 100, or what the image or the map makes
chan: 64               # default
heads: 1               # default
kv_heads: 1            # default: heads; 1 with kind mqa
dim: 49                # default: 49; chan with impl torch and in stacks; channels*side^2 of an image's patches
head_dim: 64           # default: chan / heads
value_head_dim: 64     # default: head_dim
attention:
  kind: auto           # default: mha
  source: self         # default
  impl: eager          # default
  qkv: auto            # default: fused
  qkv_layout: 3hd      # default
  qkv_bias: false      # default
  q_bias: false        # default: qkv_bias
  k_bias: false        # default: qkv_bias
  v_bias: false        # default: qkv_bias
  out_proj: true       # default
  out_bias: true       # default: true; with impl torch qkv_bias
  qk_scale: head       # default
  scale_at: q          # default
  qk_norm: none        # default
  dropout: 0.0         # default
  skip: auto           # default: value, because dim 49 != chan 64
  layout: heads-first  # default
positions:
  kind: none           # default
mask:
  kind: auto           # default: none
run:
  device: cpu          # default
  dtype: float32       # default
  seed: 0              # default
  mode: eval           # default
  grad: false          # default
  optimizer: none      # default
  checkpoint: false    # default
  allow: []            # default
"""
FILE = """\
batch: 7
attention:
  impl: torch
  attention_bias: true
"""
MIXED = """\
block: attention      # default
batch: 7              # file: block.yaml:1:1
tokens: 90            # seq_len=90
chan: 60              # --chan 60
heads: 5              # --set nhead=5
kv_heads: 5           # default: heads; 1 with kind mqa
dim: 60               # default: 49; chan with impl torch and in stacks; channels*side^2 of an image's patches
head_dim: 12          # default: chan / heads
value_head_dim: 12    # default: head_dim
attention:
  kind: auto          # default: mha
  source: self        # default
  impl: torch         # file: block.yaml:3:3
  qkv: auto           # default: fused
  qkv_bias: true      # file: block.yaml:4:3 attention_bias
  out_proj: true      # default
  out_bias: true      # file: block.yaml:4:3 attention_bias
  qk_scale: head      # default
  qk_norm: none       # default
  dropout: 0.0        # default
  need_weights: none  # default
  skip: auto          # default: input, because dim 60 == chan 60
positions:
  kind: none          # default
mask:
  kind: [causal]      # mask.kind='causal'
run:
  device: cpu         # default
  dtype: float32      # default
  seed: 0             # default
  mode: train         # --mode train
  grad: true          # run.grad=True
  optimizer: none     # default
  checkpoint: false   # default
  allow: []           # default
"""


def test_the_defaults():
    """Without any setting every line says default, and why where there is a reason."""
    assert show(load()) == DEFAULTS


def test_each_origin_is_named(write_yaml):
    """A value says the file and line, the flag, the `--set` or the keyword that it came from."""
    loaded = load(
        write_yaml(FILE),
        sets=["nhead=5"],
        flags={"chan": "60", "run.mode": "train"},
        seq_len=90,
        mask={"kind": "causal"},
        run={"grad": True},
    )
    assert show(loaded) == MIXED


@pytest.mark.parametrize("asked", ["max", "window", "layers", "vocab", "experts", "patch", "past"])
def test_what_means_nothing_to_the_block_is_left_out(asked):
    """A layer by itself shows no setting of stacks, images, caches or other kinds."""
    assert f"{asked}:" not in show(load())


def test_what_is_not_set_is_left_out():
    """A setting that may be nothing, and is, has no line."""
    assert "softcap" not in show(load())
    assert "  softcap: 50.0" in show(load(attention={"softcap": 50}))


def test_what_is_shown_builds_the_same_block(write_yaml):
    """The document, read back as a file, is the same spec."""
    loaded = load(heads=4, attention={"qk_scale": 0.0, "skip": "none"}, run={"seed": 7})
    assert load(write_yaml(show(loaded))).spec == loaded.spec


def test_a_set_with_a_line_break_does_not_break_the_document(write_yaml):
    """The words of a `--set` stay on their line, also where they had two."""
    loaded = load(sets=["heads=\n 4"])
    assert load(write_yaml(show(loaded))).spec == loaded.spec
