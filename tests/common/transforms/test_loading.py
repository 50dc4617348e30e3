"""Reading with checks, and where a picture lies."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from PIL import Image

from transmodal import InputError
from transmodal.transforms import CheckedLoadImaged


def load(path: Path, **more: str) -> MetaTensor:
    return CheckedLoadImaged("image", "mr")({"image": str(path), **more})["image"]


@pytest.fixture
def values() -> np.ndarray:
    return np.random.default_rng(0).integers(1, 255, (12, 10)).astype(np.uint8)


def test_a_picture_lies_as_radiologists_see_it(tmp_path: Path, values: np.ndarray) -> None:
    """Columns run to the patient's left and rows to the back, like the same slice as a volume in LPS."""
    Image.fromarray(values.T).save(tmp_path / "mr.png")
    nibabel.save(nibabel.Nifti1Image(values[..., None], np.diag([-1.0, -1.0, 1.0, 1.0])), tmp_path / "mr.nii")
    picture, volume = load(tmp_path / "mr.png"), load(tmp_path / "mr.nii")
    torch.testing.assert_close(picture.as_tensor().float(), volume.as_tensor()[..., 0].float())
    torch.testing.assert_close(picture.affine, volume.affine)


def test_the_case_stays_with_the_image(tmp_path: Path, values: np.ndarray) -> None:
    Image.fromarray(values).save(tmp_path / "slice_7.png")
    assert load(tmp_path / "slice_7.png").meta["case"] == "slice_7"
    assert load(tmp_path / "slice_7.png", case="patient").meta["case"] == "patient"


def test_a_sample_may_name_its_own_modality(tmp_path: Path, values: np.ndarray) -> None:
    Image.fromarray(values).save(tmp_path / "x.png")
    with pytest.raises(InputError, match="Hounsfield"):
        CheckedLoadImaged("image", "mr")({"image": str(tmp_path / "x.png"), "modality": "ct"})


def test_metadata_that_a_consumer_asks_for_are_no_concern(tmp_path: Path, values: np.ndarray) -> None:
    """MONAI Label makes the readers of a bundle return them."""
    Image.fromarray(values).save(tmp_path / "x.png")
    transform = CheckedLoadImaged("image", "mr")
    transform._loader.image_only = False
    assert tuple(transform({"image": str(tmp_path / "x.png")})["image"].shape) == (10, 12)


def test_a_truncated_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "mr.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.random.rand(20, 20, 20), np.eye(4)), path)
    path.write_bytes(path.read_bytes()[:4000])
    with pytest.raises(InputError) as refused:
        load(path)
    assert refused.value.where == str(path)
