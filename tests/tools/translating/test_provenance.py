"""Records: what is finished, and what is not what was asked for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from monai.bundle import ConfigParser

from translating import provenance
from translating.inputs import Scan
from translating.provenance import Before
from transmodal.errors import InputError
from transmodal.files import sha256_of

REQUEST: dict[str, Any] = {"inputs": {"a": "1"}, "model": {"ids": {"pixdim": (1.0, 2.0)}}, "seed": None}


@pytest.fixture
def case(tmp_path: Path) -> Path:
    folder = tmp_path / "case"
    (folder / "dicom").mkdir(parents=True)
    (folder / "mr.nii.gz").write_bytes(b"image")
    (folder / "dicom" / "1.dcm").write_bytes(b"slice")
    provenance.write(folder, {"request": REQUEST, "warnings": ["mind"]})
    return folder


def test_a_record_has_size_and_hash_of_every_other_file(case: Path) -> None:
    outputs = json.loads((case / "provenance.json").read_text(encoding="utf-8"))["outputs"]
    assert outputs == {name: {"bytes": 5, "sha256": sha256_of(case / name)} for name in ("dicom/1.dcm", "mr.nii.gz")}


def test_a_whole_result_of_the_same_request_is_finished(case: Path) -> None:
    assert provenance.before(case, REQUEST) == Before(("mind",))


def test_a_case_that_is_not_there_is_not_finished(tmp_path: Path) -> None:
    assert provenance.before(tmp_path / "absent", REQUEST) == Before()


@pytest.mark.parametrize("change", [{"seed": 0}, {"model": {"ids": {}}}])
def test_another_request_is_named(case: Path, change: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=f"another {next(iter(change))}; .*\n.*--force"):
        provenance.before(case, {**REQUEST, **change})


def test_nobody_is_told_to_force_away_the_result_of_another_scan(case: Path) -> None:
    with pytest.raises(InputError, match="another inputs") as refused:
        provenance.before(case, {**REQUEST, "inputs": {"a": "2"}})
    assert refused.value.remedy == "choose another --output; this one is of another scan"


def test_force_makes_another_request_in_its_place(case: Path) -> None:
    assert provenance.before(case, {**REQUEST, "seed": 0}, force=True) == Before()


def test_force_makes_the_same_request_again(case: Path) -> None:
    assert provenance.before(case, REQUEST, force=True) == Before()


def test_a_file_that_is_gone_is_damage(case: Path) -> None:
    (case / "mr.nii.gz").unlink()
    assert provenance.before(case, REQUEST) == Before(damage="mr.nii.gz is gone")


@pytest.mark.parametrize("content", [b"imag", b"imagf"])
def test_a_file_of_another_size_or_content_is_damage(case: Path, content: bytes) -> None:
    (case / "mr.nii.gz").write_bytes(content)
    assert provenance.before(case, REQUEST) == Before(damage="mr.nii.gz is damaged")


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("text", ["", "[]", "{}", '{"request": 1}', '{"request": {}, "warnings": [], "outputs": 1}'])
def test_a_folder_of_something_else_is_never_replaced(case: Path, text: str, force: bool) -> None:
    (case / "provenance.json").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"no provenance\.json that tells what it is") as refused:
        provenance.before(case, REQUEST, force=force)
    assert "--force" not in str(refused.value)


@pytest.mark.parametrize("force", [False, True])
def test_a_folder_without_a_record_is_never_replaced(tmp_path: Path, force: bool) -> None:
    with pytest.raises(InputError, match=r"no provenance\.json") as refused:
        provenance.before(tmp_path, REQUEST, force=force)
    assert "--force" not in str(refused.value)


@pytest.mark.parametrize("name", ["notes.txt", "dicom/notes.txt", ".hidden"])
def test_a_result_with_a_file_of_somebody_else_is_not_replaced(case: Path, name: str) -> None:
    (case / name).write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match=f"not of the result to be replaced \\({name}"):
        provenance.before(case, REQUEST, force=True)


def test_a_result_with_a_link_of_somebody_else_is_not_replaced(case: Path, tmp_path: Path) -> None:
    (case / "linked").symlink_to(tmp_path, target_is_directory=True)
    with pytest.raises(InputError, match=r"replaced \(linked\)"):
        provenance.before(case, REQUEST, force=True)


def test_a_damaged_result_with_a_file_of_somebody_else_is_not_replaced(case: Path) -> None:
    (case / "mr.nii.gz").unlink()
    (case / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match=r"notes\.txt"):
        provenance.before(case, REQUEST)


def test_a_result_that_is_the_input_is_not_replaced(case: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(case, target_is_directory=True)
    with pytest.raises(InputError, match=r"mr\.nii\.gz, an input"):
        provenance.before(case, REQUEST, inputs=[tmp_path / "link" / "mr.nii.gz"], force=True)


def test_versions_are_of_what_computes_and_what_reads() -> None:
    assert provenance.versions().keys() >= {"transmodal", "monai", "torch", "numpy", "nibabel", "pydicom", "itk"}


def test_effective_are_the_ids_of_the_config_in_the_end() -> None:
    parser = ConfigParser({"seed": "$40 + 2", "num_samples": 3, "device": "$torch.device('cpu')"})
    parser["imports"] = ["$import torch"]
    told = provenance.effective(parser)
    assert told == {"seed": 42, "samples": 3, "device": "cpu", "device_name": None}


def test_a_config_that_draws_nothing_has_no_seed() -> None:
    assert set(provenance.effective(ConfigParser({"a": 1})).values()) == {None}


def test_files_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    class Series:
        files = (tmp_path / "a" / "1.dcm", tmp_path / "b" / "1.dcm")

    for file in Series.files:
        file.parent.mkdir()
        file.write_bytes(b"x")
    assert list(provenance.hashes(Scan("c", tmp_path, series=Series()))) == ["a/1.dcm", "b/1.dcm"]


def test_the_words_for_dicom_are_few_and_texts() -> None:
    model = {
        "bundle": "b",
        "version": "1",
        "weights_sha256": "f",
        "configs": {"inference.json": "0", "small.json": "1"},
    }
    record = {
        "started": "2026-01-31T12:00:00+00:00",
        "request": {"model": model, "seed": None},
        "effective": {"seed": 3, "samples": None},
    }
    assert provenance.for_dicom(record, ["mind", "that"]) == {
        "created": "2026-01-31T12:00:00+00:00",
        "bundle": "b 1",
        "weights_sha256": "f",
        "configs": "inference.json, small.json",
        "seed": "3",
        "warnings": "mind; that",
    }
