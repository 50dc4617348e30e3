"""Calibration of the predicted uncertainty over an evaluator's cases: files, regions, reasons, shares of processes."""

from __future__ import annotations

import json
import logging
import math
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from monai.bundle import ConfigParser
from monai.data import MetaTensor

from tests.common.handlers.evaluation import LPS, SHAPE, evaluate, paired, spot
from transmodal.errors import InputError
from transmodal.handlers import EvaluationReport, UncertaintyCalibration
from transmodal.metrics import MRSimilarity, SynthRAD2023
from transmodal.transforms import HounsfieldWindow, RobustPercentiles

INTENSITY = {"ct": HounsfieldWindow(), "mr": RobustPercentiles()}


def uncertain(name: str, factor: float = 1.0) -> dict[str, Any]:
    """A case with normal errors, ``factor`` times as large as their predicted deviations of 5 to 45 HU."""
    case = paired(name, error=0)
    generator = torch.Generator().manual_seed(ord(name))
    deviation = 5 + 40 * torch.rand(1, *SHAPE, generator=generator)
    case["image"] = case["image"] + factor * deviation * torch.randn(1, *SHAPE, generator=generator)
    case["pred_std"] = MetaTensor(deviation, affine=LPS)
    return case


def calibration(output_dir: Path, **arguments: Any) -> UncertaintyCalibration:
    return UncertaintyCalibration(output_dir, **{"target": "ct", "intensity": INTENSITY, **arguments})


def found(output_dir: Path) -> dict[str, Any]:
    return json.loads((output_dir / "calibration.json").read_text())


def test_two_files_are_written_and_nothing_else(tmp_path: Path) -> None:
    evaluate([uncertain("a")], [calibration(tmp_path / "eval")])
    assert sorted(path.name for path in (tmp_path / "eval").iterdir()) == ["calibration.json", "calibration.png"]


def test_every_case_and_all_of_them_together_are_measured(tmp_path: Path) -> None:
    evaluate([uncertain("b", 2), uncertain("a", 1)], [calibration(tmp_path)])
    results = found(tmp_path)
    assert results["unit"] == "HU"
    assert list(results["cases"]) == ["a", "b"]
    scales = [results["cases"][case]["scale"] for case in "ab"]
    assert scales == pytest.approx([1, 2], abs=0.1)
    assert results["pooled"]["scale"] == pytest.approx(math.sqrt((1 + 4) / 2), abs=0.1)
    assert results["pooled"]["voxels"] == sum(results["cases"][case]["voxels"] for case in "ab")
    assert results["cases"]["b"]["ence"] == pytest.approx(1, abs=0.2)


def test_only_the_body_counts(tmp_path: Path) -> None:
    case = uncertain("a")
    clean = tmp_path / "clean", tmp_path / "spoiled"
    evaluate([case], [calibration(clean[0])])
    outside = case["mask"] == 0
    for key in ("image", "pred_std"):
        case[key][outside] = torch.nan
    evaluate([case], [calibration(clean[1])])
    assert found(clean[0]) == found(clean[1])


def test_number_of_bins_is_chosen(tmp_path: Path) -> None:
    evaluate([uncertain("a")], [calibration(tmp_path, bins=7)])
    assert len(found(tmp_path)["pooled"]["bins"]) == 7


def test_pooled_numbers_are_left_in_the_engine(tmp_path: Path) -> None:
    evaluator = evaluate([uncertain("a")], [calibration(tmp_path)])
    pooled = found(tmp_path)["pooled"]
    assert evaluator.state.metrics["uncertainty_ence"] == pooled["ence"]
    assert evaluator.state.metrics["uncertainty_spearman"] == pooled["spearman"]


def test_target_is_expressed_in_the_units_of_the_prediction(tmp_path: Path) -> None:
    case = uncertain("a")
    similarity = MRSimilarity()
    restored = similarity.comparable(case["label"], case["mask"]).float()
    case["image"] = restored + (case["image"] - case["label"])
    evaluate([case], [calibration(tmp_path, target="mr", similarity=similarity)])
    assert found(tmp_path)["pooled"]["scale"] == pytest.approx(1, abs=0.1)
    assert found(tmp_path)["unit"] == "a.u."


