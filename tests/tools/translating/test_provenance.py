"""Records: what is finished, and what is not what was asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from translating import provenance
from translating.inputs import Scan
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


def test_a_record_has_the_hash_of_every_other_file(case: Path) -> None:
    assert provenance.finished(case, REQUEST) == ("mind",)
    text = (case / "provenance.json").read_text(encoding="utf-8")
    for name in ("mr.nii.gz", "dicom/1.dcm"):
        assert f'"{name}": "{sha256_of(case / name)}"' in text


def test_a_case_that_is_not_there_is_not_finished(tmp_path: Path) -> None:
    assert provenance.finished(tmp_path / "absent", REQUEST) is None


@pytest.mark.parametrize("change", [{"inputs": {"a": "2"}}, {"seed": 0}, {"model": {"ids": {}}}])
def test_another_request_is_named(case: Path, change: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=f"another {next(iter(change))}; .*\n.*--force"):
        provenance.finished(case, {**REQUEST, **change})


def test_a_file_that_is_gone_is_named(case: Path) -> None:
    (case / "mr.nii.gz").unlink()
    with pytest.raises(InputError, match=r"mr\.nii\.gz is gone"):
        provenance.finished(case, REQUEST)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"request": 1}'])
def test_a_folder_of_something_else_is_not_taken_for_a_result(case: Path, text: str) -> None:
    (case / "provenance.json").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"no provenance\.json that tells what it is"):
        provenance.finished(case, REQUEST)


def test_a_folder_without_a_record_is_not_replaced(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no provenance\.json"):
        provenance.finished(tmp_path, REQUEST)


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
    record = {"started": "2026-01-31T12:00:00+00:00", "request": {"model": model, "seed": 3, "samples": None}}
    assert provenance.for_dicom(record, ["mind", "that"]) == {
        "created": "2026-01-31T12:00:00+00:00",
        "bundle": "b 1",
        "weights_sha256": "f",
        "configs": "inference.json, small.json",
        "seed": "3",
        "warnings": "mind; that",
    }
