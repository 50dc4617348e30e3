"""The command that asks a lesion segmenter what a synthetic contrast is worth."""

from __future__ import annotations

import csv
import json
import shlex
from pathlib import Path

import fire
import pytest

from segmentation_check import main
from tests.tools.downstream.brains import TESTED, TRAINING, change, write_brains

FILES = {"segmentation.csv", "segmentation.json", "segmentation.png", "segmenter.pt"}


@pytest.fixture
def brains(tmp_path: Path) -> Path:
    """Simulated brains, a copy of the tested flair on the scale of outputs, and the t1 in its place."""
    folder = write_brains(tmp_path).parent
    case = folder / "data" / TESTED
    change(case / "flair.nii.gz", folder / "copy" / TESTED / "flair.nii.gz", lambda values: values)
    change(case / "t1.nii.gz", folder / "t1" / TESTED / "flair.nii.gz", lambda values: values)
    return folder


def run(brains: Path, options: str) -> None:
    data = f"{brains / 'data'} --datalist {brains / 'split.json'} --target flair --epochs 5 --pixdim=-1,-1,-1"
    fire.Fire(main, command=[*shlex.split(f"{data} --sources t1,t2 --device cpu"), *shlex.split(options)])


def dice(output: Path) -> dict[str, float]:
    with (output / "segmentation.csv").open(newline="") as file:
        return {row["method"]: float(row["dice"]) for row in csv.DictReader(file)}


def test_real_synthetic_and_missing_targets_are_scored_and_written(
    brains: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(brains, f"--synthetic copy={brains}/copy,t1={brains}/t1 --output {brains}/output")
    assert {file.name for file in (brains / "output").iterdir()} == FILES
    scores = dice(brains / "output")
    assert list(scores) == ["real", "copy", "t1", "missing"]
    assert scores["copy"] == scores["real"]
    assert scores["t1"] != scores["real"]
    content = json.loads((brains / "output" / "segmentation.json").read_text(encoding="utf-8"))
    assert content["segmenter"]["training_cases"] == list(TRAINING)
    assert content["data"]["synthetic"] == {"copy": f"{brains}/copy", "t1": f"{brains}/t1"}
    printed = capsys.readouterr().out
    assert "trained and kept" in printed
    assert f"{scores['real']:.3f}" in printed


def test_a_second_run_takes_the_segmenter_again_and_gives_the_same_scores(
    brains: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scores = []
    for _ in range(2):
        run(brains, f"--synthetic {brains}/copy --epochs 1")
        scores.append((brains / "copy" / "segmentation.csv").read_bytes())
    assert f"took {brains}/copy/segmenter.pt" in capsys.readouterr().out
    assert scores[0] == scores[1]


def test_results_without_a_case_are_refused_before_anything_is_trained(brains: Path) -> None:
    (brains / "copy" / TESTED / "flair.nii.gz").unlink()
    with pytest.raises(SystemExit, match=f"no synthetic flair of {TESTED}; wanted <case>/flair.nii.gz"):
        run(brains, f"--synthetic {brains}/copy --output {brains}/output")
    assert not (brains / "output").exists()


def test_a_damaged_image_is_told_by_name_without_a_traceback(brains: Path) -> None:
    (brains / "data" / TRAINING[0] / "t1.nii.gz").write_bytes(b"")
    with pytest.raises(SystemExit, match=rf"{TRAINING[0]}/t1.nii.gz: found an empty file"):
        run(brains, f"--synthetic {brains}/copy")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--synthetic a=x,a=y", "--synthetic: found"),
        ("--synthetic real=x", "each with its own name that is not real or missing"),
        ("--synthetic x --sources flair,t2", "--target and --sources: found 'flair' and 'flair', 't2'"),
        ("--synthetic x --sources t1,lesion", "one target and one or more other sources of ct mr t1"),
        ("--synthetic x --pixdim 2,2", r"--pixdim: found \(2, 2\); wanted three numbers in mm"),
        ("--synthetic x --seed two", "--seed: found 'two'"),
        ("--synthetic x --epochs 0", "--epochs: found 0"),
        ("--synthetic x --section training", "found 'training'; wanted validation or test"),
    ],
)
def test_a_wrong_argument_is_told_without_a_traceback(brains: Path, options: str, message: str) -> None:
    with pytest.raises(SystemExit, match=message):
        run(brains, options)