def test_regions_are_measured_beside_the_body(tmp_path: Path) -> None:
    with_region, without = uncertain("a"), uncertain("b")
    with_region["lesion"] = spot()
    with_region["image"] = torch.where(spot() > 0, with_region["label"] + 90, with_region["image"])
    evaluate([with_region, without], [calibration(tmp_path, regions={"lesion": "lesion"})], batch_size=1)
    lesion = found(tmp_path)["regions"]["lesion"]
    assert lesion["pooled"]["voxels"] == 48
    assert lesion["pooled"]["rms_error"] == pytest.approx(90, abs=1e-3)
    assert lesion["not_scored"] == {"b": "the case has no mask of it"}


def test_missing_deviation_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"case a: found no key 'pred_std'") as error:
        evaluate([paired("a")], [calibration(tmp_path)])
    assert "take UncertaintyCalibration off" in str(error.value)


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [("pred_std", torch.nan, "deviation is negative or not"), ("image", torch.nan, "prediction has no finite value")],
)
def test_broken_case_is_named_and_not_pooled(tmp_path: Path, key: str, value: float, reason: str) -> None:
    broken = uncertain("b")
    broken[key][0, 10, 9, 4] = value
    evaluate([uncertain("a"), broken], [calibration(tmp_path)])
    results = found(tmp_path)
    assert list(results["cases"]) == ["a"]
    assert reason in results["not_scored"]["b"]


def test_without_a_single_case_the_reasons_are_still_written(tmp_path: Path) -> None:
    case = uncertain("a")
    case["mask"] = 0 * case["mask"]
    evaluate([case], [calibration(tmp_path)])
    assert found(tmp_path)["pooled"] is None
    assert found(tmp_path)["not_scored"] == {"a": "the body mask is empty"}


def test_deviation_zero_everywhere_is_undefined_and_no_error(tmp_path: Path) -> None:
    case = uncertain("a")
    case["pred_std"] = 0 * case["pred_std"]
    evaluate([case], [calibration(tmp_path)])
    pooled = found(tmp_path)["pooled"]
    assert (pooled["ence"], pooled["scale"], pooled["within_2"]) == (None, None, 0.0)


def test_next_run_starts_anew(tmp_path: Path) -> None:
    handler = calibration(tmp_path)
    evaluate([uncertain("a")], [handler])
    evaluate([uncertain("b")], [handler])
    assert list(found(tmp_path)["cases"]) == ["b"]


def test_one_line_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="transmodal")
    evaluate([uncertain("a")], [calibration(tmp_path)])
    (line,) = [record.message for record in caplog.records if record.message.startswith("uncertainty inside")]
    assert line.startswith("uncertainty inside the body, 1 case(s): ENCE 0.")
    assert "of the voxels within 1 and 2 deviations" in line


def test_it_stands_beside_the_report_and_comes_from_json(tmp_path: Path) -> None:
    config = {
        "_target_": "transmodal.handlers.UncertaintyCalibration",
        "output_dir": str(tmp_path),
        "similarity": {"_target_": "transmodal.metrics.SynthRAD2023"},
        "regions": {"lesion": "lesion"},
    }
    handler = ConfigParser({"handler": config}).get_parsed_content("handler")
    report = EvaluationReport(tmp_path, SynthRAD2023(), source="mr", target="ct", intensity=INTENSITY)
    evaluate([uncertain("a")], [report, handler])
    assert {path.name for path in tmp_path.iterdir()} >= {"summary.json", "calibration.json"}


def test_region_called_body_is_refused() -> None:
    with pytest.raises(InputError, match="a region called 'body'"):
        UncertaintyCalibration("eval", regions={"body": "mask"})


def test_no_bin_is_refused() -> None:
    with pytest.raises(InputError, match="UncertaintyCalibration, bins: found 0; wanted an integer of 1 or more"):
        UncertaintyCalibration("eval", bins=0)


def test_a_case_that_two_processes_hold_counts_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    others = calibration(tmp_path / "other")
    evaluate([uncertain("a"), uncertain("b")], [others])
    share = pickle.loads(pickle.dumps(others._findings))
    monkeypatch.setattr("transmodal.handlers.collecting.gathered", lambda own: [own, share])
    evaluate([uncertain("c"), uncertain("a")], [calibration(tmp_path / "two")])
    monkeypatch.undo()
    evaluate([uncertain(name) for name in "abc"], [calibration(tmp_path / "one")])
    assert found(tmp_path / "two") == found(tmp_path / "one")
