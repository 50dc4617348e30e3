"""Transforms of images: reading, grids, body masks and intensity scales."""

from transmodal.transforms.body import BodyMask, BodyMaskd
from transmodal.transforms.cleaning import CleanMaskd
from transmodal.transforms.field_of_view import FieldOfViewd, grid_affine
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
from transmodal.transforms.radiograph import RadiographFitd, RadiographScale
from transmodal.transforms.radiograph_loading import RadiographLoadImaged
from transmodal.transforms.radiographs import Radiographd, isocentric_affine, radiograph_of
from transmodal.transforms.restoring import OnScaleOfd, RestoreModalityd, SplitDeviationd

__all__ = [
    "BodyMask",
    "BodyMaskd",
    "CheckedLoadImaged",
    "CleanMaskd",
    "ContrastLoadImaged",
    "EnsureVolumed",
    "FieldOfViewd",
    "HounsfieldWindow",
    "IntensityScale",
    "IntensityWindow",
    "KeepBodyd",
    "NonzeroPercentiles",
    "OnScaleOfd",
    "Radiographd",
    "RadiographFitd",
    "RadiographLoadImaged",
    "RadiographScale",
    "RestoreModalityd",
    "RobustPercentiles",
    "SameGridd",
    "ScaleModalityd",
    "SpacingWithinToleranced",
    "SplitDeviationd",
    "grid_affine",
    "isocentric_affine",
    "radiograph_of",
    "scale_of",
]
