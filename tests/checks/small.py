"""Configs and code that are quick to check, well or badly made."""

from __future__ import annotations

BLOCK = "heads: 2\ntokens: 7\n"
"""A block of attntrace's own: 18 rows."""
DEEP = "block: encoder\nheads: 2\nlayers: 3\ndim: 16\nchan: 16\ntokens: 7\n"
OWN = "target: block.py:Block\ninit: {width: 3}\ninputs: {x: [2, 3]}\n"
"""Code of the user's own: `block.py` beside it."""
LINEAR = """\
import torch
from torch import nn
{}

class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.one = nn.Linear(width, width)

    def forward(self, x):
        {}
        return self.one(x)
"""


def code(at_import: str = "", in_forward: str = "") -> str:
    """Return a module with one linear layer; the two lines are run where they stand."""
    return LINEAR.format(at_import, in_forward)
