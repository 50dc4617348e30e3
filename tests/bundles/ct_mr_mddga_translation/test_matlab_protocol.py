"""MATLAB's conventions on whole volumes of an evaluator: their names, their files, and what is left undefined."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from mddga_bundle.matlab_protocol import CONVENTIONS, MatlabProtocol, volume_scores
from monai.bundle import ConfigParser
from monai.data import MetaTensor
from torch import Tensor

from tests.bundles.tiny import ROOT
from tests.common.handlers.evaluation import evaluate, paired
from transmodal.metrics import CTSimilarity, MRSimilarity, matlab_psnr, matlab_ssim
from transmodal.transforms import HounsfieldWindow, IntensityWindow

WINDOW = {"ct": HounsfieldWindow(-1000, 2000)}


def pair() -> tuple[Tensor, Tensor]:
    """Target in [-1, 1], and the same with noise."""
    generator = torch.Generator().manual_seed(0)
    target = torch.rand(1, 12, 10, 9, generator=generator) * 2 - 1
    return (target + 0.1 * torch.randn(target.shape, generator=generator)).clamp(-1, 1), target


def protocol(folder: Path) -> MatlabProtocol:
    return MatlabProtocol(folder, CTSimilarity(), "ct", WINDOW)


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "matlab_metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def summary(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "matlab_metrics.json").read_text())


def test_peaks_of_one_and_two_are_six_decibels_apart() -> None:
    found = volume_scores(*pair()).values
    assert found["psnr_peak2"] - found["psnr_peak1"] == pytest.approx(20 * math.log10(2))
    assert found["psnr_peak1_01"] == pytest.approx(found["psnr_peak2"])
    assert found["immse"] == pytest.approx(4 * found["immse_01"])


def test_each_range_has_its_own_ssim() -> None:
    pred, target = pair()
    found = volume_scores(pred, target).values
    assert found["ssim_matlab_range1"] == pytest.approx(matlab_ssim(pred, target, 1))
    assert found["ssim_matlab_range2"] == pytest.approx(matlab_ssim(pred, target, 2))
    assert found["ssim_matlab_range1_01"] == pytest.approx(matlab_ssim((pred + 1) / 2, (target + 1) / 2, 1), abs=1e-6)
    assert len({round(value, 4) for name, value in found.items() if name.startswith("ssim")}) == 3


def test_equal_volumes_have_no_finite_psnr_and_say_so() -> None:
    _, target = pair()
    scores = volume_scores(target, target)
    assert (scores.values["psnr_peak1"], scores.note) == (math.inf, "equal images")


def test_a_prediction_that_is_not_finite_is_undefined_and_says_so() -> None:
    pred, target = pair()
    pred[0, 0, 0, 0] = math.nan
    scores = volume_scores(pred, target)
    assert all(map(math.isnan, scores.values.values()))
    assert scores.note == "the prediction has no finite value at 1 of 1080 voxels"


def test_two_files_under_their_own_name_and_no_metric_of_ours(tmp_path: Path) -> None:
    evaluator = evaluate([paired("a")], [protocol(tmp_path / "out")])
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["matlab_metrics.csv", "matlab_metrics.json"]
    assert evaluator.state.metrics == {}
    assert list(summary(tmp_path / "out")["measures"]) == list(CONVENTIONS)


def test_the_whole_volume_counts_and_the_body_does_not_matter(tmp_path: Path) -> None:
    sample = paired("a", error=30.0)
    sample["image"][:, :10] += 300
    evaluate([sample], [protocol(tmp_path / "body")])
    other = {**sample, "mask": torch.ones_like(sample["mask"])}
    evaluate([other], [protocol(tmp_path / "all")])
    assert rows(tmp_path / "body") == rows(tmp_path / "all")
    pred, target = ((sample[key].as_tensor() + 1000) / 1500 - 1 for key in ("image", "label"))
    expected = matlab_psnr(pred.clamp(-1, 1), target.clamp(-1, 1), peak=2)
    assert float(rows(tmp_path / "body")[0]["psnr_peak2"]) == pytest.approx(expected, abs=1e-4)


def test_what_lies_beyond_the_range_is_clipped(tmp_path: Path) -> None:
    sample = paired("a", error=0.0)
    sample["image"] = torch.where(sample["image"] < -900, sample["image"] - 5000, sample["image"])
    sample["label"] = torch.where(sample["label"] < -900, -1000.0, sample["label"])
    evaluate([sample], [protocol(tmp_path)])
    assert rows(tmp_path)[0]["note"] == "equal images"


def test_an_mr_is_compared_on_the_scale_of_its_target(tmp_path: Path) -> None:
    """Normalised targets in [0, 8] stand for a prediction on [0, 1000]."""
    sample = paired("a")
    sample["image"] = sample["source"].clamp(0, 1000)
    sample["label"] = MetaTensor(sample["image"].as_tensor() * 0.008, affine=sample["image"].affine)
    handler = MatlabProtocol(tmp_path, MRSimilarity(bounds=(0, 8)), "mr", {"mr": IntensityWindow(0, 1000)})
    evaluate([sample], [handler])
    assert float(rows(tmp_path)[0]["immse"]) < 1e-12


def test_statistics_are_those_of_the_finite_values(tmp_path: Path) -> None:
    cases = [paired("a", 0.0), paired("bb", 30.0), paired("ccc", 60.0)]
    evaluate(cases, [protocol(tmp_path)])
    told = summary(tmp_path)
    finite = [float(row["psnr_peak2"]) for row in rows(tmp_path) if row["psnr_peak2"]]
    assert told["notes"] == {"a": "equal images"}
    assert (told["measures"]["psnr_peak2"]["n"], told["measures"]["immse"]["n"]) == (2, 3)
    assert told["measures"]["psnr_peak2"]["mean"] == pytest.approx(sum(finite) / 2)


def test_ranges_and_conventions_are_told(tmp_path: Path) -> None:
    evaluate([paired("a")], [protocol(tmp_path)])
    told = summary(tmp_path)
    assert told["where"] == "native grid, the whole volume without a mask, per case"
    assert told["range"].startswith("[-1000, 2000] to [-1, 1], clipped")
    assert "6.02 dB below peak 2" in told["measures"]["psnr_peak1"]["what"]


def test_a_picture_is_scored_too(tmp_path: Path) -> None:
    sample = {key: value if key == "case" else value[..., 4] for key, value in paired("a").items()}
    evaluate([sample], [protocol(tmp_path)])
    assert float(rows(tmp_path)[0]["ssim_matlab_range2"]) > 0


def test_the_overlay_adds_it_to_the_report(tmp_path: Path) -> None:
    configs = ROOT / "bundles/ct_mr_mddga_translation/configs"
    parser = ConfigParser()
    parser.read_config([str(configs / f"{name}.json") for name in ("inference", "evaluate", "evaluate_matlab")])
    parser.update({"output_dir": str(tmp_path)})
    targets = [handler["_target_"] for handler in parser.get("handlers")]
    assert "transmodal.handlers.EvaluationReport" in targets
    handler = parser.get_parsed_content(f"handlers#{targets.index('mddga_bundle.matlab_protocol.MatlabProtocol')}")
    assert (handler.similarity.scale, handler.low, handler.high) == (1000, 0, 1000)
