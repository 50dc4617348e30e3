"""Results of the pipeline: made once, made again where they must be, and nothing of others lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.tools.translating.scans import ct_values, write_volume
from translating.inputs import Scan, find_scans
from translating.masks import NoMask
from translating.pipeline import Pipeline
from transmodal.errors import InputError

Make = Callable[..., Pipeline]
CT = ct_values()


@pytest.fixture
def ct(tmp_path: Path) -> Scan:
    return Scan("knee", write_volume(tmp_path / "knee.nii.gz", CT))


def record_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "provenance.json").read_text(encoding="utf-8"))


def test_a_finished_case_is_not_made_again(pipeline: Make, ct: Scan, tmp_path: Path) -> None:
    pipeline()(ct)
    before = (tmp_path / "results" / "knee" / "qc.png").stat().st_mtime_ns
    assert pipeline()(ct).status == "finished before"
    assert (tmp_path / "results" / "knee" / "qc.png").stat().st_mtime_ns == before


def test_another_request_does_not_replace_a_result_unless_forced(pipeline: Make, ct: Scan, tmp_path: Path) -> None:
    pipeline()(ct)
    other = {"slice_batch": 2}
    refused = pipeline(ids=other)(ct)
    assert refused.status == "failed"
    assert "not what is asked for: another model" in refused.text
    assert pipeline(ids=other, force=True)(ct).status == "translated"
    assert record_of(tmp_path / "results" / "knee")["request"]["model"]["ids"]["slice_batch"] == 2
    assert [path.name for path in (tmp_path / "results").iterdir()] == ["knee"]


@pytest.mark.parametrize("force", [False, True])
def test_the_input_and_what_lies_beside_it_are_never_replaced(pipeline: Make, tmp_path: Path, force: bool) -> None:
    path = write_volume(tmp_path / "results" / "p1" / "ct.nii.gz", CT)
    (path.parent / "notes.txt").write_text("mine", encoding="utf-8")
    (scan,), _ = find_scans(path)
    outcome = pipeline(force=force)(scan)
    assert outcome.status == "failed"
    assert "no provenance.json that tells what it is" in outcome.text
    assert "--force" not in outcome.text
    assert sorted(each.name for each in path.parent.iterdir()) == ["ct.nii.gz", "notes.txt"]


def test_a_result_with_a_file_of_the_user_is_not_replaced_by_force(pipeline: Make, ct: Scan, tmp_path: Path) -> None:
    pipeline(masks=NoMask())(ct)
    notes = tmp_path / "results" / "knee" / "notes.txt"
    notes.write_text("mine", encoding="utf-8")
    outcome = pipeline(masks=NoMask(), force=True)(ct)
    assert outcome.status == "failed"
    assert "files that are not of the result to be replaced (notes.txt)" in outcome.text
    assert notes.read_text(encoding="utf-8") == "mine"


def test_a_damaged_result_is_made_again_and_told_so(pipeline: Make, ct: Scan, tmp_path: Path) -> None:
    pipeline()(ct)
    made = tmp_path / "results" / "knee" / "mr.nii.gz"
    whole = made.read_bytes()
    made.write_bytes(whole[: len(whole) // 2])
    outcome = pipeline()(ct)
    assert outcome.status == "translated"
    assert outcome.text.endswith("(made again, since mr.nii.gz is damaged)")
    assert pipeline()(ct).status == "finished before"


@pytest.mark.parametrize("name", ["data", "output", "segmentation", "before", "made"])
def test_a_case_may_be_named_like_a_working_folder(pipeline: Make, ct: Scan, tmp_path: Path, name: str) -> None:
    scan = Scan(name, ct.path)
    outcome = pipeline()(scan)
    assert outcome.status == "translated", outcome.text
    assert pipeline(force=True)(scan).status == "translated"
    assert [path.name for path in (tmp_path / "results").iterdir()] == [name]
    assert (tmp_path / "results" / name / "mr.nii.gz").is_file()


def test_an_output_that_cannot_be_written_is_an_error_and_not_a_failed_case(
    pipeline: Make, ct: Scan, tmp_path: Path
) -> None:
    (tmp_path / "results").write_text("", encoding="utf-8")
    with pytest.raises(InputError, match="no folder that can be written"):
        pipeline()(ct)
