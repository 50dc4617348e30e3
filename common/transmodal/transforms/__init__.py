"""Transforms of images: reading, grids, body masks and intensity scales."""

from transmodal.transforms.body import BodyMask, BodyMaskd
from transmodal.transforms.geometry import EnsureVolumed, SameGridd, SpacingWithinToleranced
from transmodal.transforms.intensity import (
    HounsfieldWindow,
    IntensityScale,
    IntensityWindow,
    RestoreModalityd,
    RobustPercentiles,
    ScaleModalityd,
    SplitDeviationd,
    scale_of,
)
from transmodal.transforms.loading import CheckedLoadImaged

__all__ = [
    "BodyMask",
    "BodyMaskd",
    "CheckedLoadImaged",
    "EnsureVolumed",
    "HounsfieldWindow",
    "IntensityScale",
    "IntensityWindow",
    "RestoreModalityd",
    "RobustPercentiles",
    "SameGridd",
    "ScaleModalityd",
    "SpacingWithinToleranced",
    "SplitDeviationd",
    "scale_of",
]
