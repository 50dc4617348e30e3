"""Published lists: ids find their cases, whatever the layout, and what does not fit is one error with its names."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from intake.splits import DrawnSplit, ListedSplit
from transmodal.errors import InputError

Run = Callable[..., str]
FOUR = ("flair", "t1", "t1ce", "t2")


def lists(folder: Path, **ids: str) -> str:
    """The files train.list, val.list and test.list with these ids, as --lists takes them."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in ("train", "val", "test"):
        (folder / f"{part}.list").write_text("\n".join(ids.get(part, "").split()) + "\n", encoding="utf-8")
    return ",".join(f"{folder}/{part}.list" for part in ("train", "val", "test"))


def given(*names: str, **patients: str) -> dict[str, list[dict[str, str]]]:
    cases = [{"case": name} | ({"patient": patients[name]} if name in patients else {}) for name in names]
    return {"training": cases, "validation": [], "test": []}


def divided(split: ListedSplit, cases: dict[str, list[dict[str, str]]]) -> list[list[str]]:
    return [[case["case"] for case in section] for section in split.divide(cases, ()).values()]


@pytest.fixture
def data_set(tmp_path: Path) -> Path:
    """Four cases of four contrasts in our own layout."""
    for case in ("a", "b", "c", "d"):
        for number, contrast in enumerate(FOUR):
            array = np.zeros((12, 12, 4), np.float32)
            array[3:9, 3:9] = 100 + number
            path = tmp_path / f"set/{case}/{contrast}.nii.gz"
            path.parent.mkdir(parents=True, exist_ok=True)
            nibabel.save(nibabel.Nifti1Image(array, np.eye(4)), path)
    return tmp_path / "set"


def test_ids_are_names_of_cases(tmp_path: Path) -> None:
    split = ListedSplit(lists(tmp_path, train="b a", val="c", test="d"))
    assert divided(split, given("a", "b", "c", "d")) == [["a", "b"], ["c"], ["d"]]
    assert split.warnings == []


def test_lists_override_the_sections_of_the_source(tmp_path: Path) -> None:
    cases = given("a") | {"validation": [{"case": "b"}], "test": [{"case": "c"}]}
    assert divided(ListedSplit(lists(tmp_path, train="b c", val="a")), cases) == [["b", "c"], ["a"], []]


@pytest.mark.parametrize(
    ("each", "case"),
    [
        ("BraTS19_CBICA_AAB_1", "BraTS19_CBICA_AAB_1"),
        ("BraTS19_CBICA_AAB_1", "HGG_BraTS19_CBICA_AAB_1"),
        ("CBICA_AAB", "BraTS19_CBICA_AAB_1"),
        ("7", "isles_07"),
        ("07", "isles_7"),
        ("7", "patient07"),
        ("7", "7_siss"),
    ],
)
def test_an_id_may_be_a_part_of_the_name(each: str, case: str, tmp_path: Path) -> None:
    assert divided(ListedSplit(lists(tmp_path, train=each)), given(case))[0] == [case]


@pytest.mark.parametrize(
    ("each", "case"),
    [
        ("7", "isles_17"),
        ("7", "isles_70"),
        ("AAB", "BraTS19_CBICA_AABX_1"),
        ("AB_1", "BraTS19_CBICA_AAB_1"),
        ("A.B", "case_AxB"),
        ("a_1", "a_11"),
    ],
)
def test_an_id_is_a_whole_word(each: str, case: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="1 of 1 ids that are the names of no cases"):
        ListedSplit(lists(tmp_path, train=each)).divide(given(case), ())


def test_the_closest_likeness_decides(tmp_path: Path) -> None:
    split = ListedSplit(lists(tmp_path, train="p_1 p_2"))
    assert divided(split, given("p_1", "x_p_1", "p_1_x", "p_2_x", "x_p_2"))[0] == ["p_1", "x_p_2"]


def test_a_patient_brings_all_examinations(tmp_path: Path) -> None:
    cases = given("P-0-000", "P-0-001", "a", "b", **{"P-0-000": "P-0", "P-0-001": "P-0", "a": "other", "b": "other"})
    split = ListedSplit(lists(tmp_path, train="P-0", test="other"))
    assert divided(split, cases) == [["P-0-000", "P-0-001"], [], ["a", "b"]]


def test_cases_in_no_list_are_left_out_and_told(tmp_path: Path) -> None:
    split = ListedSplit(lists(tmp_path, train="a", val="b"))
    assert divided(split, given("a", "b", "c", "d")) == [["a"], ["b"], []]
    assert split.warnings == ["2 cases left out, because no list names them: c, d"]


