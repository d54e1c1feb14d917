"""Vision: where tokens come from, and attention on a map of channels."""

from attntrace.blocks.vision.patches import PatchEmbed as PatchEmbed
from attntrace.blocks.vision.patches import PatchEmbedBlock as PatchEmbedBlock
from attntrace.blocks.vision.psa import C2PSA as C2PSA
from attntrace.blocks.vision.t2t import T2TBlock as T2TBlock
from attntrace.blocks.vision.t2t import TokensToToken as TokensToToken
