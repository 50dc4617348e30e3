"""Discovery of cases: the layout, its error messages, and single scans."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from transmodal.data import find_cases
from transmodal.data.cases import discover_cases
from transmodal.errors import InputError


def data_set(root: Path, *files: str) -> Path:
    """Empty files at these places: discovery goes by names alone."""
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()
    return root


def test_cases_are_sorted_and_have_absolute_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data_set(tmp_path, "b/ct.mha", "b/mr.nii.gz", "a/ct.nrrd", "a/mask.nii")
    monkeypatch.chdir(tmp_path.parent)
    assert find_cases(tmp_path.name) == [
        {"case": "a", "ct": f"{tmp_path}/a/ct.nrrd", "mask": f"{tmp_path}/a/mask.nii"},
        {"case": "b", "ct": f"{tmp_path}/b/ct.mha", "mr": f"{tmp_path}/b/mr.nii.gz"},
    ]


def test_names_in_capitals_are_found(tmp_path: Path) -> None:
    data_set(tmp_path, "a/CT.NII.GZ")
    assert find_cases(tmp_path)[0]["ct"].endswith("CT.NII.GZ")


def test_a_folder_named_after_a_modality_is_a_dicom_folder(tmp_path: Path) -> None:
    data_set(tmp_path, "a/ct/000.dcm")
    assert find_cases(tmp_path) == [{"case": "a", "ct": f"{tmp_path}/a/ct"}]


def test_what_bundles_write_beside_images_is_ignored(tmp_path: Path) -> None:
    clutter = ("metrics.csv", "figure.png", "a/ct_std.nii.gz", "a/.ct.nii.gz", "a/notes.txt", "overview/a.png")
    data_set(tmp_path, "a/ct.nii.gz", *clutter)
    assert find_cases(tmp_path) == [{"case": "a", "ct": f"{tmp_path}/a/ct.nii.gz"}]


def test_only_the_modalities_asked_for_are_returned(tmp_path: Path) -> None:
    data_set(tmp_path, "a/ct.mha", "a/mr.mha", "b/mr.mha")
    assert find_cases(tmp_path, modalities=["ct"]) == [{"case": "a", "ct": f"{tmp_path}/a/ct.mha"}]


def test_a_modality_of_another_name_is_found_when_asked_for(tmp_path: Path) -> None:
    data_set(tmp_path, "a/cbct.mha")
    assert find_cases(tmp_path, modalities=["cbct"])[0]["cbct"].endswith("cbct.mha")


def test_two_files_for_one_modality_are_refused_for_all_cases_at_once(tmp_path: Path) -> None:
    data_set(tmp_path, "a/ct.mha", "a/ct.nii.gz", "b/mr.mha", "b/mr/0.dcm")
    with pytest.raises(InputError, match=r"a/ct\.mha and ct\.nii\.gz; b/mr and mr\.mha"):
        find_cases(tmp_path)


@pytest.mark.parametrize(
    ("files", "told"),
    [
        (("ct.mha", "mr.mha"), r"the files of one case \(ct\.mha, mr\.mha\)"),
        (("p1_ct.nii.gz", "p1_mr.nii.gz"), r"2 files \(p1_ct\.nii\.gz, p1_mr\.nii\.gz\)"),
        (("trainA/1.png", "trainB/2.png"), r"2 folders \(trainA/, trainB/\) with 1\.png in the first"),
    ],
)
def test_an_unknown_layout_is_refused_by_what_was_found(tmp_path: Path, files: tuple[str, ...], told: str) -> None:
    with pytest.raises(InputError, match=f"{told}, but no case; wanted dataset_dir/<case>/<modality>"):
        find_cases(data_set(tmp_path, *files))


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="an empty folder, but no case"):
        find_cases(tmp_path)


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere: found no folder that can be read \(No such file"):
        find_cases(tmp_path / "nowhere")


def test_no_case_with_the_modality_asked_for_is_refused(tmp_path: Path) -> None:
    data_set(tmp_path, "a/ct.mha")
    with pytest.raises(InputError, match="with the modalities t1"):
        find_cases(tmp_path, modalities=["t1"])


@pytest.mark.parametrize("name", ["scan.nii.gz", "slice.png"])
def test_a_single_image_is_a_case_named_after_it(tmp_path: Path, name: str) -> None:
    path = data_set(tmp_path, name) / name
    assert find_cases(path, modality="mr") == [{"case": name.split(".")[0], "mr": str(path)}]


def test_a_single_image_named_after_its_modality_is_a_case_named_after_its_folder(tmp_path: Path) -> None:
    path = data_set(tmp_path, "STS_004/ct.mha") / "STS_004/ct.mha"
    assert find_cases(path) == [{"case": "STS_004", "ct": str(path)}]


def test_a_single_image_of_unknown_modality_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="whose modality is known"):
        find_cases(data_set(tmp_path, "scan.nii.gz") / "scan.nii.gz")


def test_a_single_image_of_another_modality_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"found an image named ct\.mha; wanted an image of the modality mr"):
        find_cases(data_set(tmp_path, "a/ct.mha") / "a/ct.mha", modality="mr")


def test_a_single_file_that_is_no_image_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a file that ends in \.docx"):
        find_cases(data_set(tmp_path, "a.docx") / "a.docx", modality="ct")


def test_a_dicom_folder_is_a_case_named_after_it(shared: Path) -> None:
    folder = shared / "data/dicom_ct_mr/CT/image"
    assert find_cases(folder, modality="ct") == [{"case": "image", "ct": str(folder)}]


def test_a_data_list_overrides_what_lies_in_folders(tmp_path: Path) -> None:
    data_set(tmp_path, "a/ct.mha", "b/ct.mha", "c/ct.mha")
    sections = {"training": [{"ct": "c/ct.mha"}], "test": [{"ct": "a/ct.mha"}]}
    (tmp_path / "dataset.json").write_text(json.dumps(sections), encoding="utf-8")
    for place in (tmp_path, tmp_path / "dataset.json"):
        assert [case["case"] for case in find_cases(place)] == ["a", "c"]
    assert [case["case"] for case in discover_cases(tmp_path)] == ["a", "b", "c"]


def test_the_real_pairs_are_found(shared: Path) -> None:
    cases = find_cases(shared / "data/ct_mr_pairs")
    assert len(cases) == 18
    assert all(set(case) == {"case", "ct", "mr", "mask"} for case in cases)
    assert cases[0]["case"] == "STS_004"


def test_the_real_brain_contrasts_are_found(shared: Path) -> None:
    cases = find_cases(shared / "data/brain_multicontrast")
    assert [set(case) - {"case"} for case in cases] == [{"t1", "t1ce", "t2", "flair", "lesion"}] * 2


def test_a_radiograph_may_be_one_dicom_file(tmp_path: Path) -> None:
    data_set(tmp_path, "a/xray.dcm", "a/ct.nii.gz", "b/ct.dcm", "b/xray.png")
    assert find_cases(tmp_path) == [
        {"case": "a", "ct": f"{tmp_path}/a/ct.nii.gz", "xray": f"{tmp_path}/a/xray.dcm"},
        {"case": "b", "xray": f"{tmp_path}/b/xray.png"},
    ]


def test_a_lone_radiograph_in_dicom_is_a_case(tmp_path: Path) -> None:
    data_set(tmp_path, "c/0001.dcm", "d/xray.dcm")
    assert find_cases(tmp_path / "c/0001.dcm", modality="xray") == [{"case": "0001", "xray": f"{tmp_path}/c/0001.dcm"}]
    assert find_cases(tmp_path / "d/xray.dcm") == [{"case": "d", "xray": f"{tmp_path}/d/xray.dcm"}]
    with pytest.raises(InputError, match=r"ends in \.dcm"):
        find_cases(tmp_path / "c/0001.dcm", modality="ct")
