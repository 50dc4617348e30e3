"""What fewer steps cost: evaluations that differ in their number alone."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from benchmarks.setting import Setting
from benchmarks.steps import Steps, compare_steps, steps_table
from tests.packaging.tiny import tiny_bundle
from transmodal.errors import InputError

MAE = {"100": 50.0, "10": 52.5}


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    root = tiny_bundle(tmp_path)
    config = root / "configs/inference.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "num_steps": 7}))
    return root


@pytest.fixture
def evaluations(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Stand-ins for the evaluations: the options of each, which answer with the MAE above."""
    calls: list[dict[str, Any]] = []

    def run(command: list[str], **how: Any) -> subprocess.CompletedProcess[str]:
        given = dict(zip(command[4::2], command[5::2], strict=True))
        calls.append(given)
        folder = Path(given["--output_dir"])
        folder.mkdir(parents=True)
        mae, undefined = {"mean": MAE[given["--num_steps"]], "n": 2}, {"mean": None, "n": 0}
        methods = {"model": {"mae": mae, "ms_ssim": undefined}, "all-water": {"mae": {"mean": 1.0, "n": 2}}}
        (folder / "summary.json").write_text(json.dumps({"cases": ["a", "b"], "methods": methods}))
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    return calls


def test_the_means_are_of_the_model_and_of_what_is_defined(bundle: Path, evaluations: list[dict[str, Any]]) -> None:
    setting = Setting(str(bundle), (8, 8), ckpt_path="model.pt")
    rows = compare_steps(setting, {"dataset_dir": "data"}, [100, 10])
    assert [(row.steps, row.means, row.cases) for row in rows] == [(100, {"mae": 50.0}, 2), (10, {"mae": 52.5}, 2)]
    assert all(row.seconds > 0 for row in rows)


def test_evaluations_differ_in_their_steps_alone(bundle: Path, evaluations: list[dict[str, Any]]) -> None:
    compare_steps(Setting(str(bundle), (8, 8), ckpt_path="model.pt"), {"num_steps": "3", "eta": "1.0"}, [100, 10])
    assert [call.pop("--num_steps") for call in evaluations] == ["100", "10"]
    assert len({call.pop("--output_dir") for call in evaluations}) == 2
    assert evaluations[0] == evaluations[1]
    assert evaluations[0]["--eta"] == "1.0"


def test_a_bundle_without_steps_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found no id 'num_steps'; wanted a sampler whose steps can be set"):
        compare_steps(Setting(str(tiny_bundle(tmp_path)), (8, 8), ckpt_path="model.pt"), {}, [10])


def test_differences_are_from_the_first_row() -> None:
    rows = [Steps(1000, {"mae": 120.04, "ssim": 0.5}, 3, 60.4), Steps(25, {"mae": 121.5, "ssim": 0.4876}, 3, 2.0)]
    header, first, second, told = steps_table(rows).splitlines()
    assert header.split() == ["steps", "mae", "ssim", "seconds"]
    assert first.split() == ["1000", "120.0", "0.500", "60"]
    assert second.split() == ["25", "121.5", "(+1.5)", "0.488", "(-0.012)", "2"]
    assert told.startswith("means over 3 case(s)")
