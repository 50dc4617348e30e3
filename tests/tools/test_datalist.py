"""The program datalist: checks, reports, splits, and writes once, or says all that is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from datalist import share
from intake.formats import FORMATS
from transmodal.data import find_cases, read_datalist
from transmodal.errors import InputError

Run = Callable[..., str]


def volume(path: Path, low: float = -1000, high: float = 1000, spacing: float = 2.0, origin: float = 0.0) -> None:
    """A bright block in a dark box, 16×16×4 voxels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.full((16, 16, 4), low, np.float32)
    array[4:12, 4:12] = high
    affine = np.diag([spacing, spacing, 3, 1]).astype(float)
    affine[2, 3] = origin
    nibabel.save(nibabel.Nifti1Image(array, affine), path)


@pytest.fixture
def data_set(tmp_path: Path) -> Path:
    """Five patients with CT and MR on one grid."""
    for number in range(5):
        volume(tmp_path / f"set/p{number}/ct.nii.gz")
        volume(tmp_path / f"set/p{number}/mr.nii.gz", low=0, high=300)
    return tmp_path / "set"


def sections(path: Path) -> dict[str, list[str]]:
    content = json.loads(path.read_text(encoding="utf-8"))
    return {name: [case["case"] for case in content[name]] for name in ("training", "validation", "test")}


def test_the_report_tells_each_image(data_set: Path, run_datalist: Run) -> None:
    lines = [line.split() for line in run_datalist(f"{data_set}").splitlines()]
    assert ["p0", "ct", "16×16×4", "2.00×2.00×3.00", "-1000", "…", "1000"] in [line[:7] for line in lines]
    assert ["mr", "16×16×4", "2.00×2.00×3.00", "0", "…", "300"] in lines
    assert ["5", "cases", "of", "5", "patients:", "ct", "5,", "mr", "5"] in lines


def test_without_an_output_nothing_is_written(data_set: Path, run_datalist: Run) -> None:
    before = sorted(data_set.rglob("*"))
    assert run_datalist(f"{data_set}").endswith("\nnothing written; add --output dataset.json\n")
    assert sorted(data_set.rglob("*")) == before


def test_a_list_beside_the_cases_has_relative_paths(data_set: Path, run_datalist: Run) -> None:
    assert f"wrote {data_set / 'dataset.json'}" in run_datalist(f"{data_set} --output {data_set}/dataset.json")
    content = json.loads((data_set / "dataset.json").read_text(encoding="utf-8"))
    assert content["made"] == {"validation": 0.15, "test": 0.15, "seed": 0}
    assert [len(content[section]) for section in ("training", "validation", "test")] == [3, 1, 1]
    assert content["test"][0]["ct"] == f"{content['test'][0]['case']}/ct.nii.gz"
    assert read_datalist(data_set)["training"][0]["ct"].startswith(str(data_set))


def test_sections_can_be_named(data_set: Path, run_datalist: Run, tmp_path: Path) -> None:
    run_datalist(f"{data_set} --validation p3,p1 --test p0 --output {tmp_path}/list.json")
    assert sections(tmp_path / "list.json") == {"training": ["p2", "p4"], "validation": ["p1", "p3"], "test": ["p0"]}
    assert not (data_set / "dataset.json").exists()


def test_the_same_list_is_left_alone(data_set: Path, run_datalist: Run) -> None:
    line, place = f"{data_set} --output {data_set}/dataset.json", data_set / "dataset.json"
    run_datalist(line)
    before = place.stat().st_mtime_ns
    assert "unchanged:" in run_datalist(line)
    assert place.stat().st_mtime_ns == before


def test_another_list_is_never_replaced_unasked(data_set: Path, run_datalist: Run) -> None:
    line, place = f"{data_set} --output {data_set}/dataset.json", data_set / "dataset.json"
    run_datalist(f"{line} --check=False")
    before = place.read_text(encoding="utf-8")
    assert "found a data list with other cases or another split" in run_datalist(f"{line} --test p0,p1", status=1)
    assert place.read_text(encoding="utf-8") == before
    run_datalist(f"{line} --test p0,p1 --force")
    assert sections(place)["test"] == ["p0", "p1"]


