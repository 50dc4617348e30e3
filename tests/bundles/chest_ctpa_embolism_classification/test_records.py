"""Which cases are judged, by which image, and with which finding."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from embolism_bundle.records import finding_records, positive_weight, sections_of

from transmodal.data import find_cases, write_sections
from transmodal.errors import InputError


def test_a_record_has_the_image_and_the_finding(chests: Path) -> None:
    records = finding_records(find_cases(chests))
    assert [(record["case"], record["label"]) for record in records] == [("a", 0), ("b", 1), ("c", 0), ("d", 1)]
    assert records[0]["image"] == str(chests / "a" / "ct.nii.gz")


def test_the_finding_is_not_asked_for_where_nothing_is_compared(chests: Path) -> None:
    cases = [{"case": "a", "ct": "a.nii.gz"}]
    assert finding_records(cases, labelled=False) == [{"case": "a", "patient": "a", "image": "a.nii.gz"}]


def test_a_case_without_the_image_brings_what_it_is_made_from(chests: Path) -> None:
    cases = [{"case": "a", "ct": "a.nii.gz"}, {"case": "b", "ct": "b.nii.gz", "xray": "b.png"}]
    first, second = finding_records(cases, "xray", otherwise="ct", labelled=False)
    assert (first.get("image"), first.get("ct")) == (None, "a.nii.gz")
    assert (second.get("image"), second.get("ct")) == ("b.png", None)


def test_images_of_another_folder_take_the_place_of_the_cases_own(chests: Path, tmp_path: Path) -> None:
    """Findings remain those of the data set, where a generated CT has none."""
    (tmp_path / "generated" / "b").mkdir(parents=True)
    shutil.copy(chests / "a" / "ct.nii.gz", tmp_path / "generated" / "b" / "ct.nii.gz")
    (record,) = finding_records(find_cases(chests), images_dir=tmp_path / "generated")
    assert (record["case"], record["label"]) == ("b", 1)
    assert record["image"] == str(tmp_path / "generated" / "b" / "ct.nii.gz")


def test_a_folder_of_other_cases_is_refused(chests: Path, tmp_path: Path) -> None:
    shutil.copytree(chests / "a", tmp_path / "generated" / "z")
    with pytest.raises(InputError, match=r"found 1 cases \(z\), none of those asked for"):
        finding_records(find_cases(chests), images_dir=tmp_path / "generated")


def test_cases_without_any_image_are_refused(chests: Path) -> None:
    with pytest.raises(InputError, match="4 cases: found none with xray; the first has ct lesion"):
        finding_records(find_cases(chests), "xray")


def test_the_section_of_a_case_is_that_of_the_list(chests: Path, tmp_path: Path) -> None:
    cases = find_cases(chests)
    sections = {"training": cases[:2], "validation": cases[2:3], "test": cases[3:]}
    write_sections(tmp_path / "split.json", sections, made={})
    assert sections_of(chests) == {}
    told = sections_of(chests, tmp_path / "split.json")
    assert told == {"a": "training", "b": "training", "c": "validation", "d": "test"}


@pytest.mark.parametrize("place", ["models/split.json", "output/split.json"])
def test_the_split_of_the_training_tells_sections_without_a_list(place: str, chests: Path, tmp_path: Path) -> None:
    cases = find_cases(chests)
    (tmp_path / place).parent.mkdir()
    write_sections(tmp_path / place, {"training": cases[:3], "validation": [], "test": cases[3:]}, made={})
    told = sections_of(chests, weights=tmp_path / "models" / "model.pt")
    assert told == {"a": "training", "b": "training", "c": "training", "d": "test"}


def test_a_training_case_stays_one_in_whatever_list(chests: Path, tmp_path: Path) -> None:
    cases = find_cases(chests)
    write_sections(tmp_path / "split.json", {"training": cases[:1], "validation": cases[1:2], "test": []}, made={})
    write_sections(tmp_path / "list.json", {"training": cases[3:], "test": cases[:3]}, made={})
    told = sections_of(chests, tmp_path / "list.json", tmp_path / "model.pt")
    assert told == {"a": "training", "b": "validation", "c": "test", "d": "training"}


def test_both_kinds_of_cases_weigh_alike() -> None:
    assert positive_weight([{"label": 1}, {"label": 0}, {"label": 0}, {"label": 0}]) == 3.0


def test_a_weight_that_is_given_is_taken() -> None:
    assert positive_weight([{"label": 0}], given=2.764) == 2.764


@pytest.mark.parametrize("label", [0, 1])
def test_cases_of_one_kind_cannot_be_told_apart(label: int) -> None:
    with pytest.raises(
        InputError, match=r"2 training cases: found .* with the finding; wanted cases with it and cases"
    ):
        positive_weight([{"label": label}] * 2)


@pytest.mark.parametrize("given", [0, -1.0, "2", True])
def test_a_weight_that_is_none_is_refused(given: object) -> None:
    with pytest.raises(InputError, match="'pos_weight'"):
        positive_weight([{"label": 0}], given=given)  # type: ignore[arg-type]
