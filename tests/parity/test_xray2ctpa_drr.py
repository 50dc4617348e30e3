"""Siddon radiographs and the published density rule, against numbers of the library that the published code uses.

Lengths and sums are float32 on both sides; the brightest pixel is 90.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from transmodal.projection import ConeBeam, SiddonProjector, TrilinearProjector, published_density

ROUNDING = {"atol": 5e-4, "rtol": 0}
DETECTOR = {"pixels": 48, "pixel_size": 512 / 48}


@pytest.fixture(scope="module")
def golden(shared: Path) -> dict[str, Tensor]:
    with np.load(shared / "goldens" / "xray2ctpa" / "drr_golden.npz") as arrays:
        return {name: torch.from_numpy(array) for name, array in arrays.items()}


def projected(golden: dict[str, Tensor], **pose: object) -> Tensor:
    return SiddonProjector(ConeBeam(**DETECTOR, **pose))(golden["density"][None, None], golden["affine"])


def test_density_of_hounsfield_units(golden: dict[str, Tensor]) -> None:
    found = published_density(golden["hu"][None, None])
    torch.testing.assert_close(found, golden["density"][None, None], atol=0, rtol=0)


def test_source_and_corners_of_the_detector(golden: dict[str, Tensor]) -> None:
    geometry = ConeBeam(**DETECTOR)
    torch.testing.assert_close(geometry.source.float(), golden["source"][0, 0])
    corners = geometry.detector[[0, 0, -1, -1], [0, -1, 0, -1]].float()
    torch.testing.assert_close(corners, golden["target_corners"][0])


def test_front_to_back(golden: dict[str, Tensor]) -> None:
    torch.testing.assert_close(projected(golden), golden["drr_ap"], **ROUNDING)


def test_what_the_library_calls_back_to_front_is_front_to_back_upside_down(golden: dict[str, Tensor]) -> None:
    """With the published translation its source stays before the patient; the detector is turned about its axis."""
    torch.testing.assert_close(projected(golden, rotation=(0, 0, 180)), golden["drr_pa"], **ROUNDING)


def test_rotated_and_moved(golden: dict[str, Tensor]) -> None:
    """0.1, -0.2 and 0.05 rad, and (10, 850, -20) mm of which 850 mm are the distance of the source."""
    degrees = [math.degrees(angle) for angle in (0.1, -0.2, 0.05)]
    found = projected(golden, rotation=degrees, translation=(10, 0, -20))
    torch.testing.assert_close(found, golden["drr_ap_rot"], **ROUNDING)


def test_the_trilinear_projector_comes_near_the_exact_one(golden: dict[str, Tensor]) -> None:
    """On voxels of 20 to 25 mm whose density jumps they cannot agree better than this."""
    smooth = TrilinearProjector(ConeBeam(**DETECTOR))(golden["density"][None, None], golden["affine"])
    both = torch.stack([smooth.flatten(), golden["drr_ap"].flatten()])
    assert float(torch.corrcoef(both)[0, 1]) > 0.97
    assert float(smooth.mean()) == pytest.approx(float(golden["drr_ap"].mean()), rel=0.02)
