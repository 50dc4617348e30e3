"""Which cases are run on: sections of a list, and folders of loose images."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.common.radiographs import write_radiograph
from transmodal.data import find_cases, select_cases
from transmodal.errors import InputError


def folder_of(root: Path, *names: str) -> Path:
    """Empty files: selection goes by names alone."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def radiographs(root: Path, *views: str) -> Path:
    root.mkdir()
    for number, view in enumerate(views):
        write_radiograph(root / f"{number}.dcm", np.full((8, 8), 9, np.uint16), ViewPosition=view)
    return root


def test_loose_images_are_cases_named_after_their_files(tmp_path: Path) -> None:
    names = ("a.png", "b.JPG", "c.nii.gz", "d.mha", "e.nrrd", "f.dcm", "g.1.jpeg")
    folder_of(tmp_path, *names, "Data_Entry.csv", ".hidden.png")
    assert select_cases(tmp_path, modality="xray") == [
        {"case": case, "xray": f"{tmp_path}/{name}"}
        for case, name in zip(("a", "b", "c", "d", "e", "f", "g.1"), names, strict=True)
    ]


def test_real_radiographs_in_one_folder_are_cases(shared: Path) -> None:
    cases = select_cases(shared / "data/chest_xray", modality="xray")
    assert [case["case"] for case in cases] == ["00000001_000", "00027426_000"]


def test_two_loose_images_of_one_name_are_refused(tmp_path: Path) -> None:
    folder_of(tmp_path, "a.png", "a.nii.gz", "b.png")
    with pytest.raises(InputError, match=r"found images of one name: a\.nii\.gz and a\.png; wanted one image for each"):
        select_cases(tmp_path, modality="xray")


@pytest.mark.parametrize(
    "names",
    [
        ("xray.png",),
        ("ct.mha", "mr.mha"),
        ("p1_ct.nii.gz", "p1_xray.png"),
        ("p1.png", "p1-mask.png"),
        ("p1_t1n.nii.gz",),
        ("a.png", "more/b.png"),
        ("Data_Entry.csv",),
    ],
)
def test_folders_of_which_it_is_not_plain_what_they_hold_are_refused_as_ever(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    folder_of(tmp_path, *names)
    with pytest.raises(InputError, match="but no case; wanted dataset_dir/<case>/<modality>"):
        select_cases(tmp_path, modality="xray")


def test_loose_images_without_a_modality_are_refused_as_ever(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"2 files \(a\.png, b\.png\), but no case"):
        select_cases(folder_of(tmp_path, "a.png", "b.png"))


def test_images_beside_folders_of_cases_are_no_cases(tmp_path: Path) -> None:
    folder_of(tmp_path, "a/xray.png", "figure.png")
    assert select_cases(tmp_path, modality="xray") == [{"case": "a", "xray": f"{tmp_path}/a/xray.png"}]


def test_a_list_in_the_folder_comes_before_loose_images(tmp_path: Path) -> None:
    folder_of(tmp_path, "a.png", "b.png")
    (tmp_path / "dataset.json").write_text(json.dumps({"test": [{"case": "one", "xray": "b.png"}]}), encoding="utf-8")
    assert select_cases(tmp_path, modality="xray") == [{"case": "one", "xray": f"{tmp_path}/b.png"}]


def test_a_folder_of_one_dicom_series_stays_one_case(shared: Path) -> None:
    folder = shared / "data/dicom_ct_mr/CT/image"
    assert select_cases(folder, modality="ct") == find_cases(folder, modality="ct")


def test_the_one_frontal_radiograph_of_a_dicom_folder_stays_one_case(tmp_path: Path) -> None:
    folder = radiographs(tmp_path / "study", "PA", "LL")
    assert select_cases(folder, modality="xray") == [{"case": "study", "xray": str(folder)}]


def test_several_frontal_radiographs_in_dicom_are_a_case_each(tmp_path: Path) -> None:
    folder = radiographs(tmp_path / "study", "PA", "AP")
    assert [case["case"] for case in select_cases(folder, modality="xray")] == ["0", "1"]


def test_dicom_and_pictures_in_one_folder_are_a_case_each(tmp_path: Path) -> None:
    folder = folder_of(radiographs(tmp_path / "mixed", "PA"), "a.png")
    assert [case["case"] for case in select_cases(folder, modality="xray")] == ["0", "a"]