def test_a_list_is_checked_as_it_is(data_set: Path, run_datalist: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.json").write_text('{"training": [{"ct": "set/p2/ct.nii.gz"}]}', encoding="utf-8")
    before = sorted(tmp_path.rglob("*"))
    text = run_datalist(f"{tmp_path}/mine.json")
    assert "1 cases of 1 patients: ct 1" in text
    assert "nothing written" not in text
    assert sorted(tmp_path.rglob("*")) == before


def test_all_errors_are_collected_and_nothing_is_written(data_set: Path, run_datalist: Run) -> None:
    (data_set / "p1/ct.nii.gz").write_bytes((data_set / "p1/ct.nii.gz").read_bytes()[:-20])
    volume(data_set / "p3/ct.nii.gz", low=0, high=255)
    volume(data_set / "p4/mr.nii.gz", low=7, high=7)
    text = run_datalist(f"{data_set} --output {data_set}/dataset.json", status=1)
    assert "3 errors; nothing was written" in text
    assert "p1/ct.nii.gz: found a file that cannot be read" in text
    assert "p3/ct.nii.gz: found values from 0 to 255, which are the grey levels of an 8-bit picture" in text
    assert "p4/mr.nii.gz: found a constant image (every value is 7)" in text
    assert not (data_set / "dataset.json").exists()


def test_grids_that_differ_are_a_warning(data_set: Path, run_datalist: Run) -> None:
    volume(data_set / "p2/mr.nii.gz", low=0, high=300, origin=4.5)
    assert "p2: mr and ct have different grids: origin by 4.50 mm" in run_datalist(f"{data_set}")


def test_cases_with_one_modality_are_a_warning(data_set: Path, run_datalist: Run) -> None:
    (data_set / "p2/ct.nii.gz").unlink()
    assert "1 cases lack ct and can only train unpaired: p2" in run_datalist(f"{data_set}")


def test_four_contrasts_are_split_and_what_lacks_is_told(run_datalist: Run, tmp_path: Path) -> None:
    for number in range(6):
        for contrast in ("flair", "t1", "t1ce", "t2"):
            volume(tmp_path / f"set/p{number}/{contrast}.nii.gz", low=0, high=300)
    (tmp_path / "set/p1/t1ce.nii.gz").unlink()
    (tmp_path / "set/p4/t2.nii.gz").unlink()
    text = run_datalist(f"{tmp_path}/set --output {tmp_path}/list.json")
    assert "2 cases lack t1ce or t2 and cannot serve where these are used: p1 (t1ce), p4 (t2)" in text
    found = sections(tmp_path / "list.json")
    assert [len(found[name]) for name in ("training", "validation", "test")] == [4, 1, 1]
    assert {"p1", "p4"} < set(found["training"])


def test_an_odd_spacing_is_a_warning(data_set: Path, run_datalist: Run) -> None:
    volume(data_set / "p2/ct.nii.gz", spacing=5)
    assert "ct: spacing far from the usual 2.00×2.00×3.00 mm in p2" in run_datalist(f"{data_set}")


def test_an_image_without_body_is_a_warning(data_set: Path, run_datalist: Run) -> None:
    mask = np.zeros((16, 16, 4), np.uint8)
    mask[0, 0, 0] = 1
    nibabel.save(nibabel.Nifti1Image(mask, np.diag([2, 2, 3, 1])), data_set / "p2/mask.nii.gz")
    assert "less than 2% body in p2" in run_datalist(f"{data_set}")


def test_without_the_check_no_image_is_read(data_set: Path, run_datalist: Run) -> None:
    (data_set / "p1/ct.nii.gz").write_bytes(b"broken")
    assert "5 cases" in run_datalist(f"{data_set} --check=False")


def test_the_real_pairs_pass(shared: Path, run_datalist: Run, tmp_path: Path) -> None:
    for case in ("STS_008", "STS_012", "STS_025"):
        (tmp_path / "set").mkdir(exist_ok=True)
        (tmp_path / "set" / case).symlink_to(shared / "data/ct_mr_pairs" / case)
    text = run_datalist(f"{tmp_path}/set --validation STS_012 --test 0 --output {tmp_path}/list.json")
    assert "75×55×25" in text
    assert "warnings" not in text
    assert sections(tmp_path / "list.json")["validation"] == ["STS_012"]


def test_the_real_dicom_series_pass_with_their_grids_told(shared: Path, run_datalist: Run, tmp_path: Path) -> None:
    (tmp_path / "set/STS_002").mkdir(parents=True)
    for name, modality in (("CT", "ct"), ("MR_T1", "mr")):
        (tmp_path / "set/STS_002" / modality).symlink_to(shared / "data/dicom_ct_mr" / name / "image")
    assert "mr and ct have different grids: shape 115×90×35 against 161×143×48" in run_datalist(f"{tmp_path}/set")


def test_a_read_only_data_set_can_have_its_list_elsewhere(shared: Path, run_datalist: Run, tmp_path: Path) -> None:
    cases = [{"t1": str(shared / "data/brain_multicontrast/patient07/t1.nii.gz")}]
    (tmp_path / "brain.json").write_text(json.dumps({"training": cases}), encoding="utf-8")
    assert "182×218×182" in run_datalist(f"{tmp_path}/brain.json")
    run_datalist(f"{shared}/data/brain_multicontrast --check=False --output {tmp_path}/out/brain.json")
    assert len(find_cases(tmp_path / "out/brain.json")) == 2


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (0.2, 0.2),
        (0, 0),
        ("STS_012", ["STS_012"]),
        ("a, b", ["a", "b"]),
        (("a", "b"), ["a", "b"]),
        ((7, 8), ["7", "8"]),
    ],
)
def test_shares_are_fractions_or_names(given: Any, expected: Any) -> None:
    assert share(given, "--test") == expected


@pytest.mark.parametrize("given", [True, 1, 1.5, -0.1])
def test_a_share_out_of_range_is_refused(given: Any) -> None:
    with pytest.raises(InputError, match=r"--test: found .*; wanted a fraction in \[0, 1\), or names"):
        share(given, "--test")


def test_the_layouts_are_described_without_a_data_set(run_datalist: Run) -> None:
    described = run_datalist("--from help")
    assert all(f"\n{name} " in f"\n{described}" for name in FORMATS)


def test_help_is_given(run_datalist: Run) -> None:
    assert "--patient" in run_datalist("--help")


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ("--chek False", "--chek: found an unknown flag"),
        ("--check=no", "--check: found 'no'; wanted True or False"),
        ("--from nifti --output new", "--from: found nifti; wanted one of pictures-ab, pictures-classes"),
        ("--from pictures-ab --a t1 --b t2", "--output: found none"),
    ],
)
def test_wrong_flags_are_refused(data_set: Path, run_datalist: Run, flags: str, told: str) -> None:
    assert told in run_datalist(f"{data_set} {flags}", status=1)
