"""`--show-config`: a document that builds the same block, with the origin of each value."""

from __future__ import annotations

from attntrace.spec import load, show

DEFAULTS = """\
block: attention      # default
batch: 13             # default
tokens: 100           # default
chan: 64              # default
heads: 1              # default
dim: 49               # default
head_dim: 64          # default: chan / heads
attention:
  impl: eager         # default
  qkv_bias: false     # default
  out_bias: true      # default
  qk_scale: head      # default
  skip: auto          # default: value, because dim 49 != chan 64
  need_weights: none  # default
run:
  device: cpu         # default
  dtype: float32      # default
  seed: 0             # default
  mode: eval          # default
  grad: false         # default
"""
FILE = """\
batch: 7
attention:
  impl: torch
  qkv_bias: true
"""
MIXED = """\
block: attention      # default
batch: 7              # file: block.yaml:1:1
tokens: 90            # tokens=90
chan: 60              # --chan 60
heads: 5              # --set heads=5
dim: 60               # default: chan, which nn.MultiheadAttention keeps
head_dim: 12          # default: chan / heads
attention:
  impl: torch         # file: block.yaml:3:3
  qkv_bias: true      # file: block.yaml:4:3
  out_bias: true      # default: qkv_bias, nn.MultiheadAttention has one switch
  qk_scale: head      # default
  skip: auto          # default: input, because dim 60 == chan 60
  need_weights: none  # default
run:
  device: cpu         # default
  dtype: float32      # default
  seed: 0             # default
  mode: train         # --mode train
  grad: true          # run.grad=True
"""


def test_the_defaults():
    """Without any setting every line says default, and why where there is a reason."""
    assert show(load()) == DEFAULTS


def test_each_origin_is_named(write_yaml):
    """A value says the file and line, the flag, the `--set` or the keyword that it came from."""
    loaded = load(
        write_yaml(FILE),
        sets=["heads=5"],
        flags={"chan": "60", "run.mode": "train"},
        tokens=90,
        run={"grad": True},
    )
    assert show(loaded) == MIXED


def test_what_is_shown_builds_the_same_block(write_yaml):
    """The document, read back as a file, is the same spec."""
    loaded = load(heads=4, attention={"qk_scale": 0.0, "skip": "none"}, run={"seed": 7})
    assert load(write_yaml(show(loaded))).spec == loaded.spec


def test_a_set_with_a_line_break_does_not_break_the_document(write_yaml):
    """The words of a `--set` stay on their line, also where they had two."""
    loaded = load(sets=["heads=\n 4"])
    assert load(write_yaml(show(loaded))).spec == loaded.spec
