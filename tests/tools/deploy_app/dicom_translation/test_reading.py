"""Which series of a study is translated, and its voxels as the SDK's image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest

from dicom_translation.reading import chosen, volume_of
from tests.tools.translating.scans import ct_values, mr_values, write_dicom
from transmodal.dicom import Series
from transmodal.errors import InputError

MANY, FEW = (24, 26, 5), (24, 26, 3)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A CT of five slices, two MR of five and of three."""
    write_dicom(tmp_path / "ct", ct_values(MANY), series="1.2.1", number=1)
    write_dicom(tmp_path / "few", mr_values(FEW), series="1.2.2", number=2, Modality="MR")
    write_dicom(tmp_path / "many", mr_values(MANY), series="1.2.3", number=3, Modality="MR")
    return tmp_path


def test_the_largest_of_the_selected_series_is_taken_and_the_others_are_told(study: Path) -> None:
    series, passed_over = chosen(study, {"1.2.2", "1.2.3"})
    assert series.uid == "1.2.3"
    assert [each.uid for each in passed_over] == ["1.2.2"]


def test_a_series_that_the_rules_do_not_select_is_never_taken(study: Path) -> None:
    series, passed_over = chosen(study, {"1.2.2"})
    assert (series.uid, passed_over) == ("1.2.2", [])


def test_without_a_selected_series_what_is_there_is_listed(study: Path) -> None:
    with pytest.raises(InputError, match=r"no image series that the rules select among .*CT series 1"):
        chosen(study, set())


def test_a_folder_without_dicom_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found no DICOM images"):
        chosen(tmp_path, {"1.2.3"})


def test_a_synthetic_series_is_refused_whatever_the_rules_say(tmp_path: Path) -> None:
    write_dicom(tmp_path, ct_values(), series="1.2.1", SyntheticData="YES")
    with pytest.raises(InputError, match="synthetic"):
        chosen(tmp_path, {"1.2.1"})


def test_a_larger_synthetic_series_does_not_take_the_place_of_an_image(study: Path) -> None:
    write_dicom(study / "synthetic", ct_values((24, 26, 9)), series="1.2.6", number=6, SyntheticData="YES")
    series, passed_over = chosen(study, {"1.2.1", "1.2.6"})
    assert (series.uid, passed_over) == ("1.2.1", [])


def test_a_series_with_a_hole_is_refused(study: Path) -> None:
    (study / "many" / "1.2.3.3.dcm").unlink()
    with pytest.raises(InputError, match="missing slices"):
        chosen(study, {"1.2.3"})


def test_a_truncated_file_is_refused(study: Path) -> None:
    path = study / "many" / "1.2.3.3.dcm"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(InputError, match="truncated"):
        chosen(study, {"1.2.3"})


@pytest.fixture
def of_ct(study: Path) -> Series:
    return chosen(study, {"1.2.1"})[0]


def test_voxels_are_slices_rows_and_columns_in_floats(of_ct: Series) -> None:
    values, _ = volume_of(of_ct, "ct")
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, ct_values(MANY).transpose(2, 1, 0))


def test_the_place_is_told_under_the_names_of_the_sdk(of_ct: Series) -> None:
    _, place = volume_of(of_ct, "ct")
    spacing = [place[f"{axis}_pixel_spacing"] for axis in ("row", "col", "depth")]
    np.testing.assert_allclose(spacing, [2, 2, 3])
    np.testing.assert_allclose(place["nifti_affine_transform"], np.diag([-2, -2, 3, 1]))
    assert place["space"] == "RAS"


def test_slices_with_slopes_of_their_own_keep_their_values(tmp_path: Path) -> None:
    """The SDK's own operator would store all in the whole numbers that the first slice allows."""
    values = mr_values(FEW).astype(np.int16)
    write_dicom(tmp_path, values, series="1.2.4", Modality="MR", RescaleIntercept=0)
    for index, path in enumerate(sorted(tmp_path.iterdir())):
        dataset = pydicom.dcmread(path)
        dataset.RescaleSlope = 1 + 0.25 * index
        dataset.save_as(path)
    read, _ = volume_of(chosen(tmp_path, {"1.2.4"})[0], "mr")
    expected = values.transpose(2, 1, 0) * np.array([1, 1.25, 1.5], dtype=np.float32)[:, None, None]
    np.testing.assert_allclose(read, expected)


def test_another_modality_than_the_source_is_refused(of_ct: Series) -> None:
    with pytest.raises(InputError, match="found the modality CT; wanted MR"):
        volume_of(of_ct, "mr")


def test_a_constant_image_is_refused(tmp_path: Path) -> None:
    write_dicom(tmp_path, np.full((24, 26, 3), 5, np.int16), series="1.2.5")
    with pytest.raises(InputError, match="constant"):
        volume_of(chosen(tmp_path, {"1.2.5"})[0], "ct")
