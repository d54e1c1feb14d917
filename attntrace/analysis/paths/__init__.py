"""Which of PyTorch's attention kernels runs, and why a faster one does not: rules, not runs."""

from __future__ import annotations

from attntrace.analysis.paths.call import BACKENDS as BACKENDS
from attntrace.analysis.paths.call import Backend as Backend
from attntrace.analysis.paths.call import Choice as Choice
from attntrace.analysis.paths.call import Hardware as Hardware
from attntrace.analysis.paths.call import Operand as Operand
from attntrace.analysis.paths.call import SdpaCall as SdpaCall
from attntrace.analysis.paths.modules import EncoderLayerFacts as EncoderLayerFacts
from attntrace.analysis.paths.modules import MultiheadFacts as MultiheadFacts
from attntrace.analysis.paths.modules import encoder_layer_refusals as encoder_layer_refusals
from attntrace.analysis.paths.modules import multihead_refusals as multihead_refusals
from attntrace.analysis.paths.sdpa import sdpa_path as sdpa_path
