"""A folder of volumes of one modality, however deep, becomes a data set of links."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
from PIL import Image

from tests.common.conftest import ct_slice
from transmodal.data import find_cases, read_sections

Run = Callable[..., str]


def scan(path: Path, low: int = -1000) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.linspace(low, 400, 12 * 12 * 4).reshape(12, 12, 4).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(values, np.diag([-1.0, -1, 2, 1])), path)
    return path


def converted(run: Run, source: Path, flags: str = "--modality ct", status: int = 0) -> str:
    return run(f"{source} --from volumes {flags} --output {source.parent}/new", status=status)


def test_files_become_linked_cases_named_after_them(run_datalist: Run, tmp_path: Path) -> None:
    first = scan(tmp_path / "set/lung1.nii.gz")
    scan(tmp_path / "set/site_b/scan_07.nii")
    converted(run_datalist, tmp_path / "set")
    assert [case["case"] for case in find_cases(tmp_path / "new")] == ["lung1", "site_b_scan_07"]
    assert (tmp_path / "new/lung1/ct.nii.gz").readlink() == first


def test_folders_of_dicom_files_are_cases(run_datalist: Run, tmp_path: Path) -> None:
    series = tmp_path / "set/patient_1/series_2"
    series.mkdir(parents=True)
    for number in range(5):
        pydicom.dcmwrite(series / f"{number}.dcm", ct_slice(number, "1.2.3"), enforce_file_format=True)
    converted(run_datalist, tmp_path / "set")
    assert [case["case"] for case in find_cases(tmp_path / "new")] == ["patient_1_series_2"]
    assert (tmp_path / "new/patient_1_series_2/ct").readlink() == series


def test_folders_of_dicom_files_are_copied_where_links_do_not_work(
    run_datalist: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(1, "no links here")

    series = tmp_path / "set/series"
    series.mkdir(parents=True)
    for number in range(5):
        pydicom.dcmwrite(series / f"{number}.dcm", ct_slice(number, "1.2.3"), enforce_file_format=True)
    monkeypatch.setattr(Path, "symlink_to", refuse)
    converted(run_datalist, tmp_path / "set")
    assert len(list((tmp_path / "new/series/ct").iterdir())) == 5


def test_sections_of_folders_stay(run_datalist: Run, tmp_path: Path) -> None:
    for number in range(4):
        scan(tmp_path / f"set/{'train' if number else 'test'}/{number}.nii.gz")
    converted(run_datalist, tmp_path / "set", "--modality ct --validation 1.0e-9")
    sections = read_sections(tmp_path / "new/dataset.json")
    assert [case["case"] for case in sections["test"]] == ["0"]
    assert len(sections["training"]) + len(sections["validation"]) == 3


def test_radiographs_may_be_pictures(run_datalist: Run, tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    grey = np.add.outer(5 * np.arange(40), 3 * np.arange(30)).astype(np.uint8)
    Image.fromarray(grey).save(tmp_path / "set/00000001_000.png")
    converted(run_datalist, tmp_path / "set", "--modality xray")
    assert find_cases(tmp_path / "new")[0]["xray"] == f"{tmp_path}/new/00000001_000/xray.png"


def test_what_is_no_image_is_left_out_and_told(run_datalist: Run, tmp_path: Path) -> None:
    scan(tmp_path / "set/1.nii.gz")
    (tmp_path / "set/notes.txt").touch()
    assert "left out, because they are no images: notes.txt" in converted(run_datalist, tmp_path / "set")


def test_a_volume_that_is_no_ct_is_refused_by_its_file(run_datalist: Run, tmp_path: Path) -> None:
    bad = scan(tmp_path / "set/mr.nii.gz", low=0)
    text = converted(run_datalist, tmp_path / "set", status=1)
    assert f"{bad}" in text
    assert "the rescale intercept was lost" in text
    assert not list(tmp_path.glob("*new*"))


@pytest.mark.parametrize("flags", ["", "--modality pet", "--modality mask", "a=ct --modality ct"])
def test_one_modality_has_to_be_told(run_datalist: Run, tmp_path: Path, flags: str) -> None:
    scan(tmp_path / "set/1.nii.gz")
    assert "which all images are of" in converted(run_datalist, tmp_path / "set", flags, status=1)


def test_a_folder_without_images_is_refused(run_datalist: Run, tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set/notes.txt").touch()
    assert "found notes.txt" in converted(run_datalist, tmp_path / "set", status=1)


def test_radiographs_may_be_dicom_files_one_by_one(run_datalist: Run, tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    for number in range(2):
        image = ct_slice(number, "1.2.3", Modality="DX")
        pydicom.dcmwrite(tmp_path / f"set/{number}.dcm", image, enforce_file_format=True)
    converted(run_datalist, tmp_path / "set", "--modality xray --check False")
    assert [case["xray"] for case in find_cases(tmp_path / "new")] == [f"{tmp_path}/new/{n}/xray.dcm" for n in (0, 1)]
