"""The published preprocessing of MU-Diff, against numbers that the published code made from one volume."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Compose
from mudiff_bundle.legacy import MiddleSlicesd

from transmodal.transforms import NonzeroPercentiles, ScaleModalityd

INTENSITY = {"mr": NonzeroPercentiles()}
ROUNDING = {"atol": 2e-6, "rtol": 0}
"""The volume is stored in float32, and [-1, 1] doubles what was measured on [0, 1]."""


@pytest.fixture(scope="module")
def golden(shared: Path) -> dict[str, np.ndarray]:
    with np.load(shared / "goldens" / "mudiff" / "preprocess_golden.npz") as arrays:
        return dict(arrays)


def preprocessed(golden: dict[str, np.ndarray], **grid: object) -> torch.Tensor:
    """The golden's volume on the published grid, (H, W, slices), brought from [-1, 1] to the published [0, 1]."""
    transform = Compose([ScaleModalityd("image", "mr", INTENSITY), MiddleSlicesd("image", **grid)])
    image = transform({"image": MetaTensor(torch.from_numpy(golden["vol"])[None])})["image"]
    return (image.as_tensor()[0] + 1) / 2


def test_percentiles_over_nonzero_voxels(golden: dict[str, np.ndarray]) -> None:
    scaled = NonzeroPercentiles().scale(torch.from_numpy(golden["vol"])[None])[0, ..., 45]
    torch.testing.assert_close((scaled + 1) / 2, torch.from_numpy(golden["norm_slice45"]), **ROUNDING)


def test_the_middle_slices_at_the_published_size(golden: dict[str, np.ndarray], shared: Path) -> None:
    """Each fourth pixel of three slices, and all of the first, its edge included."""
    told = json.loads((shared / "goldens" / "mudiff" / "preprocess_golden.json").read_text())
    image = preprocessed(golden)
    assert [image.shape[2], *image.shape[:2]] == told["full_shape"]
    sampled = image[::4, ::4, [0, 39, 79]].permute(2, 0, 1)
    torch.testing.assert_close(sampled, torch.from_numpy(golden["slices_0_39_79"]), **ROUNDING)
    torch.testing.assert_close(image[..., 0], torch.from_numpy(golden["slice0_full"]), **ROUNDING)


def test_shrunk_slices_are_smoothed_as_published(golden: dict[str, np.ndarray]) -> None:
    image = preprocessed(golden, slices=5, size=(32, 32))
    torch.testing.assert_close(image.permute(2, 0, 1), torch.from_numpy(golden["down32"]), **ROUNDING)


def test_what_published_networks_were_trained_on(golden: dict[str, np.ndarray]) -> None:
    """The published loader swaps the axes of a slice and maps [0, 1] to [-1, 1]."""
    image = preprocessed(golden)[..., 0].T * 2 - 1
    torch.testing.assert_close(image, torch.from_numpy(golden["loaded_slice0"][0]), atol=4e-6, rtol=0)
