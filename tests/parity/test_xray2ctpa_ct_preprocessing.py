"""The published preprocessing of CTs, against arrays that the published code made."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from torch import Tensor
from xray2ctpa_bundle.published_ct import PublishedGridd

from transmodal.transforms import HounsfieldWindow, ScaleModalityd


@pytest.fixture(scope="module")
def golden(shared: Path) -> dict[str, Tensor]:
    with np.load(shared / "goldens" / "xray2ctpa" / "preprocess_golden.npz") as arrays:
        return {name: torch.from_numpy(array) for name, array in arrays.items()}


def spl(volume: Tensor, spacing: tuple[float, float, float]) -> MetaTensor:
    """An array of axial slices from the feet to the head, as the published arrays are."""
    affine = torch.zeros(4, 4, dtype=torch.float64)
    affine[2, 0], affine[1, 1], affine[0, 2], affine[3, 3] = spacing[0], -spacing[1], -spacing[2], 1
    return MetaTensor(volume[None].float(), affine=affine)


def scaled(image: MetaTensor, low: float, high: float) -> Tensor:
    window = {"ct": HounsfieldWindow(low, high)}
    return ScaleModalityd("ct", "ct", window)({"ct": image})["ct"].as_tensor()[0]


def test_angiograms(golden: dict[str, Tensor]) -> None:
    found = PublishedGridd("ct", size=(16, 32, 32))({"ct": spl(golden["vol"], (2.5, 1.4, 1.4))})["ct"]
    torch.testing.assert_close(found.as_tensor()[0], golden["resized"], atol=0, rtol=0)
    torch.testing.assert_close(scaled(found, -200, 500), golden["normalized"], atol=1e-6, rtol=0)


def test_lidc(golden: dict[str, Tensor]) -> None:
    """Its reference takes 2.5 mm, the distance of slices, for the spacing of pixels too; so has the image here."""
    lidc = PublishedGridd("ct", size=(24, 24, 12), spacing=(0.703125, 0.703125, 1.25), order=1, axcodes="PLS")
    found = lidc({"ct": spl(golden["vol"], (2.5, 2.5, 2.5))})["ct"]
    torch.testing.assert_close(found.as_tensor()[0], golden["lidc_resized"], atol=0, rtol=0)
    torch.testing.assert_close(scaled(found, -1200, 600), golden["lidc_norm"], atol=1e-6, rtol=0)
