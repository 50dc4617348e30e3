"""What bf16 costs: an evaluation with and one without it, which differ in nothing else."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from benchmarks.quality import Change, compare_precisions, largest, quality_table
from benchmarks.setting import Setting
from tests.packaging.tiny import tiny_bundle
from transmodal.errors import InputError

PSNR = {"False": {"a": 30.0, "b": 28.5}, "True": {"a": 30.01, "b": 28.46}}


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    root = tiny_bundle(tmp_path)
    config = root / "configs/inference.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "amp": False}))
    return root


@pytest.fixture
def evaluations(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Stand-ins for the evaluations: the options of each, which answer with the PSNR above."""
    calls: list[dict[str, Any]] = []

    def run(command: list[str], **how: Any) -> subprocess.CompletedProcess[str]:
        assert command[1:5] == ["-m", "monai.bundle", "run", "--config_file"]
        given = dict(zip(command[4::2], command[5::2], strict=True))
        calls.append({**given, "cwd": str(how["cwd"]), "threads": how["env"]["OMP_NUM_THREADS"]})
        folder = Path(given["--output_dir"])
        folder.mkdir(parents=True)
        rows = [f"{case},model,9,{psnr}" for case, psnr in PSNR[given["--amp"]].items()]
        (folder / "metrics.csv").write_text("\n".join(["case,method,mae,psnr", *rows, "a,identity,1,99"]))
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    return calls


def setting(bundle: Path, **how: Any) -> Setting:
    return Setting(str(bundle), (256, 256), ckpt_path="model.pt", **how)


def test_the_change_is_of_the_model_case_by_case(bundle: Path, evaluations: list[dict[str, Any]]) -> None:
    changes = compare_precisions(setting(bundle), {})
    assert changes == [Change("a", 30.0, 30.01), Change("b", 28.5, 28.46)]
    assert [change.decibels for change in changes] == pytest.approx([0.01, -0.04])
    assert largest(changes) == pytest.approx(0.04)


def test_the_two_evaluations_differ_in_autocast_alone(bundle: Path, evaluations: list[dict[str, Any]]) -> None:
    compare_precisions(setting(bundle, threads=2, overlays=("small.json",)), {"dataset_dir": "data", "source": "ct"})
    outputs = [call.pop("--output_dir") for call in evaluations]
    assert [call.pop("--amp") for call in evaluations] == ["False", "True"]
    assert evaluations[0] == evaluations[1]
    assert len(set(outputs)) == 2
    assert evaluations[0] == {
        "--config_file": "['configs/inference.json', 'configs/evaluate.json', 'small.json']",
        "--dataset_dir": "data",
        "--source": "ct",
        "--device": "cpu",
        "--ckpt_path": "model.pt",
        "cwd": str(bundle),
        "threads": "2",
    }


def test_a_bundle_without_autocast_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"inference.json: found no id 'amp'"):
        compare_precisions(setting(tiny_bundle(tmp_path)), {})


def test_a_failing_evaluation_says_what_it_said(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = subprocess.CompletedProcess([], 1, "", "found no weights")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(InputError, match=r"found no weights; wanted one that writes metrics.csv(.|\n)*--amp False"):
        compare_precisions(setting(bundle), {})


def test_the_table_ends_with_the_largest_change() -> None:
    assert quality_table([Change("case_a", 30.0, 30.01), Change("b", 28.5, 28.46)]).splitlines() == [
        "case    PSNR float32 (dB)  bf16 autocast   change",
        "case_a            30.0000        30.0100  +0.0100",
        "b                 28.5000        28.4600  -0.0400",
        "largest change: 0.0400 dB",
    ]
