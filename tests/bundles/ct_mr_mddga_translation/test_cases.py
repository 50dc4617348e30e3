"""Cases with what the slice stage made: found by layout, of this training; missing files told with the command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from mddga_bundle.cases import OnFullScaled, with_slices
from monai.data import MetaTensor

from transmodal.errors import InputError
from transmodal.files import sha256_of

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


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Volumes of all cases, and the weights that made them."""
    made(tmp_path, "a", "b", "c")
    (tmp_path / "slices.pt").write_bytes(b"weights")
    return tmp_path


def recorded(folder: Path, **changes: Any) -> None:
    made_with = {"weights": sha256_of(folder / "slices.pt"), "target": "mr", "pixdim": [2.0, 2.0, 2.0], "seed": 3}
    content = {**made_with, "cases": ["a", "b", "c"], **changes}
    (folder / "slices.json").write_text(json.dumps(content))


def found_in(folder: Path) -> list[dict[str, str]]:
    return with_slices(CASES, folder, "mr", folder / "slices.pt", {"pixdim": [2, 2, 2]})


@pytest.mark.parametrize("link", [False, True])
def test_a_true_target_as_its_own_condition_is_refused(folder: Path, link: bool) -> None:
    true = folder / "b" / "mr.nii.gz"
    if link:
        (folder / "elsewhere.nii.gz").symlink_to(true)
        true = folder / "elsewhere.nii.gz"
    cases = [CASES[0], {**CASES[1], "mr": str(true)}]
    with pytest.raises(InputError, match=rf"{folder}/b/mr\.nii\.gz: found the true image of the case") as told:
        with_slices(cases, folder, "mr")
    assert "set slices_dir" in told.value.remedy


def test_a_record_of_this_training_is_accepted(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    recorded(folder)
    assert len(found_in(folder)) == 3
    assert caplog.text == ""


def test_a_folder_without_a_record_only_warns(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert len(found_in(folder)) == 3
    assert f"{folder} has no slices.json" in caplog.text


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"pixdim": [1.0, 1.0, 1.0]}, r"pixdim \[1\.0, 1\.0, 1\.0\] instead of \[2, 2, 2\]"),
        ({"target": "ct"}, "target ct instead of mr"),
        ({"weights": "0" * 64}, r"other weights than .*slices\.pt"),
        ({"cases": ["a", "b"]}, "1 of 3 cases from another run, first c"),
    ],
    ids=["pixdim", "target", "weights", "cases"],
)
def test_volumes_of_another_slice_stage_are_refused(folder: Path, changes: dict[str, Any], found: str) -> None:
    recorded(folder, **changes)
    with pytest.raises(InputError, match=rf"slices\.json: found volumes made with {found}; wanted") as told:
        found_in(folder)
    assert "make them anew: run python -m monai.bundle run" in told.value.remedy


def test_values_as_the_slice_stage_writes_them_pass() -> None:
    image = torch.tensor([[-49.0, 0, 1400]])
    assert OnFullScaled("image", 1000)({"image": image})["image"] is image


def test_hounsfield_units_are_refused_by_their_file() -> None:
    image = MetaTensor(torch.tensor([[-1000.0, 40]]), meta={"filename_or_obj": "/data/a/ct.nii.gz"})
    with pytest.raises(InputError, match=r"^/data/a/ct\.nii\.gz: found values down to -1000; wanted a volume that"):
        OnFullScaled("image", 1000)({"image": image})
