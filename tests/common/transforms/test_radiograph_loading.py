"""Reading radiographs: one picture, hung the same way, from whatever file holds it."""

from __future__ import annotations

import logging
from pathlib import Path

import itk
import nibabel
import numpy as np
import pytest
import torch
from monai.data import DataLoader, Dataset, MetaTensor
from numpy.typing import NDArray
from PIL import Image

from tests.common.radiographs import chest, write_radiograph
from transmodal.errors import InputError
from transmodal.phantom import Chest, write_phantoms
from transmodal.transforms import RadiographLoadImaged

HANGING = chest().round()


def load(path: Path, case: str | None = None, **options: bool) -> MetaTensor:
    sample = {"image": str(path)} | ({"case": case} if case else {})
    read: MetaTensor = RadiographLoadImaged("image", **options)(sample)["image"]
    return read


def nifti(values: NDArray[np.generic], affine: NDArray[np.float64] | None, path: Path) -> Path:
    image = nibabel.Nifti1Image(values, affine)
    nibabel.save(image, path)
    return path


def test_every_format_gives_the_same_picture(tmp_path: Path) -> None:
    """Formats of volumes have columns first; a plain picture's axes run to the left and to the back."""
    Image.fromarray(HANGING.astype(np.uint16)).save(tmp_path / "a.png")
    Image.fromarray((HANGING / 4).round().astype(np.uint8)).save(tmp_path / "b.jpg", quality=100)
    write_radiograph(tmp_path / "c.dcm", HANGING)
    write_radiograph(tmp_path / "d" / "1.dcm", HANGING.max() - HANGING, PhotometricInterpretation="MONOCHROME1")
    nifti(HANGING.T.astype(np.float32), np.diag([-1.0, -1.0, 1.0, 1.0]), tmp_path / "e.nii.gz")
    nifti(HANGING.T.astype(np.float32)[..., None], np.diag([-1.0, -1.0, 1.0, 1.0]), tmp_path / "f.nii.gz")
    itk.imwrite(itk.image_from_array(HANGING.astype(np.float32)), tmp_path / "g.mha")
    for name in ("a.png", "c.dcm", "d", "e.nii.gz", "f.nii.gz", "g.mha"):
        read = load(tmp_path / name)
        assert read.shape == (1, 96, 80), name
        np.testing.assert_array_equal(read.numpy()[0], HANGING, err_msg=name)
    np.testing.assert_allclose(4 * load(tmp_path / "b.jpg").numpy()[0], HANGING, atol=60)


@pytest.mark.parametrize(
    ("axes", "lay"),
    [
        ([[1, 0], [0, 1], [0, 0]], lambda picture: picture[::-1, ::-1].T),
        ([[0, -1], [-1, 0], [0, 0]], lambda picture: picture),
        ([[-1, 0], [0, 0], [0, -1]], lambda picture: picture.T),
        ([[-1, 0], [0, 0], [0, 1]], lambda picture: picture[::-1].T),
        ([[0, 1], [0, 0], [-1, 0]], lambda picture: picture[:, ::-1]),
    ],
    ids=["RAS", "rows first", "coronal", "coronal, from the feet", "coronal, rows first, to the right"],
)
def test_the_affine_says_how_a_picture_hangs(axes: list[list[int]], lay: object, tmp_path: Path) -> None:
    affine = np.eye(4)
    affine[:3, :2] = np.array(axes) * 2.0
    affine[:3, 2] = np.cross(affine[:3, 0], affine[:3, 1]) / 4
    stored = np.ascontiguousarray(lay(HANGING)).astype(np.float32)  # type: ignore[operator]
    read = load(nifti(stored, affine, tmp_path / "x.nii"))
    np.testing.assert_array_equal(read.numpy()[0], HANGING)


