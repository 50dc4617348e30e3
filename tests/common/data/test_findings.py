"""Findings from tables and masks: what they say, where they disagree, and what is missing."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from transmodal.data import find_cases, find_table, with_findings
from transmodal.data.layout import Case
from transmodal.errors import InputError

CASES: list[Case] = [{"case": name, "ct": f"/data/{name}/ct.nii.gz"} for name in ("a", "b")]


def table(folder: Path, text: str, name: str = "labels.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def masked(tmp_path: Path) -> Path:
    """Case a has a lesion, case b an empty mask."""
    for name, value in (("a", 1), ("b", 0)):
        (tmp_path / name).mkdir()
        for modality, level in (("lesion", value), ("ct", 5)):
            voxels = np.zeros((8, 8, 2), dtype=np.uint8)
            voxels[3, 4, 1] = level
            nib.save(nib.Nifti1Image(voxels, np.eye(4)), tmp_path / name / f"{modality}.nii.gz")
    return tmp_path


def findings(cases: list[Case]) -> dict[str, str | None]:
    return {case["case"]: case.get("embolism") for case in cases}


def test_a_table_tells_by_the_name_of_the_case(tmp_path: Path) -> None:
    path = table(tmp_path, "case,embolism\nb,1\na,0\n")
    assert findings(with_findings(CASES, path)) == {"a": "0", "b": "1"}


def test_the_records_stay_as_they_were(tmp_path: Path) -> None:
    found = with_findings(CASES, table(tmp_path, "case,embolism\na,0\nb,1\n"))
    assert [{key: case[key] for key in ("case", "ct")} for case in found] == CASES
    assert "embolism" not in CASES[0]


@pytest.mark.parametrize("yes", ["1", "1.0", "true", "True", " 1 "])
def test_a_yes_may_be_written_in_several_ways(tmp_path: Path, yes: str) -> None:
    path = table(tmp_path, f"\ufeffcase , embolism ,age\na,{yes},71\nb,0,68\n")
    assert findings(with_findings(CASES, path)) == {"a": "1", "b": "0"}


def test_a_table_may_tell_of_more_cases_and_findings(tmp_path: Path) -> None:
    path = table(tmp_path, "case,oedema,embolism\nz,1,1\na,1,0\nb,1,0\n")
    assert findings(with_findings(CASES, path)) == {"a": "0", "b": "0"}
    assert [case["oedema"] for case in with_findings(CASES, path, column="oedema")] == ["1", "1"]


def test_a_mask_tells_by_being_empty_or_not(masked: Path) -> None:
    assert findings(with_findings(find_cases(masked))) == {"a": "1", "b": "0"}


def test_masks_of_another_data_set_tell_of_cases_of_the_same_name(masked: Path) -> None:
    assert findings(with_findings(CASES, masked)) == {"a": "1", "b": "0"}


def test_a_data_set_with_a_table_tells_by_its_table(masked: Path) -> None:
    table(masked, "case,embolism\na,0\nb,0\n")
    assert findings(with_findings(CASES, masked)) == {"a": "0", "b": "0"}


def test_a_mask_that_contradicts_its_row_is_refused(masked: Path) -> None:
    path = table(masked, "case,embolism\na,0\nb,1\n")
    with pytest.raises(
        InputError, match=r"contradict each other: a \(.*is not empty, the table says 0\), b \(.*is empty"
    ):
        with_findings(find_cases(masked), path)


def test_cases_of_which_nothing_is_known_are_refused_by_name(tmp_path: Path) -> None:
    path = table(tmp_path, "case,embolism\nb,1\n")
    with pytest.raises(InputError, match="nothing about 'embolism' of 1 of 2 cases: a") as refusal:
        with_findings(CASES, path)
    assert "--labels" in refusal.value.remedy


def test_unknown_cases_stay_without_a_finding_where_none_is_required(tmp_path: Path) -> None:
    path = table(tmp_path, "case,embolism\nb,1\n")
    assert findings(with_findings(CASES, path, required=False)) == {"a": None, "b": "1"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("case,embolism\na,0\nb,2\n", "'2' for 'b' in line 3"),
        ("case,embolism\na,\n", "'' for 'a' in line 2"),
        ("case,embolism\n,1\n", "'1' for '' in line 2"),
        ("case,embolism\na,0\na,1\n", "'1' for 'a' in line 3, and the other value before"),
        ("case;embolism\na;0\n", "the columns case;embolism, without case and embolism"),
        ("", "the columns of an empty file, without case and embolism"),
    ],
)
def test_a_table_that_is_wrong_is_refused_with_its_line(tmp_path: Path, text: str, told: str) -> None:
    path = table(tmp_path, text)
    with pytest.raises(InputError, match=told) as refusal:
        with_findings(CASES, path)
    assert str(refusal.value).startswith(str(path))


def test_a_missing_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found no table that can be read"):
        with_findings(CASES, tmp_path / "labels.csv")


def test_the_table_beside_the_cases_is_found(tmp_path: Path) -> None:
    assert find_table(tmp_path) is None
    path = table(tmp_path, "case,embolism\n")
    assert find_table(tmp_path) == path
    assert find_table(tmp_path, "elsewhere.csv") == Path("elsewhere.csv").absolute()
