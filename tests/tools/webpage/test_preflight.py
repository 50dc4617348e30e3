"""What an upload turns out to be; in this process."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from PIL import Image

from tests.common.radiographs import chest, write_radiograph
from tests.tools.translating.scans import ct_values, mr_values, write_dicom, write_picture, write_volume
from transmodal.errors import InputError
from webpage.preflight import examine

Examine = Callable[..., dict[str, Any]]


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """The process that examines is silenced for good; this one is not."""
    with warnings.catch_warnings():
        yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def look(tmp_path: Path) -> Examine:
    """Examine files under these names."""

    def run(*files: Path, names: tuple[str, ...] = ()) -> dict[str, Any]:
        folder, views = tmp_path / "upload" / "files", tmp_path / "upload" / "views"
        folder.mkdir(parents=True)
        views.mkdir()
        stored = {}
        for number, file in enumerate(files):
            (folder / f"{number:06d}").write_bytes(file.read_bytes())
            stored[f"{number:06d}"] = names[number] if names else file.name
        return examine(str(folder), str(views), stored, 1 << 26, 1000)

    return run


def levels(found: dict[str, Any]) -> set[str]:
    return {check["level"] for check in found["checks"]}


def texts(found: dict[str, Any], level: str) -> str:
    return "\n".join(check["text"] for check in found["checks"] if check["level"] == level)


def test_a_ct_in_nifti_is_known_by_its_values(look: Examine, tmp_path: Path) -> None:
    values = ct_values((24, 26, 9))
    found = look(write_volume(tmp_path / "scan.nii.gz", values))
    assert (found["kind"], found["modality"], found["units"]) == ("volume", "ct", "HU")
    assert (found["shape"], found["spacing"]) == ([24, 26, 9], [2.0, 2.0, 3.0])
    assert levels(found) == {"ok"}
    assert found["windows"]["source"] == [-160.0, 240.0]
    shown = nibabel.load(tmp_path / "upload" / "views" / found["files"]["source"])
    np.testing.assert_array_equal(np.asanyarray(shown.dataobj), values)


def test_an_mr_is_what_its_name_says(look: Examine, tmp_path: Path) -> None:
    found = look(write_volume(tmp_path / "MR.nii.gz", mr_values((24, 26, 9))))
    assert (found["modality"], found["units"]) == ("mr", "a.u.")
    assert "it is named MR.nii.gz" in texts(found, "ok")


def test_values_that_contradict_a_name_are_a_warning(look: Examine, tmp_path: Path) -> None:
    found = look(write_volume(tmp_path / "mr.nii.gz", ct_values((24, 26, 9))))
    assert found["modality"] == "mr"
    assert "it looks like CT" in texts(found, "warning")


def test_a_named_ct_that_is_none_is_an_error(look: Examine, tmp_path: Path) -> None:
    found = look(write_volume(tmp_path / "ct.nii.gz", mr_values((24, 26, 9))))
    assert "wanted CT in Hounsfield units" in texts(found, "error")


def test_where_nothing_tells_the_user_has_to(look: Examine, tmp_path: Path) -> None:
    found = look(write_volume(tmp_path / "scan.nii.gz", mr_values((24, 26, 9))))
    assert found["modality"] is None
    assert "say which it is" in texts(found, "warning")


def test_few_and_thick_slices_are_warned_of(look: Examine, tmp_path: Path) -> None:
    found = look(write_volume(tmp_path / "scan.nii.gz", ct_values(), np.diag([-1.0, -1.0, 6.0, 1.0])))
    assert texts(found, "warning").splitlines() == ["only 3 slices", "voxels are 6.0 times as long as wide"]


def test_a_dicom_series_is_read_as_one_volume(look: Examine, tmp_path: Path) -> None:
    series = write_dicom(tmp_path / "series", ct_values((24, 26, 9)))
    found = look(*sorted(series.iterdir()))
    assert (found["kind"], found["modality"], found["dicom"], found["series"]) == ("volume", "ct", True, "1.2.3")
    assert found["shape"] == [24, 26, 9]
    assert found["paths"] == {"image": "."}
    assert found["name"] == "CT series 3 'axial' (9 images)"


def test_of_several_series_the_largest_is_taken_and_the_others_are_named(look: Examine, tmp_path: Path) -> None:
    small = write_dicom(tmp_path / "a", ct_values((24, 26, 3)), series="1.2.4", number=2)
    large = write_dicom(tmp_path / "b", ct_values((24, 26, 9)), series="1.2.5", number=7)
    found = look(*sorted(small.iterdir()), *sorted(large.iterdir()))
    assert found["series"] == "1.2.5"
    assert "CT series 7 'axial' (9 images) is translated, not CT series 2" in texts(found, "warning")


def test_a_synthetic_series_is_refused(look: Examine, tmp_path: Path) -> None:
    series = write_dicom(tmp_path / "series", ct_values(), SyntheticData="YES")
    with pytest.raises(InputError, match="a series that is synthetic already"):
        look(*sorted(series.iterdir()))


def test_a_series_with_a_hole_is_refused(look: Examine, tmp_path: Path) -> None:
    files = sorted(write_dicom(tmp_path / "series", ct_values((24, 26, 9))).iterdir())
    with pytest.raises(InputError, match="slice"):
        look(*files[:4], *files[5:])


def test_a_truncated_dicom_file_is_refused(look: Examine, tmp_path: Path) -> None:
    files = sorted(write_dicom(tmp_path / "series", ct_values((24, 26, 9))).iterdir())
    files[3].write_bytes(files[3].read_bytes()[:-200])
    with pytest.raises(InputError, match=r"1\.2\.3\.4\.dcm"):
        look(*files)


@pytest.mark.parametrize("name", ["chest.png", "chest.jpg", "chest.jpeg"])
def test_a_picture_is_a_radiograph(look: Examine, tmp_path: Path, name: str) -> None:
    found = look(write_picture(tmp_path / name, chest() / 4))
    assert (found["kind"], found["modality"], found["shape"]) == ("radiograph", "xray", [96, 80])
    assert levels(found) == {"ok"}
    assert Image.open(tmp_path / "upload" / "views" / found["files"]["source"]).size == (80, 96)


def test_a_radiograph_in_dicom_is_one_too(look: Examine, tmp_path: Path) -> None:
    found = look(write_radiograph(tmp_path / "image"))
    assert (found["kind"], found["dicom"], found["paths"]) == ("radiograph", True, {"image": "image"})


def test_of_two_views_in_dicom_the_frontal_one_is_taken(look: Examine, tmp_path: Path) -> None:
    frontal = write_radiograph(tmp_path / "a", ViewPosition="PA")
    found = look(frontal, write_radiograph(tmp_path / "b", ViewPosition="LL"))
    assert found["kind"] == "radiograph"
    assert found["paths"] == {"image": "_radiograph"}


def test_what_is_no_chest_is_shown_with_the_reason(look: Examine, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).uniform(0, 255, (60, 60))
    found = look(write_picture(tmp_path / "photo.png", noise))
    assert "wanted a chest from the front" in texts(found, "error")
    assert str(tmp_path) not in texts(found, "error")


def test_a_colour_picture_is_refused(look: Examine, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found colours"):
        look(write_picture(tmp_path / "photo.png", np.random.default_rng(0).uniform(0, 255, (60, 60, 3))))


def test_contrasts_of_a_case_are_known_by_their_names(look: Examine, tmp_path: Path) -> None:
    names = ("BraTS-1-t1n.nii.gz", "case_t1c.nii.gz", "t2.nii.gz")
    found = look(*(write_volume(tmp_path / name, mr_values((24, 26, 9))) for name in names))
    assert (found["kind"], found["contrasts"]) == ("volumes", ["t1", "t1ce", "t2"])
    assert set(found["files"]) == {"source", "t1", "t1ce", "t2"}
    assert found["paths"]["t1ce"] == "case_t1c.nii.gz"
    assert levels(found) == {"ok"}


def test_contrasts_of_different_sizes_are_an_error(look: Examine, tmp_path: Path) -> None:
    one = write_volume(tmp_path / "t1.nii.gz", mr_values((24, 26, 9)))
    found = look(one, write_volume(tmp_path / "t2.nii.gz", mr_values((24, 26, 8))))
    assert texts(found, "error") == "t2 has other voxels than t1"


@pytest.mark.parametrize("names", [("a.nii.gz", "b.nii.gz"), ("t1.nii.gz", "x_t1.nii.gz"), ("t1.nii.gz", "a.png")])
def test_several_images_that_are_no_contrasts_are_refused(look: Examine, scan: Path, names: tuple[str, ...]) -> None:
    picture = write_picture(scan.with_name("picture.png"), chest() / 4)
    files = [picture if name.endswith("png") else scan for name in names]
    with pytest.raises(InputError, match="wanted one scan; or several contrasts of one case"):
        look(*files, names=names)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (np.full((24, 26, 9), np.nan, np.float32), "NaN or infinite"),
        (np.zeros((24, 26, 9), np.float32), "a constant image"),
        (np.zeros((24, 26, 9, 2), np.float32), "2 channels or volumes"),
        (np.random.default_rng(0).uniform(0, 9, (4, 4, 4)).astype(np.float32), "an image of 4×4×4 voxels"),
    ],
)
def test_a_volume_that_cannot_be_translated_is_refused(
    look: Examine, tmp_path: Path, values: np.ndarray, text: str
) -> None:
    with pytest.raises(InputError, match=text):
        look(write_volume(tmp_path / "scan.nii.gz", values))


def test_what_was_left_out_is_told(look: Examine, scan: Path) -> None:
    other = scan.with_name("notes.txt")
    other.write_text("hello", encoding="utf-8")
    assert "left out what is no image: notes.txt" in texts(look(scan, other), "warning")
