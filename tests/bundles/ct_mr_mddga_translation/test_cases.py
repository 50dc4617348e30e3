"""Cases with what the slice stage made: found by layout, and missing files told together with the command."""

from __future__ import annotations

from pathlib import Path

import pytest
from mddga_bundle.cases import with_slices

from transmodal.errors import InputError

CASES = [{"case": name, "ct": f"/data/{name}/ct.mha", "mr": f"/data/{name}/mr.mha"} for name in ("a", "b", "c")]


def made(folder: Path, *cases: str) -> None:
    for case in cases:
        (folder / case).mkdir()
        (folder / case / "mr.nii.gz").write_bytes(b"")


def test_each_case_gets_its_volume(tmp_path: Path) -> None:
    made(tmp_path, "a", "b", "c", "another")
    found = with_slices(CASES, str(tmp_path), "mr")
    assert [case["slices"] for case in found] == [str(tmp_path / name / "mr.nii.gz") for name in ("a", "b", "c")]
    assert [{key: case[key] for key in ("case", "ct", "mr")} for case in found] == CASES
    assert "slices" not in CASES[0]


def test_missing_volumes_are_told_together(tmp_path: Path) -> None:
    made(tmp_path, "b")
    with pytest.raises(InputError, match=rf"2 of 3 cases, first {tmp_path}/a/mr\.nii\.gz: found no such file") as told:
        with_slices(CASES, tmp_path, "mr")
    command = "python -m monai.bundle run --config_file \"['configs/inference.json','configs/inference_slices.json']\""
    assert command in told.value.remedy


def test_one_missing_volume_is_named(tmp_path: Path) -> None:
    made(tmp_path, "a", "c")
    with pytest.raises(InputError, match=rf"^{tmp_path}/b/mr\.nii\.gz: found no such file"):
        with_slices(CASES, tmp_path, "mr")
