"""Checks of files, voxels and grids: good input passes, and each bad one is named with what to do."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import itk
import nibabel
import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import LoadImage
from PIL import Image

from tests.common.radiographs import write_radiograph
from transmodal.data import check_image, check_path, check_same_grid, find_cases
from transmodal.errors import InputError

CT = torch.linspace(-1000, 1500, 16 * 16 * 4).reshape(1, 16, 16, 4)


def write(path: Path, array: np.ndarray[Any, Any], affine: Any = None) -> Path:
    """An image file of the format its name tells; (x, y[, z]) for volumes, (row, column[, channel]) for pictures."""
    if path.name.endswith((".nii", ".nii.gz")):
        nibabel.save(nibabel.Nifti1Image(array, np.eye(4) if affine is None else affine), path)
    elif path.suffix in (".png", ".jpg"):
        Image.fromarray(array).save(path)
    else:
        itk.imwrite(itk.GetImageFromArray(array), str(path))
    return path


def refused(path: Path, told: str) -> InputError:
    with pytest.raises(InputError, match=told) as error:
        check_path(path)
    assert str(path) in str(error.value)
    return error.value


VOLUME = np.arange(4000, dtype=np.float32).reshape(20, 20, 10)
PICTURE = np.arange(400).reshape(20, 20).astype(np.uint8)


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nii", "a.mha", "a.nrrd", "A.NII.GZ"])
def test_a_volume_passes(tmp_path: Path, name: str) -> None:
    check_path(write(tmp_path / name.lower(), VOLUME).rename(tmp_path / name))


@pytest.mark.parametrize(("name", "kind"), [("a.png", np.uint8), ("a.png", np.uint16), ("a.jpg", np.uint8)])
def test_a_greyscale_picture_passes(tmp_path: Path, name: str, kind: type) -> None:
    check_path(write(tmp_path / name, PICTURE.astype(kind)))


def test_the_real_data_pass(shared: Path) -> None:
    for folder in ("ct_mr_pairs", "brain_multicontrast"):
        for case in find_cases(shared / "data" / folder)[:2]:
            for modality, path in list(case.items())[1:]:
                check_path(path, modality)
                check_image(LoadImage(image_only=True)(path), modality, path)
    for path in sorted((shared / "data/chest_xray").iterdir()):
        check_path(path)
        check_image(LoadImage(image_only=True)(str(path)), "xray", path)


def test_a_real_dicom_series_passes(shared: Path) -> None:
    for folder, modality in (("CT", "ct"), ("MR_T1", "mr")):
        path = shared / "data/dicom_ct_mr" / folder / "image"
        check_path(path, modality)
        check_image(LoadImage(image_only=True)(str(path)), modality, path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    refused(tmp_path / "ct.nii.gz", "found no such file or folder")


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ct.nii.gz").touch()
    refused(tmp_path / "ct.nii.gz", r"found an empty file \(0 bytes\)")


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "ct.mha")
    refused(tmp_path / "ct.mha", "found neither a file nor a folder")


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    refused(tmp_path, "found an empty folder")


def test_an_unknown_format_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    (tmp_path / "ct.mat").write_bytes(b"data")
    refused(tmp_path / "ct.mat", r"a file that ends in \.mat; wanted one of \.nii\.gz \.nii \.mha \.nrrd")


@pytest.mark.parametrize("name", ["ct.nii.gz", "ct.nii", "ct.mha", "ct.nrrd", "ct.png", "ct.jpg"])
def test_a_file_that_is_something_else_is_refused_with_the_reader_as_cause(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("<html>not found</html>" * 50, encoding="utf-8")
    error = refused(tmp_path / name, r"found no \.[a-z.]+ image \(.+\); wanted a complete \.")
    assert error.__cause__ is not None


def test_a_file_cut_within_its_header_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "ct.nii", VOLUME)
    path.write_bytes(path.read_bytes()[:100])
    refused(path, "it may be truncated")


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P", "CMYK"])
def test_a_colour_or_palette_picture_is_refused(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    Image.fromarray(PICTURE).convert(mode).save(path)
    refused(path, rf"a colour or palette picture \(mode {mode}, \d channels\); wanted a greyscale picture")


def test_a_series_of_volumes_is_refused_by_its_header(tmp_path: Path) -> None:
    refused(write(tmp_path / "a.nii.gz", np.ones((9, 9, 9, 3), np.float32)), "3 channels or volumes of 9×9×9")


def test_a_trailing_axis_of_one_is_no_series(tmp_path: Path) -> None:
    path = write(tmp_path / "a.nii.gz", VOLUME[..., None])
    check_path(path)
    check_image(LoadImage(image_only=True)(str(path)), "mr", path)


def test_a_dicom_folder_is_checked_as_its_modality(series: Callable[..., Path]) -> None:
    folder = series()
    check_path(folder, "ct")
    with pytest.raises(InputError, match="DICOM files of the modality CT; wanted the modality MR"):
        check_path(folder, "mr")


def faulty(image: torch.Tensor, told: str, modality: str = "mr") -> None:
    with pytest.raises(InputError, match=f"^a/x: found .*{told}"):
        check_image(image, modality, "a/x")


@pytest.mark.parametrize("channels", [2, 3])
def test_several_channels_are_refused(channels: int) -> None:
    faulty(MetaTensor(CT.repeat(channels, 1, 1, 1)), f"{channels} channels or volumes of 16×16×4; wanted one channel")


def test_channels_are_found_in_what_a_reader_returns(tmp_path: Path) -> None:
    vector = itk.GetImageFromArray(np.random.default_rng(0).random((9, 10, 11, 3), np.float32), is_vector=True)
    itk.imwrite(vector, str(tmp_path / "a.mha"))
    faulty(LoadImage(image_only=True)(str(tmp_path / "a.mha")), "3 channels or volumes of 11×10×9")


@pytest.mark.parametrize("first", [True, False])
def test_an_image_passes_with_and_without_a_channel_axis(tmp_path: Path, first: bool) -> None:
    path = write(tmp_path / "a.nii.gz", VOLUME - 1000)
    check_image(LoadImage(image_only=True, ensure_channel_first=first)(str(path)), "ct", path)


def test_a_slice_passes() -> None:
    check_image(MetaTensor(CT[..., 0]), "ct", "a/x")


@pytest.mark.parametrize("shape", [(1, 16, 7, 1), (1, 4, 4), (1, 16), (1, 0, 16, 16)])
def test_too_small_an_image_is_refused(shape: tuple[int, ...]) -> None:
    faulty(torch.rand(shape), "voxels; wanted a slice or a volume of at least 8×8 in plane")


def test_a_thin_volume_passes_along_any_axis() -> None:
    check_image(torch.rand(1, 1, 16, 16), "mr", "a/x")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_values_that_are_not_finite_are_counted(value: float) -> None:
    image = CT.clone()
    image[0, 2:4, 0, 0] = value
    faulty(MetaTensor(image), "2 of 1024 values that are NaN or infinite; wanted finite values")


def test_a_constant_image_is_refused() -> None:
    faulty(torch.full((1, 16, 16), 7.0), r"a constant image \(every value is 7\)")


@pytest.mark.parametrize(
    ("low", "high", "told"),
    [
        (0, 255, "values from 0 to 255, which are the grey levels of an 8-bit picture"),
        (0, 1, "values from 0 to 1, which have been normalised"),
        (-1, 1, "values from -1 to 1, which have been normalised"),
        (0, 4095, "values from 0 to 4095, no air and no fat: the rescale intercept was lost"),
    ],
)
def test_ct_that_is_not_in_hounsfield_units_is_refused(low: float, high: float, told: str) -> None:
    faulty(low + (high - low) * torch.linspace(0, 1, 256).reshape(1, 16, 16), told, modality="ct")


def test_other_modalities_may_have_any_range() -> None:
    check_image(torch.linspace(0, 255, 256).reshape(1, 16, 16), "xray", "a/x")


@pytest.mark.parametrize("top", [1.0, 255.0])
def test_a_mask_of_two_values_passes(top: float) -> None:
    mask = torch.zeros(1, 16, 16)
    mask[0, :4] = top
    check_image(mask, "mask", "a/x")


def test_an_interpolated_mask_is_refused() -> None:
    faulty(
        torch.linspace(0, 1, 256).reshape(1, 16, 16), "fractional or negative values; wanted a mask", modality="mask"
    )


def test_a_negative_label_is_refused() -> None:
    faulty(torch.tensor([-1.0, 2.0]).repeat(128).reshape(1, 16, 16), "fractional or negative", modality="label")


def test_an_empty_mask_is_refused_but_a_patient_may_have_no_lesion() -> None:
    faulty(torch.zeros(1, 16, 16), "an empty mask", modality="mask")
    check_image(torch.zeros(1, 16, 16), "lesion", "a/x")


def affine(*rows: list[float]) -> torch.Tensor:
    return torch.tensor([*rows, [0.0, 0.0, 0.0, 1.0]], dtype=torch.float64)


@pytest.mark.parametrize(
    "broken",
    [
        affine([0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]),
        affine([1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]),
        affine([1, 0, 0, float("nan")], [0, 1, 0, 0], [0, 0, 1, 0]),
    ],
)
def test_a_singular_affine_is_refused(broken: torch.Tensor) -> None:
    faulty(MetaTensor(CT, affine=broken), r"a singular or broken affine \(voxel size ", modality="ct")


def test_two_axes_along_one_direction_are_refused() -> None:
    same = affine([1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0])
    faulty(MetaTensor(CT, affine=same), "a sheared grid", modality="ct")


def test_a_sheared_affine_is_refused_with_its_angle() -> None:
    tilted = affine([1, 0, 0, 0], [0, 1, float(3 * np.tan(np.radians(10))), 0], [0, 0, 3, 0])
    faulty(MetaTensor(CT, affine=tilted), "a sheared grid .axes 10.0 degrees off a right angle", modality="ct")


def test_an_oblique_affine_passes() -> None:
    c, s = float(np.cos(0.4)), float(np.sin(0.4))
    check_image(MetaTensor(CT, affine=affine([1, 0, 0, 5], [0, c, -3 * s, 0], [0, s, 3 * c, 0])), "ct", "a/x")


def test_a_slice_is_judged_by_its_two_axes() -> None:
    flat = affine([1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0])
    check_image(MetaTensor(CT[..., 0], affine=flat), "ct", "a/x")


GRID = affine([-2, 0, 0, 10], [0, -2, 0, 20], [0, 0, 3, -30])


def changed(row: int, column: int, value: float) -> torch.Tensor:
    other = GRID.clone()
    other[row, column] = value
    return other


def test_one_grid_passes_within_rounding() -> None:
    check_same_grid(MetaTensor(CT, affine=GRID), MetaTensor(CT, affine=GRID + 1e-4), "mr", "ct")


def test_a_slice_is_a_volume_of_one() -> None:
    check_same_grid(torch.rand(1, 16, 16), torch.rand(1, 16, 16, 1), "mr", "ct")


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (changed(2, 3, -28.5), r"origin by 1\.50 mm; wanted"),
        (changed(2, 2, 3.3), r"spacing 2×2×3 against 2×2×3\.3 mm; wanted"),
        (changed(1, 1, 2), r"direction by up to 180\.0 degrees; wanted"),
        (changed(0, 3, 11) + changed(2, 2, 4) - GRID, r"spacing 2×2×3 against 2×2×4 mm; origin by 1\.00 mm; wanted"),
    ],
)
def test_what_differs_between_grids_is_told(other: torch.Tensor, told: str) -> None:
    with pytest.raises(InputError, match=rf"^a/mr\.mha: found another grid than a/ct\.mha: {told} two images on one"):
        check_same_grid(MetaTensor(CT, affine=GRID), MetaTensor(CT, affine=other), "a/mr.mha", "a/ct.mha")


def test_different_shapes_are_told() -> None:
    with pytest.raises(InputError, match="shape 16×16×4 against 16×15×4"):
        check_same_grid(MetaTensor(CT), MetaTensor(CT[:, :, :15]), "mr", "ct")


def test_the_real_pair_is_on_one_grid_and_two_patients_are_not(shared: Path) -> None:
    first, second = find_cases(shared / "data/ct_mr_pairs")[:2]
    load = LoadImage(image_only=True)
    mr, ct, other = load(first["mr"]), load(first["ct"]), load(second["ct"])
    check_same_grid(mr, ct, first["mr"], first["ct"])
    with pytest.raises(InputError, match="shape 128×127×60 against 77×79×28"):
        check_same_grid(mr, other, first["mr"], second["ct"])


def test_the_real_series_of_one_patient_have_two_grids(shared: Path) -> None:
    load = LoadImage(image_only=True)
    ct, mr = (load(str(shared / "data/dicom_ct_mr" / name / "image")) for name in ("CT", "MR_T1"))
    with pytest.raises(InputError, match=r"shape 161×143×48 against 115×90×35; origin by \d+\.\d\d mm"):
        check_same_grid(ct, mr, "CT", "MR_T1")


def test_a_radiograph_in_dicom_is_checked_by_its_header(tmp_path: Path) -> None:
    """MONOCHROME1, which a CT may not be, is usual; a lateral view is refused, in a folder too."""
    check_path(write_radiograph(tmp_path / "xray.dcm", PhotometricInterpretation="MONOCHROME1"), "xray")
    check_path(write_radiograph(tmp_path / "nosuffix"), "xray")
    write_radiograph(tmp_path / "xray" / "1.dcm", ViewPosition="LATERAL")
    with pytest.raises(InputError, match="the view LATERAL"):
        check_path(tmp_path / "xray", "xray")


def test_a_lone_dicom_file_is_no_ct(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"ends in \.dcm"):
        check_path(write_radiograph(tmp_path / "ct.dcm"), "ct")
