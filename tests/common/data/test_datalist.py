"""One call from a data set to its sections, and the same sections again when a run is resumed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from monai.bundle import ConfigParser

from transmodal.data import read_datalist
from transmodal.errors import InputError

Sections = dict[str, list[dict[str, str]]]


@pytest.fixture
def data_set(tmp_path: Path) -> Path:
    """Ten patients with CT and MR."""
    for number in range(10):
        add_case(tmp_path / "data", f"p{number}", "ct", "mr")
    return tmp_path / "data"


def add_case(root: Path, case: str, *modalities: str) -> None:
    (root / case).mkdir(parents=True, exist_ok=True)
    for modality in modalities:
        (root / case / f"{modality}.nii.gz").touch()


def names(sections: Sections) -> dict[str, list[str]]:
    return {section: [case["case"] for case in records] for section, records in sections.items()}


def test_without_a_list_cases_are_found_and_split(data_set: Path) -> None:
    sections = read_datalist(data_set)
    assert {section: len(records) for section, records in sections.items()} == {
        "training": 6,
        "validation": 2,
        "test": 2,
    }


def test_the_data_set_is_only_read(data_set: Path) -> None:
    before = sorted(data_set.rglob("*"))
    read_datalist(data_set)
    assert sorted(data_set.rglob("*")) == before


def test_a_list_in_the_data_set_is_used(data_set: Path) -> None:
    content = {"training": [{"ct": "p1/ct.nii.gz", "mr": "p1/mr.nii.gz"}], "test": [{"ct": "p0/ct.nii.gz"}]}
    (data_set / "dataset.json").write_text(json.dumps(content), encoding="utf-8")
    assert names(read_datalist(data_set)) == {"training": ["p1"], "validation": [], "test": ["p0"]}


def test_a_list_elsewhere_comes_first(data_set: Path, tmp_path: Path) -> None:
    (data_set / "dataset.json").write_text('{"training": [{"ct": "p1/ct.nii.gz"}]}', encoding="utf-8")
    (tmp_path / "mine.json").write_text('{"training": [{"ct": "data/p2/ct.nii.gz"}]}', encoding="utf-8")
    assert names(read_datalist(data_set, tmp_path / "mine.json", require=["ct"]))["training"] == ["p2"]


def test_a_case_with_one_required_modality_stays_and_one_with_none_goes(data_set: Path) -> None:
    add_case(data_set, "only_mr", "mr", "mask")
    add_case(data_set, "only_t2", "t2")
    training = {case["case"]: case for case in read_datalist(data_set)["training"]}
    assert set(training["only_mr"]) == {"case", "mr", "mask"}
    assert "only_t2" not in training


def test_what_is_scored_is_taken_from_complete_cases(data_set: Path) -> None:
    for number in range(20):
        add_case(data_set, f"single{number}", "mr")
    sections = read_datalist(data_set)
    assert all("ct" in case for case in sections["validation"] + sections["test"])


def test_a_modality_nobody_has_is_refused(data_set: Path) -> None:
    with pytest.raises(InputError, match=r"6 training cases, none with t2; wanted training cases with ct, t2"):
        read_datalist(data_set, require=["ct", "t2"])


def test_a_bundle_config_can_call_it(data_set: Path, tmp_path: Path) -> None:
    parser = ConfigParser({"cases": {
        "_target_": "transmodal.data.read_datalist",
        "dataset_dir": str(data_set),
        "validation": ["p3"],
        "test": 0,
        "record_to": str(tmp_path / "out/split.json"),
    }})  # fmt: skip
    assert names(parser.get_parsed_content("cases"))["validation"] == ["p3"]
    assert (tmp_path / "out/split.json").is_file()


def test_the_split_is_recorded_with_how_it_was_made(data_set: Path, tmp_path: Path) -> None:
    sections = read_datalist(data_set, seed=4, record_to=tmp_path / "split.json")
    record = json.loads((tmp_path / "split.json").read_text(encoding="utf-8"))
    assert record.pop("made") == {"dataset_dir": str(data_set), "validation": 0.15, "test": 0.15, "seed": 4}
    assert record == sections
    assert all(Path(case["ct"]).is_absolute() for case in record["training"])


def test_a_recorded_split_is_used_again_even_if_it_was_edited(data_set: Path, tmp_path: Path) -> None:
    record = tmp_path / "split.json"
    first = read_datalist(data_set, record_to=record)
    swapped = json.loads(record.read_text(encoding="utf-8"))
    swapped["training"], swapped["test"] = swapped["test"], swapped["training"]
    record.write_text(json.dumps(swapped), encoding="utf-8")
    assert read_datalist(data_set, record_to=record)["training"] == first["test"]


def test_an_unchanged_record_is_not_written_again(data_set: Path, tmp_path: Path) -> None:
    record = tmp_path / "split.json"
    read_datalist(data_set, record_to=record)
    before = record.stat().st_ino, record.stat().st_mtime_ns
    read_datalist(data_set, record_to=record)
    assert (record.stat().st_ino, record.stat().st_mtime_ns) == before


def test_a_data_set_that_was_moved_keeps_its_split(data_set: Path, tmp_path: Path) -> None:
    record = tmp_path / "split.json"
    first = read_datalist(data_set, record_to=record)
    moved = data_set.rename(tmp_path / "moved")
    again = read_datalist(moved, record_to=record)
    assert names(again) == names(first)
    assert again["test"][0]["ct"].startswith(str(moved))


def test_new_cases_after_the_split_are_explained(data_set: Path, tmp_path: Path) -> None:
    read_datalist(data_set, record_to=tmp_path / "split.json")
    add_case(data_set, "p99", "ct", "mr")
    with pytest.raises(InputError, match=r"split\.json: found the split of an earlier run .*: new cases: p99; wanted"):
        read_datalist(data_set, record_to=tmp_path / "split.json")


def test_lost_files_after_the_split_are_explained(data_set: Path, tmp_path: Path) -> None:
    read_datalist(data_set, record_to=tmp_path / "split.json")
    (data_set / "p3/ct.nii.gz").unlink()
    with pytest.raises(InputError, match="cases with other modalities: p3"):
        read_datalist(data_set, record_to=tmp_path / "split.json")


def test_another_seed_after_the_split_is_explained(data_set: Path, tmp_path: Path) -> None:
    read_datalist(data_set, seed=0, record_to=tmp_path / "split.json")
    with pytest.raises(InputError, match=r"it was made with .*'seed': 0.*, now .*'seed': 1"):
        read_datalist(data_set, seed=1, record_to=tmp_path / "split.json")


def test_a_list_that_changed_after_the_split_is_explained(data_set: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.json"
    first, second = {"ct": "data/p1/ct.nii.gz"}, {"ct": "data/p2/ct.nii.gz"}
    mine.write_text(json.dumps({"training": [first], "test": [second]}), encoding="utf-8")
    read_datalist(data_set, mine, require=["ct"], record_to=tmp_path / "split.json")
    mine.write_text(json.dumps({"training": [second], "test": [first]}), encoding="utf-8")
    with pytest.raises(InputError, match=r"mine\.json assigns the cases differently"):
        read_datalist(data_set, mine, require=["ct"], record_to=tmp_path / "split.json")


def test_the_list_itself_is_never_rewritten(data_set: Path) -> None:
    text = '{"training": [{"ct": "p1/ct.nii.gz"}]}'
    (data_set / "dataset.json").write_text(text, encoding="utf-8")
    read_datalist(data_set, require=["ct"], record_to=data_set / "dataset.json")
    assert (data_set / "dataset.json").read_text(encoding="utf-8") == text


def test_only_the_first_rank_writes(data_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ignite.distributed.get_rank", lambda: 1)
    assert read_datalist(data_set, record_to=tmp_path / "split.json")["training"]
    assert not (tmp_path / "split.json").exists()


def test_the_real_pairs_can_be_split_as_published(shared: Path) -> None:
    held_out = ["STS_012", "STS_034", "STS_035", "STS_036", "STS_039", "STS_044"]
    sections = read_datalist(shared / "data/ct_mr_pairs", validation=held_out, test=0)
    assert names(sections)["validation"] == held_out
    assert len(sections["training"]) == 12
