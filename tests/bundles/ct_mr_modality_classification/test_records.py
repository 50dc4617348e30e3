"""Which images of a data set are judged, and what they are called."""

from __future__ import annotations

from pathlib import Path

import pydicom
import pytest
from modality_bundle.records import NEITHER, image_records, select_images

from tests.common.conftest import ct_slice
from transmodal.errors import InputError

CLASSES = {"ct": ["ct"], "mr": ["mr", "t2"]}


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"-")
    return path


def test_every_image_of_a_case_is_a_record_of_its_own(phantoms: Path) -> None:
    records = image_records(select_images(phantoms), CLASSES)
    assert [(record["case"], record["name"]) for record in records] == [
        (f"phantom_00{number}", name) for number in range(2) for name in ("ct", "mr", "t2", "xray")
    ]
    assert all(Path(record["path"]).is_file() and record["window"] == [] for record in records)
    assert "label" not in records[0]


def test_labels_come_from_the_names_of_files(phantoms: Path) -> None:
    records = image_records(select_images(phantoms)[:1], CLASSES, neither=["xray"], labelled=True)
    assert {record["name"]: record["label"] for record in records} == {"ct": 0, "mr": 1, "t2": 1, "xray": NEITHER}


def test_images_without_a_label_are_left_out_where_labels_count(phantoms: Path) -> None:
    records = image_records(select_images(phantoms)[:1], CLASSES, labelled=True)
    assert [record["name"] for record in records] == ["ct", "mr", "t2"]


def test_each_ct_comes_again_in_each_window(phantoms: Path) -> None:
    records = image_records(select_images(phantoms)[:1], CLASSES, labelled=True, windows={"lung": [-1350, 150]})
    assert [record["name"] for record in records] == ["ct", "ct, lung window", "mr", "t2"]
    assert records[1]["window"] == [-1350.0, 150.0]
    assert records[1]["label"] == 0


def test_a_data_set_without_a_name_of_a_class_is_refused(tmp_path: Path) -> None:
    touch(tmp_path / "a" / "xray.png")
    with pytest.raises(InputError, match="no image whose name tells its modality"):
        image_records(select_images(tmp_path), CLASSES, labelled=True)


def test_a_file_whose_name_tells_nothing_is_a_case(tmp_path: Path) -> None:
    scan = touch(tmp_path / "scan.nii.gz")
    assert select_images(scan) == [{"case": "scan", "image": str(scan)}]


def test_a_file_named_after_a_modality_is_of_the_case_of_its_folder(tmp_path: Path) -> None:
    scan = touch(tmp_path / "STS_001" / "CT.mha")
    assert select_images(scan) == [{"case": "STS_001", "ct": str(scan)}]


def test_a_folder_of_pictures_is_a_case_for_each(tmp_path: Path) -> None:
    files = [touch(tmp_path / name) for name in ("a.png", "b.jpg", "b.png")]
    assert [case["case"] for case in select_images(tmp_path)] == ["a", "b.jpg", "b.png"]
    assert [case["image"] for case in select_images(tmp_path)] == [str(file) for file in files]


def test_a_case_may_hold_an_image_without_a_modality(tmp_path: Path) -> None:
    scan = touch(tmp_path / "case_1" / "image.nii.gz")
    assert select_images(tmp_path) == [{"case": "case_1", "image": str(scan)}]


def test_a_dicom_folder_is_a_case(tmp_path: Path) -> None:
    folder = tmp_path / "unknown_scan"
    folder.mkdir()
    pydicom.dcmwrite(folder / "0.dcm", ct_slice(0, "1.2.3"), enforce_file_format=True)
    assert select_images(folder) == [{"case": "unknown_scan", "image": str(folder)}]


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="an empty folder"):
        select_images(tmp_path)
