"""Reading with checks, and where a picture lies."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import itk
import nibabel
import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from PIL import Image

from transmodal import InputError
from transmodal.transforms import CheckedLoadImaged, ContrastLoadImaged, SameGridd


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


def test_of_a_truncated_mha_the_reason_is_told_and_no_place_in_the_code_of_its_reader(tmp_path: Path) -> None:
    path = tmp_path / "mr.mha"
    itk.imwrite(itk.image_from_array(np.random.rand(20, 20, 20).astype(np.float32)), str(path))
    path.write_bytes(path.read_bytes()[:4000])
    with pytest.raises(InputError) as refused:
        load(path)
    assert "cannot be read (File cannot be read" in refused.value.found
    assert ".cxx" not in refused.value.found


CONTRASTS = ("flair", "t2", "t1")
AFFINE = np.diag([-2.0, -2.0, 3.0, 1.0])


def contrast(number: int) -> np.ndarray:
    """(12, 10, 4) around a hundred times ``number``."""
    return (np.random.default_rng(number).random((12, 10, 4)) + 100 * number).astype(np.float32)


@pytest.fixture
def case(tmp_path: Path) -> dict[str, Path]:
    """A file of each contrast: flair around 0, t2 around 100, t1 around 200."""
    files = {name: tmp_path / "case_7" / f"{name}.nii.gz" for name in CONTRASTS}
    (tmp_path / "case_7").mkdir()
    for number, file in enumerate(files.values()):
        nibabel.save(nibabel.Nifti1Image(contrast(number), AFFINE), file)
    return files


def load_contrasts(paths: object, **more: str) -> MetaTensor:
    return ContrastLoadImaged("image", CONTRASTS)({"image": paths, **more})["image"]


def series(*numbers: int) -> np.ndarray:
    return np.stack([contrast(number) for number in numbers], axis=-1)


def test_contrasts_become_channels_in_their_order(case: Mapping[str, Path]) -> None:
    image = load_contrasts([str(path) for path in case.values()])
    assert image.dtype == torch.float32
    np.testing.assert_array_equal(image.numpy(), np.stack([contrast(number) for number in range(3)]))


def test_contrasts_have_the_metadata_of_the_first(case: Mapping[str, Path]) -> None:
    image = load_contrasts([str(path) for path in case.values()], case="case_7")
    np.testing.assert_array_equal(image.affine, AFFINE)
    assert (image.meta["case"], image.meta["filename_or_obj"]) == ("case_7", str(case["flair"]))
    assert image.meta["original_channel_dim"] == 0


@pytest.mark.parametrize("name", ["series.nii.gz", "series.mha"])
def test_one_file_may_hold_all_contrasts(case: Mapping[str, Path], tmp_path: Path, name: str) -> None:
    if name.endswith(".mha"):
        vectors = itk.image_from_array(np.ascontiguousarray(series(0, 1, 2).transpose(2, 1, 0, 3)), is_vector=True)
        vectors.SetSpacing([2.0, 2.0, 3.0])
        itk.imwrite(vectors, str(tmp_path / name))
    else:
        nibabel.save(nibabel.Nifti1Image(series(0, 1, 2), AFFINE), tmp_path / name)
    together, apart = load_contrasts(str(tmp_path / name)), load_contrasts(list(case.values()))
    torch.testing.assert_close(together.as_tensor(), apart.as_tensor())
    torch.testing.assert_close(together.affine, apart.affine)
    assert together.meta["spatial_shape"].tolist() == [12, 10, 4]
    SameGridd(["image", "label"])({"image": together, "label": load(case["t1"])})


def test_a_series_may_have_one_slice(tmp_path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(series(0, 1, 2)[:, :, 1:2], AFFINE), tmp_path / "slice.nii")
    assert tuple(load_contrasts(str(tmp_path / "slice.nii")).shape) == (3, 12, 10, 1)


def test_pictures_of_contrasts_become_volumes_of_one_slice(tmp_path: Path, values: np.ndarray) -> None:
    for name in CONTRASTS:
        Image.fromarray(values).save(tmp_path / f"{name}.png")
    assert tuple(load_contrasts([tmp_path / f"{name}.png" for name in CONTRASTS]).shape) == (3, 10, 12, 1)


def test_one_contrast_is_read_like_any_image(case: Mapping[str, Path]) -> None:
    image = ContrastLoadImaged("image", "t2")({"image": str(case["t2"])})["image"]
    np.testing.assert_array_equal(image.numpy(), contrast(1)[None])


def test_metadata_that_a_consumer_asks_for_are_no_concern_of_contrasts(case: Mapping[str, Path]) -> None:
    transform = ContrastLoadImaged("image", CONTRASTS)
    transform._loader.image_only = False
    assert tuple(transform({"image": list(case.values())})["image"].shape) == (3, 12, 10, 4)


def test_a_bad_file_is_named_with_its_contrast(case: Mapping[str, Path]) -> None:
    nibabel.save(nibabel.Nifti1Image(np.ones((12, 10, 4), np.float32), AFFINE), case["t2"])
    with pytest.raises(InputError, match=r"case_7/t2\.nii\.gz \(t2\): found a constant image"):
        load_contrasts(list(case.values()))


def test_a_missing_file_is_named_with_its_contrast(case: Mapping[str, Path]) -> None:
    case["t1"].unlink()
    with pytest.raises(InputError, match=r"case_7/t1\.nii\.gz \(t1\): found no such file"):
        load_contrasts(list(case.values()))


def test_a_bad_volume_of_a_series_is_named_by_number_and_contrast(tmp_path: Path) -> None:
    broken = series(0, 1, 2)
    broken[3, 3, 3, 1] = np.nan
    nibabel.save(nibabel.Nifti1Image(broken, AFFINE), tmp_path / "series.nii")
    with pytest.raises(InputError, match=r"series\.nii \(volume 2, t2\): found 1 of 480 values that are NaN"):
        load_contrasts(str(tmp_path / "series.nii"))


def test_contrasts_on_two_grids_are_named_with_what_differs_and_the_remedy(case: Mapping[str, Path]) -> None:
    nibabel.save(nibabel.Nifti1Image(contrast(2), np.diag([-2.0, -2.0, 3.5, 1.0])), case["t1"])
    with pytest.raises(InputError) as refused:
        load_contrasts(list(case.values()))
    told = str(refused.value)
    assert f"{case['flair']} (flair): found another grid than {case['t1']} (t1)" in told
    assert "spacing 2×2×3 against 2×2×3.5 mm" in told
    assert "register and resample" in told


@pytest.mark.parametrize(("count", "found"), [(2, "2 files: "), (1, "1 volume;"), (0, "0 files: none")])
def test_a_wrong_number_of_files_is_refused(case: Mapping[str, Path], count: int, found: str) -> None:
    with pytest.raises(InputError, match="wanted the contrasts flair, t2, t1, in this order") as refused:
        load_contrasts(list(case.values())[:count])
    assert found in str(refused.value)


def test_a_series_of_too_few_volumes_is_refused(tmp_path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(series(0, 1), AFFINE), tmp_path / "series.nii")
    with pytest.raises(
        InputError, match=r"found 2 volumes; wanted the contrasts flair, t2, t1(.|\n)*4-D NIfTI file of 3"
    ):
        load_contrasts(str(tmp_path / "series.nii"))


@pytest.mark.parametrize(
    "names",
    [
        {"t1": "t1", "t2": "t2", "flair": "flair"},
        {"t1": "Brats_7_t1", "t2": "Brats_7_t2", "flair": "Brats_7_flair"},
        {"t1": "P1-t1n", "t2": "P1-t2w", "flair": "P1-t2f"},
        {"t1": "sub-7_T1w_bfc", "t2": "sub-7_t2_bfc", "flair": "sub-7_FLAIR_bfc"},
    ],
)
def test_files_whose_names_tell_another_order_are_refused(case: Mapping[str, Path], names: dict[str, str]) -> None:
    files = [case[name].rename(case[name].with_name(f"{told}.nii.gz")) for name, told in names.items()]
    with pytest.raises(InputError, match="found the files in the order t1, t2, flair; wanted the contrasts flair, t2"):
        load_contrasts(files)


def test_one_file_for_two_contrasts_is_refused(case: Mapping[str, Path]) -> None:
    with pytest.raises(InputError, match="found one file for two contrasts"):
        load_contrasts([case["flair"], case["t2"], case["flair"]])


def test_names_that_tell_no_order_are_no_concern(case: Mapping[str, Path]) -> None:
    """A name may tell the reference of a registration too."""
    names = {"flair": "flair_on_t1", "t2": "t2_on_t1", "t1": "t1"}
    files = [file.rename(file.with_name(f"{names[name]}.nii.gz")) for name, file in case.items()]
    assert tuple(load_contrasts(files).shape) == (3, 12, 10, 4)


def test_other_readers_still_refuse_a_series(tmp_path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(series(0, 1), AFFINE), tmp_path / "series.nii")
    with pytest.raises(InputError, match="found 2 channels or volumes of 12×10×4; wanted one channel"):
        load(tmp_path / "series.nii")