@pytest.mark.parametrize(
    ("ids", "told"),
    [
        ({"train": "a x", "test": "y"}, "found 2 of 3 ids that are the names of no cases: x, y; wanted an id for each"),
        ({"train": "1"}, "found ids that fit several cases: 1 (p_1, q_1)"),
        ({"train": "2", "test": "p_2"}, "found ids that mean one case: 2 and p_2 (p_2)"),
    ],
)
def test_ids_that_do_not_fit_are_one_error(ids: dict[str, str], told: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as raised:
        ListedSplit(lists(tmp_path, **ids)).divide(given("a", "p_1", "q_1", "p_2"), ())
    assert told in str(raised.value)
    assert "train.list" in str(raised.value)


@pytest.mark.parametrize(
    ("ids", "told"),
    [({"train": "a b", "test": "a"}, "found the ids a more than once"), ({"train": " "}, "found no ids")],
)
def test_an_id_stands_in_one_list(ids: dict[str, str], told: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=told):
        ListedSplit(lists(tmp_path, **ids))


def test_lines_may_have_other_ends_and_be_empty(tmp_path: Path) -> None:
    (tmp_path / "train.list").write_bytes("\ufeffa\r\n\r\n b \r\n".encode())
    assert ListedSplit(f"{tmp_path}/train.list,,").ids == {"training": ["a", "b"], "validation": [], "test": []}


@pytest.mark.parametrize("form", ["{0}/train.list", "{0}/train.list,{0}/val.list", "{0}/lists.txt:isles", "7"])
def test_other_wishes_are_refused(form: str, tmp_path: Path) -> None:
    lists(tmp_path, train="a", val="b")
    with pytest.raises(InputError, match=r"--lists: found .*; wanted three files with an id per line"):
        ListedSplit(form.format(tmp_path))


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_a_list_that_cannot_be_read_is_refused(content: bytes | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "train.list").write_bytes(content)
    with pytest.raises(InputError, match=r"train\.list: found a file that cannot be read"):
        ListedSplit(f"{tmp_path}/train.list,,")


SPLITS: dict[str, Any] = {"one": {"training": [1, "b"], "test": ["c"]}, "counts": {"counts": {"training": 3}}}


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (":two", "splits.json:two: found no such split; wanted one of "),
        ("", "splits.json:: found no such split; wanted one of "),
        (":counts", "splits.json:counts: found a split whose ids are not in the file"),
    ],
)
def test_a_split_without_ids_is_refused(name: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "splits.json").write_text(json.dumps(SPLITS), encoding="utf-8")
    assert ListedSplit(f"{tmp_path}/splits.json:one").ids == {"training": ["1", "b"], "validation": [], "test": ["c"]}
    with pytest.raises(InputError) as raised:
        ListedSplit(f"{tmp_path}/splits.json{name}")
    assert told in str(raised.value)


def test_a_file_that_is_no_json_is_refused(tmp_path: Path) -> None:
    (tmp_path / "splits.json").write_text("{", encoding="utf-8")
    with pytest.raises(InputError, match=r"splits.json: found no JSON \("):
        ListedSplit(f"{tmp_path}/splits.json:one")


def test_drawn_sections_leave_those_of_the_source() -> None:
    cases = given(*"abcdefgh") | {"test": [{"case": "z"}]}
    sections = DrawnSplit(0.25, 0.25, 0).divide(cases, ())
    assert [len(section) for section in sections.values()] == [6, 2, 1]
    assert sections["test"] == [{"case": "z"}]


def test_the_published_splits_are_those_of_the_method(root: Path) -> None:
    path = root / "bundles/brain_mri_mudiff_synthesis/docs/splits.json"
    ids = ListedSplit(f"{path}:isles2015").ids
    assert ids["training"] == [f"{number}" for number in range(1, 21)]
    assert (ids["validation"], ids["test"]) == (["21", "22"], ["23", "24", "25", "26", "27"])
    brats = json.loads(path.read_text(encoding="utf-8"))["brats2019"]
    assert brats["counts"] == {"training": 214, "validation": 61, "test": 30}
    assert sum(brats["test_centres"].values()) == brats["counts"]["test"]
    with pytest.raises(InputError, match="give the lists as published: --lists TRAIN,VALIDATION,TEST"):
        ListedSplit(f"{path}:brats2019")


def test_lists_split_our_own_layout(data_set: Path, run_datalist: Run, tmp_path: Path) -> None:
    asked = lists(tmp_path, train="a b", test="d")
    text = run_datalist(f"{data_set} --lists {asked} --output {tmp_path}/list.json")
    content = json.loads((tmp_path / "list.json").read_text(encoding="utf-8"))
    assert content["made"] == {"lists": asked}
    assert [[case["case"] for case in content[name]] for name in ("training", "validation", "test")] == [
        ["a", "b"],
        [],
        ["d"],
    ]
    assert "warning: 1 cases left out, because no list names them: c" in text
    assert set(content["training"][0]) == {"case", *FOUR}


def test_wrong_lists_convert_nothing(data_set: Path, run_datalist: Run, tmp_path: Path) -> None:
    for path in data_set.rglob("*.nii.gz"):
        path.rename(path.with_name(f"{path.parent.name}_{path.name}"))
    flags = f"--from brats --lists {lists(tmp_path, train='a', test='nobody')} --output {tmp_path}/new"
    assert "1 of 2 ids that are the names of no cases: nobody" in run_datalist(f"{data_set} {flags}", status=1)
    assert not list(tmp_path.glob("*new*"))


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ("--validation 0.2", "--lists: found it with --validation or --test; wanted one of the two"),
        ("--test a", "--lists: found it with --validation or --test"),
    ],
)
def test_lists_and_shares_exclude_each_other(
    flags: str, told: str, data_set: Path, run_datalist: Run, tmp_path: Path
) -> None:
    assert told in run_datalist(f"{data_set} {flags} --lists {lists(tmp_path, train='a')}", status=1)


def test_a_data_list_has_its_split_already(data_set: Path, run_datalist: Run, tmp_path: Path) -> None:
    run_datalist(f"{data_set} --output {data_set}/dataset.json")
    text = run_datalist(f"{data_set}/dataset.json --lists {lists(tmp_path, train='a')}", status=1)
    assert "--lists: found it with a data list; wanted it with a folder" in text
