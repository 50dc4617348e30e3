"""The file dataset.json: read with every fault named, written whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from monai.data import load_decathlon_datalist

from transmodal.data.sections import check_sections, find_list, read_made, read_sections, write_sections
from transmodal.errors import InputError


def list_file(folder: Path, content: Any) -> Path:
    """A data list and empty files at the relative places it names."""
    path = folder / "dataset.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    if isinstance(content, dict):
        records = [
            r for section in content.values() if isinstance(section, list) for r in section if isinstance(r, dict)
        ]
        for value in [v for r in records for k, v in r.items() if k not in ("case", "patient") and isinstance(v, str)]:
            (folder / value).parent.mkdir(parents=True, exist_ok=True)
            (folder / value).touch()
    return path


def test_relative_paths_are_relative_to_the_list(tmp_path: Path) -> None:
    path = list_file(tmp_path, {"training": [{"ct": "a/ct.mha"}], "validation": [], "test": []})
    assert read_sections(path)["training"] == [{"case": "a", "ct": f"{tmp_path}/a/ct.mha"}]


def test_absolute_paths_stay(tmp_path: Path) -> None:
    elsewhere = tmp_path / "x.nii.gz"
    path = list_file(tmp_path, {"test": [{"mr": str(elsewhere)}]})
    assert read_sections(path)["test"] == [{"case": "x", "mr": str(elsewhere)}]


def test_a_case_is_named_by_its_record_its_folder_or_its_file(tmp_path: Path) -> None:
    records = [{"case": "first", "ct": "1/ct.mha"}, {"ct": "second/ct.mha"}, {"ct": "flat/third.nii.gz"}]
    path = list_file(tmp_path, {"training": records})
    assert [case["case"] for case in read_sections(path)["training"]] == ["first", "second", "third"]


def test_sections_the_file_does_not_have_are_empty(tmp_path: Path) -> None:
    sections = read_sections(list_file(tmp_path, {"training": [{"ct": "a/ct.mha"}]}))
    assert (sections["validation"], sections["test"]) == ([], [])


def test_broken_json_is_refused_with_its_line(tmp_path: Path) -> None:
    path = list_file(tmp_path, '{\n  "training": [\n    {"ct": "a/ct.mha",}\n  ]\n}\n')
    with pytest.raises(InputError, match=r"dataset\.json: found no valid JSON at line 3, column \d+"):
        read_sections(path)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ([], "found a JSON list"),
        ({"train": [{"ct": "a/ct.mha"}]}, "found the sections 'train'; wanted sections training, validation, test"),
        ({"training": [], "val": []}, "found the sections 'val'"),
        ({}, "found the sections nothing"),
        ({"training": {"ct": "a"}}, "'training' is no list"),
        ({"training": ["a/ct.mha"]}, r"training\[0\] is a/ct\.mha; wanted an object of non-empty strings"),
        ({"training": [{"ct": ["a", "b"]}]}, r"training\[0\] is \{'ct'"),
        ({"training": [{"ct": "a/ct.mha"}, {"cct": "b/ct.mha"}]}, r"the unknown keys 'cct' in training\[1\]"),
        ({"training": [{"case": "a"}]}, r"no image in training\[0\]"),
    ],
)
def test_a_list_of_another_form_is_refused(tmp_path: Path, content: Any, told: str) -> None:
    with pytest.raises(InputError, match=told):
        read_sections(list_file(tmp_path, content))


def test_further_modalities_can_be_allowed(tmp_path: Path) -> None:
    path = list_file(tmp_path, {"training": [{"cbct": "a/cbct.mha"}]})
    assert read_sections(path, modalities=["cbct"])["training"][0]["cbct"] == f"{tmp_path}/a/cbct.mha"


def test_missing_files_are_refused_together(tmp_path: Path) -> None:
    path = list_file(tmp_path, {"training": [{"ct": "a/ct.mha"}, {"ct": "b/ct.mha"}, {"ct": "c/ct.mha"}]})
    for case in "ac":
        (tmp_path / case / "ct.mha").unlink()
    with pytest.raises(InputError, match=r"2 files that do not exist: .*a/ct\.mha, .*c/ct\.mha;"):
        read_sections(path)


def test_missing_files_are_allowed_where_only_names_matter(tmp_path: Path) -> None:
    path = list_file(tmp_path, {"training": [{"ct": "a/ct.mha"}]})
    (tmp_path / "a/ct.mha").unlink()
    assert read_sections(path, exist=False)["training"][0]["case"] == "a"


def test_a_missing_list_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"list\.json: found no file that can be read"):
        read_sections(tmp_path / "list.json")


def test_a_patient_in_two_sections_is_refused(tmp_path: Path) -> None:
    content = {
        "training": [{"case": "p1_a", "patient": "p1", "ct": "1/ct.mha"}, {"case": "p2", "ct": "3/ct.mha"}],
        "test": [{"case": "p1_b", "patient": "p1", "ct": "2/ct.mha"}],
    }
    with pytest.raises(
        InputError, match=r"patients in two sections: p1 \(test, training\); wanted all images of a patient"
    ):
        read_sections(list_file(tmp_path, content))


def test_a_case_listed_twice_is_refused() -> None:
    with pytest.raises(InputError, match="the cases a more than once"):
        check_sections({"training": [{"case": "a", "ct": "1"}, {"case": "a", "ct": "2"}]}, "list")


SECTIONS = {"training": [{"case": "a", "patient": "p", "ct": "/data/a/ct.mha"}], "validation": [], "test": []}


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "new" / "dataset.json"
    assert write_sections(path, SECTIONS, {"seed": 3})
    assert read_sections(path, exist=False) == SECTIONS
    assert read_made(path) == {"seed": 3}
    assert [entry.name for entry in path.parent.iterdir()] == ["dataset.json"]


def test_monai_reads_what_is_written(tmp_path: Path) -> None:
    write_sections(tmp_path / "list.json", SECTIONS, {})
    assert load_decathlon_datalist(tmp_path / "list.json", data_list_key="training") == SECTIONS["training"]


def test_the_same_content_is_not_written_again(tmp_path: Path) -> None:
    path = tmp_path / "dataset.json"
    write_sections(path, SECTIONS, {})
    before = path.stat().st_mtime_ns, path.stat().st_ino
    assert not write_sections(path, SECTIONS, {})
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == before


def test_a_list_beside_its_files_can_be_moved_with_them(tmp_path: Path) -> None:
    (tmp_path / "set/a").mkdir(parents=True)
    (tmp_path / "set/a/ct.mha").touch()
    cases = [{"case": "a", "ct": str(tmp_path / "set/a/ct.mha")}]
    write_sections(tmp_path / "set/dataset.json", {"training": cases}, {}, relative=True)
    (tmp_path / "set").rename(tmp_path / "moved")
    assert read_sections(tmp_path / "moved/dataset.json")["training"][0]["ct"] == str(tmp_path / "moved/a/ct.mha")


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "dataset.json"
    write_sections(path, SECTIONS, {"seed": 0})

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(InputError, match=r"a place that cannot be written \(No space left on device\)"):
        write_sections(path, SECTIONS, {"seed": 1})
    assert read_made(path) == {"seed": 0}
    assert [entry.name for entry in tmp_path.iterdir()] == ["dataset.json"]


def test_the_list_of_a_data_set_is_found(tmp_path: Path) -> None:
    assert find_list(tmp_path) is None
    path = list_file(tmp_path, {"training": []})
    assert find_list(tmp_path) == find_list(path) == path
    assert find_list(tmp_path, tmp_path / "other.json") == tmp_path / "other.json"


def test_a_lone_radiograph_names_its_case_without_its_extension(tmp_path: Path) -> None:
    records = [{"xray": "a/xray.dcm"}, {"xray": "7.dcm"}]
    cases = read_sections(list_file(tmp_path, {"training": records}), exist=False)["training"]
    assert [case["case"] for case in cases] == ["a", "7"]
