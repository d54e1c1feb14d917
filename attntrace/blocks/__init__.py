"""BUILD: plain PyTorch modules, one idea a file, every intermediate marked by a tap."""

from attntrace.blocks.build import build as build
from attntrace.blocks.inputs import make_inputs as make_inputs
from attntrace.blocks.optimizers import optimizer as optimizer
