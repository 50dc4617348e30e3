"""What a file says of its own geometry and voxels, and files that say it wrongly."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
from monai.data import MetaTensor

from transmodal import InputError
from transmodal.transforms import CheckedLoadImaged, ContrastLoadImaged


def load(path: Path) -> MetaTensor:
    return CheckedLoadImaged("image", "mr")({"image": str(path)})["image"]


GRID = np.array([[0, -2.0, 0, 30], [2, 0, 0, -40], [0, 0, 3, 50], [0, 0, 0, 1]])
"""Turned by a right angle about the third axis, in mm."""


def stored(path: Path, sform: np.ndarray, zooms: tuple[float, ...] | None = None, qform: bool = False) -> Path:
    """A NIfTI volume with an sform, a qform where wanted, and a ``pixdim`` that may say something else."""
    image = nibabel.Nifti1Image(np.random.default_rng(0).random((12, 10, 8), np.float32), GRID)
    image.set_qform(GRID, 1 if qform else 0)
    image.set_sform(sform, 2)
    if zooms:
        image.header["pixdim"][1:4] = zooms
    nibabel.save(image, path)
    return path


@pytest.mark.parametrize("code", [(1, 1), (1, 0), (0, 2), (0, 0)], ids=["both", "qform", "sform", "neither"])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_nifti_lies_where_its_header_says(tmp_path: Path, code: tuple[int, int], suffix: str) -> None:
    image = nibabel.Nifti1Image(np.random.default_rng(0).random((12, 10, 8), np.float32), None)
    image.set_qform(GRID, code[0])
    image.set_sform(GRID if code[1] else None, code[1])
    nibabel.save(image, path := tmp_path / f"mr{suffix}")
    np.testing.assert_array_equal(load(path).affine, nibabel.load(path).affine)
    if any(code):
        np.testing.assert_allclose(load(path).affine, GRID, rtol=0, atol=1e-5)


@pytest.mark.parametrize("qform", [False, True])
def test_a_nifti_whose_spacing_is_rounded_still_lies_where_its_affine_says(tmp_path: Path, qform: bool) -> None:
    affine = GRID @ np.diag([0.9765625 / 2, 0.9765625 / 2, 1, 1])
    image = load(stored(tmp_path / "mr.nii", affine, (0.977, 0.977, 3), qform))
    np.testing.assert_array_equal(image.affine, affine)
    np.testing.assert_array_equal(image.meta["original_affine"], affine)


@pytest.mark.parametrize("qform", [False, True])
def test_a_nifti_that_tells_two_spacings_is_refused_with_both(tmp_path: Path, qform: bool) -> None:
    with pytest.raises(InputError, match=r"voxels of 2×2×5 mm by its affine \(sform\), of 2×2×3 mm by its pixdim"):
        load(stored(tmp_path / "mr.nii", np.diag([2.0, 2, 5, 1]), (2, 2, 3), qform))


@pytest.mark.parametrize("shear", [0.9, 0.05])
def test_a_sheared_nifti_is_refused(tmp_path: Path, shear: float) -> None:
    sheared = np.diag([2.0, 2, 3, 1])
    sheared[0, 1] = shear
    with pytest.raises(InputError, match="a sheared grid"):
        load(stored(tmp_path / "mr.nii", sheared))


@pytest.mark.parametrize("row", [(np.nan, 0, 0, 0), (1e-20, 0, 0, 0), (1e30, 0, 0, 0), (0, 0, 0, np.inf)])
def test_a_nifti_with_a_broken_affine_is_refused(tmp_path: Path, row: tuple[float, ...]) -> None:
    path = stored(tmp_path / "mr.nii", np.diag([2.0, 2, 3, 1]))
    content = bytearray(path.read_bytes())
    content[280:296] = np.array(row, np.float32).tobytes()  # srow_x
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"broken affine|contradicts itself"):
        load(path)


def test_a_series_is_judged_by_its_geometry_too(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((12, 10, 4, 3), np.float32)
    image = nibabel.Nifti1Image(values, np.diag([-2.0, -2.0, 3.0, 1.0]))
    image.header["pixdim"][3] = 1
    nibabel.save(image, tmp_path / "series.nii")
    with pytest.raises(InputError, match="contradicts itself"):
        ContrastLoadImaged("image", ("flair", "t2", "t1"))({"image": str(tmp_path / "series.nii")})


@pytest.mark.parametrize("name", ["mr.mha", "mr.nrrd"])
def test_voxels_in_another_file_are_never_read(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret").write_bytes(bytes(range(256)) * 2)
    path = tmp_path / name
    if name.endswith(".mha"):
        text = "ObjectType = Image\nNDims = 3\nDimSize = 8 8 8\nElementType = MET_UCHAR\nElementDataFile = secret\n"
    else:
        text = "NRRD0004\ntype: uchar\ndimension: 3\nsizes: 8 8 8\nencoding: raw\ndata file: secret\n\n"
    path.write_text(text)
    with pytest.raises(InputError, match="its pixels are in another file"):
        load(path)


def test_complex_numbers_are_refused(tmp_path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(np.ones((12, 10, 4), np.complex64), np.eye(4)), tmp_path / "mr.nii")
    with pytest.raises(InputError, match="complex numbers"):
        load(tmp_path / "mr.nii")