def test_a_nifti_file_without_geometry_is_taken_for_a_plain_picture(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(HANGING.T.astype(np.float32), None)
    assert image.header["sform_code"] == image.header["qform_code"] == 0
    nibabel.save(image, tmp_path / "x.nii")
    np.testing.assert_array_equal(load(tmp_path / "x.nii").numpy()[0], HANGING)


def test_the_affine_is_that_of_a_hanging_picture_around_the_origin(tmp_path: Path) -> None:
    """Expected by hand: rows of 4 mm run down, columns of 5 mm to the left, 96 and 80 of them."""
    read = load(write_radiograph(tmp_path / "x.dcm", HANGING))
    expected = [[0, -5, 0, 197.5], [0, 0, 1, 0], [-4, 0, 0, 190], [0, 0, 0, 1]]
    assert read.affine.tolist() == expected


def test_a_phantom_is_read_as_it_hangs(tmp_path: Path) -> None:
    """With the head up and the heart on the right side of the picture, the patient's left."""
    (folder,) = write_phantoms(tmp_path, 1, 0, (16, 16, 16), modalities=["xray"], regions=[Chest()], xray_spacing=6.0)
    picture = load(folder / "xray.nii.gz").as_tensor()[0]
    rows, columns = picture.shape
    assert picture[: rows // 8].mean() < picture[-rows // 4 :].mean()
    lower = picture[rows // 2 : 3 * rows // 4]
    left, right = lower[:, columns // 4 : columns // 2], lower[:, columns // 2 : 3 * columns // 4]
    assert right.mean() > left.mean()


def test_case_file_and_notes_travel_with_the_picture(tmp_path: Path) -> None:
    file = write_radiograph(tmp_path / "7.dcm", HANGING, BurnedInAnnotation="YES")
    assert load(file).meta["case"] == "7"
    assert load(file, case="patient").meta["case"] == "patient"
    assert load(file).meta["filename_or_obj"] == str(file)
    assert "burned into" in load(file).meta["notes"]


def test_pictures_of_one_size_make_a_batch(tmp_path: Path) -> None:
    Image.fromarray(HANGING.astype(np.uint16)).save(tmp_path / "a.png")
    write_radiograph(tmp_path / "b.dcm", HANGING, BurnedInAnnotation="YES")
    records = [{"image": str(tmp_path / name)} for name in ("a.png", "b.dcm")]
    batch = next(iter(DataLoader(Dataset(records, RadiographLoadImaged("image")), batch_size=2)))
    assert batch["image"].shape == (2, 1, 96, 80)


def test_a_marker_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    marked = chest(256, 256)
    marked[8:24, 230:233] = marked[21:24, 230:240] = 1000
    Image.fromarray(marked.astype(np.uint16)).save(tmp_path / "x.png")
    transform = RadiographLoadImaged("image")
    with caplog.at_level(logging.WARNING, logger=RadiographLoadImaged.__module__):
        for _ in range(2):
            transform({"image": str(tmp_path / "x.png")})
    assert [record.getMessage() for record in caplog.records if record.name.startswith("transmodal")] == [
        f"{tmp_path / 'x.png'}: 1 mark such as letters lie in the picture"
    ]


def test_a_chest_is_recognised_on_square_pixels(tmp_path: Path) -> None:
    """Rows of 0.5 mm and columns of 1.5 mm: by its pixels a strip."""
    stored = chest(240, 72)
    write_radiograph(tmp_path / "x.dcm", stored, ImagerPixelSpacing=[0.5, 1.5])
    np.testing.assert_array_equal(load(tmp_path / "x.dcm").numpy()[0], stored.round())
    write_radiograph(tmp_path / "y.dcm", stored.max() - stored, ImagerPixelSpacing=[0.5, 1.5])
    np.testing.assert_array_equal(load(tmp_path / "y.dcm", invert=True).numpy()[0], stored.round())


def test_only_a_volume_format_with_a_spacing_tells_one(tmp_path: Path) -> None:
    write_radiograph(tmp_path / "a.dcm", HANGING)
    Image.fromarray(HANGING.astype(np.uint16)).save(tmp_path / "b.png")
    nifti(HANGING.T.astype(np.float32), np.diag([-1.0, -1.0, 1.0, 1.0]), tmp_path / "c.nii.gz")
    nifti(HANGING.T.astype(np.float32), np.diag([-0.4, -0.4, 1.0, 1.0]), tmp_path / "d.nii.gz")
    told = {path.name: load(path).meta["spacing_told"] for path in tmp_path.iterdir()}
    assert told == {"a.dcm": False, "b.png": False, "c.nii.gz": False, "d.nii.gz": True}


def test_inverted_greys_are_refused_or_turned_over(tmp_path: Path) -> None:
    Image.fromarray((HANGING.max() - HANGING).astype(np.uint16)).save(tmp_path / "x.png")
    with pytest.raises(InputError, match="inverted") as refused:
        load(tmp_path / "x.png")
    assert refused.value.where == str(tmp_path / "x.png")
    read = load(tmp_path / "x.png", invert=True)
    np.testing.assert_array_equal(read.numpy()[0], HANGING)
    assert "turned over" in read.meta["notes"]


def test_what_is_no_chest_is_refused_unless_unchecked(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 255, (64, 64)).astype(np.uint8)
    Image.fromarray(values).save(tmp_path / "x.png")
    with pytest.raises(InputError, match="without two dark lungs"):
        load(tmp_path / "x.png")
    np.testing.assert_array_equal(load(tmp_path / "x.png", check_chest=False).numpy()[0], values)


def test_a_picture_in_memory_is_passed_on(tmp_path: Path) -> None:
    projection = MetaTensor(torch.rand(1, 8, 8))
    assert RadiographLoadImaged("image")({"image": projection})["image"] is projection


@pytest.mark.parametrize(
    ("name", "found"),
    [("none.png", "no such file"), ("none.dcm", "no such file"), ("none", "no such file"), ("x.txt", "ends in .txt")],
)
def test_a_file_that_is_missing_or_of_another_kind_is_named(name: str, found: str, tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("text")
    with pytest.raises(InputError, match=found) as refused:
        load(tmp_path / name)
    assert refused.value.where == str(tmp_path / name)


@pytest.mark.parametrize("name", ["x.png", "x.dcm"])
def test_an_empty_file_is_named(name: str, tmp_path: Path) -> None:
    (tmp_path / name).touch()
    with pytest.raises(InputError, match="an empty file"):
        load(tmp_path / name)


def test_a_file_that_only_claims_to_be_dicom_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.dcm").write_text("no DICOM")
    with pytest.raises(InputError, match="a DICOM file that cannot be read"):
        load(tmp_path / "x.dcm")


def test_a_volume_is_refused(tmp_path: Path) -> None:
    file = nifti(np.random.rand(9, 9, 9).astype(np.float32), np.eye(4), tmp_path / "x.nii")
    with pytest.raises(InputError, match="an image of 9×9×9 voxels"):
        load(file)


def test_a_constant_picture_is_refused(tmp_path: Path) -> None:
    Image.fromarray(np.full((64, 64), 7, np.uint8)).save(tmp_path / "x.png")
    with pytest.raises(InputError, match="a constant image"):
        load(tmp_path / "x.png")


@pytest.mark.parametrize("flag", ["check_chest", "invert"])
def test_a_flag_in_words_is_refused(flag: str) -> None:
    with pytest.raises(InputError, match=f"RadiographLoadImaged, {flag}"):
        RadiographLoadImaged("image", **{flag: "false"})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["00000001_000", "00027426_000"])
def test_radiographs_of_patients_are_read(shared: Path, name: str) -> None:
    assert load(shared / f"data/chest_xray/{name}.png").shape == (1, 512, 512)
