"""Parts that several networks are made of."""

from transmodal.networks.blocks.adagn import AdaptiveGroupNorm, GroupNorm
from transmodal.networks.blocks.attention import SelfAttention
from transmodal.networks.blocks.embedding import LatentMapping, TimeEmbedding, sinusoid
from transmodal.networks.blocks.fir import FIRDownsample, FIRUpsample, PyramidDownsample
from transmodal.networks.blocks.ncsn import ResidualBlock
from transmodal.networks.blocks.padding import check_size, cropped_to, reflected_to_multiple
from transmodal.networks.blocks.straight_through import straight_through

__all__ = [
    "AdaptiveGroupNorm",
    "FIRDownsample",
    "FIRUpsample",
    "GroupNorm",
    "LatentMapping",
    "PyramidDownsample",
    "ResidualBlock",
    "SelfAttention",
    "TimeEmbedding",
    "check_size",
    "cropped_to",
    "reflected_to_multiple",
    "sinusoid",
    "straight_through",
]
