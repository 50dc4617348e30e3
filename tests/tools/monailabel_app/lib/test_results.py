"""Results as files: values, places and types."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
import torch
from monai.data import MetaTensor

from monailabel_app.lib.results import suffix_of, write
from transmodal.errors import InputError

AFFINE = torch.tensor([[-2.0, 0, 0, 30], [0, -2.0, 0, 20], [0, 0, 3.0, -10], [0, 0, 0, 1]], dtype=torch.float64)


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def image(dtype: torch.dtype = torch.float32, least: float = -1000.0, most: float = 1500.5) -> MetaTensor:
    """A ramp (1, 4, 5, 3)."""
    return MetaTensor(torch.linspace(least, most, 60).reshape(1, 4, 5, 3).to(dtype), affine=AFFINE)


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii"])
def test_nifti_keeps_values_affine_and_says_that_it_is_synthetic(suffix: str) -> None:
    result = nib.load(write(image(), suffix))
    assert result.get_data_dtype() == np.float32
    np.testing.assert_array_equal(result.get_fdata(), image()[0].numpy())
    np.testing.assert_allclose(result.affine, AFFINE)
    assert result.header["descrip"].item() == b"synthetic - not for diagnosis"


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_other_formats_keep_values_and_place_in_their_own_axes(suffix: str) -> None:
    result = sitk.ReadImage(write(image(), suffix))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(result).T, image()[0].numpy())
    np.testing.assert_allclose(result.GetOrigin(), (-30, -20, -10))
    np.testing.assert_allclose(result.GetSpacing(), (2, 2, 3))


@pytest.mark.parametrize(
    ("dtype", "kept"), [(torch.int16, np.float32), (torch.float64, np.float32), (torch.uint8, np.uint8)]
)
def test_an_image_becomes_floats_and_a_mask_stays_one(dtype: torch.dtype, kept: Any) -> None:
    assert nib.load(write(image(dtype, 0, 1), ".nii")).get_data_dtype() == kept


def test_a_mask_is_not_called_synthetic() -> None:
    mask = nib.load(write(image(torch.uint8, 0, 1), ".nii"))
    assert mask.header["descrip"].item() == b"research only - not for diagnosis"


def test_values_are_rounded_to_a_type_that_holds_them() -> None:
    result = nib.load(write(image(most=1500.4), ".nii", "int16"))
    assert result.get_data_dtype() == np.int16
    np.testing.assert_array_equal(result.get_fdata(), image(most=1500.4)[0].round().numpy())


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "bool", "no such type", "complex64", "object"])
def test_a_type_that_does_not_hold_the_values_is_refused(dtype: str, temporary: Path) -> None:
    with pytest.raises(InputError, match="option result_dtype"):
        write(image(), ".nii.gz", dtype)
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("suffix", [".exe", "", ".png", "/../x.nii"])
def test_other_formats_are_refused(suffix: str) -> None:
    with pytest.raises(InputError, match="option result_extension"):
        write(image(), suffix)


@pytest.mark.parametrize(
    ("name", "suffix"),
    [("a/b.nii.gz", ".nii.gz"), ("B.NII", ".nii"), ("x.mha", ".mha"), ("folder", ".nii.gz"), ("x.png", ".nii.gz")],
)
def test_a_result_has_the_format_of_its_image_where_it_can(name: str, suffix: str) -> None:
    assert suffix_of(name) == suffix
