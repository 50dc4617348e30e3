"""Transforms of images: reading, grids, body masks and intensity scales."""

from transmodal.transforms.body import BodyMask, BodyMaskd
from transmodal.transforms.cleaning import CleanMaskd
from transmodal.transforms.geometry import EnsureVolumed, SameGridd, SpacingWithinToleranced
from transmodal.transforms.intensity import (
    HounsfieldWindow,
    IntensityScale,
    IntensityWindow,
    NonzeroPercentiles,
    RobustPercentiles,
    ScaleModalityd,
    scale_of,
)
from transmodal.transforms.keep_body import KeepBodyd
from transmodal.transforms.loading import CheckedLoadImaged, ContrastLoadImaged
from transmodal.transforms.restoring import OnScaleOfd, RestoreModalityd, SplitDeviationd

__all__ = [
    "BodyMask",
    "BodyMaskd",
    "CheckedLoadImaged",
    "CleanMaskd",
    "ContrastLoadImaged",
    "EnsureVolumed",
    "HounsfieldWindow",
    "IntensityScale",
    "IntensityWindow",
    "KeepBodyd",
    "NonzeroPercentiles",
    "OnScaleOfd",
    "RestoreModalityd",
    "RobustPercentiles",
    "SameGridd",
    "ScaleModalityd",
    "SpacingWithinToleranced",
    "SplitDeviationd",
    "scale_of",
]
