"""The evaluation report on small paired cases: files, baselines, warnings, two processes."""

from __future__ import annotations

import csv
import json
import logging
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from monai.bundle import ConfigParser

from tests.common.handlers import two_ranks_report
from tests.common.handlers.evaluation import evaluate, paired, uncertain
from tests.processes import in_two
from transmodal.errors import InputError
from transmodal.handlers import EvaluationReport, UncertaintyCalibration
from transmodal.metrics import BodyMean, Identity, LookUpTable, MRSimilarity, SynthRAD2023, Uniform
from transmodal.transforms import HounsfieldWindow, RobustPercentiles

INTENSITY = {"ct": HounsfieldWindow(), "mr": RobustPercentiles()}


def report(output_dir: Path, **arguments: Any) -> EvaluationReport:
    defaults = {"similarity": SynthRAD2023(), "source": "mr", "target": "ct", "intensity": INTENSITY}
    return EvaluationReport(output_dir, **{**defaults, **arguments})


def summary(output_dir: Path) -> dict[str, Any]:
    return json.loads((output_dir / "summary.json").read_text())


def table(output_dir: Path) -> list[dict[str, str]]:
    with (output_dir / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_three_files_are_written_and_nothing_else(tmp_path: Path) -> None:
    evaluate([paired("a")], [report(tmp_path / "eval")])
    assert sorted(path.name for path in (tmp_path / "eval").iterdir()) == ["figure.png", "metrics.csv", "summary.json"]


def test_table_has_a_row_per_case_and_method(tmp_path: Path) -> None:
    evaluate([paired(name) for name in "bca"], [report(tmp_path, baselines=[Uniform()])])
    rows = [(row["case"], row["method"]) for row in table(tmp_path)]
    assert rows == [(case, method) for case in "abc" for method in ("model", "all-water")]


def test_scores_are_those_of_the_protocol_in_physical_units(tmp_path: Path) -> None:
    case = paired("a", error=37)
    evaluate([case], [report(tmp_path)])
    expected = SynthRAD2023()(case["image"], case["label"], case["mask"])
    assert {name: float(table(tmp_path)[0][name]) for name in expected} == pytest.approx(expected)


def test_summary_names_protocol_cases_and_worst_case(tmp_path: Path) -> None:
    evaluate([paired("a", 10), paired("b", 30)], [report(tmp_path, title="Test")])
    found = summary(tmp_path)
    assert found["title"] == "Test"
    assert found["protocol"]["name"] == "SynthRAD2023 [-1024, 3000]"
    assert found["protocol"]["measures"]["mae"] == {"unit": "HU", "higher_is_better": False}
    assert found["cases"] == ["a", "b"]
    mae = found["methods"]["model"]["mae"]
    assert (mae["worst_case"], mae["n"], mae["mean"]) == ("b", 2, pytest.approx(20, abs=1e-4))


def test_means_are_left_in_the_engine(tmp_path: Path) -> None:
    evaluator = evaluate([paired("a", 10), paired("b", 30)], [report(tmp_path)])
    assert evaluator.state.metrics["mae"] == pytest.approx(20, abs=1e-4)


def test_next_run_starts_anew(tmp_path: Path) -> None:
    handler = report(tmp_path)
    evaluate([paired("a")], [handler])
    evaluate([paired("b")], [handler])
    assert summary(tmp_path)["cases"] == ["b"]


def test_fitted_baselines_learn_from_the_training_cases(tmp_path: Path) -> None:
    training = [paired("training"), {key: value for key, value in paired("unpaired").items() if key != "label"}]
    evaluate([paired("a")], [report(tmp_path, baselines=[LookUpTable(), BodyMean()], fitting_data=training)])
    methods = summary(tmp_path)["methods"]
    # the target is a function of the source up to 10 HU of noise, and bone makes the mean a bad guess
    assert methods["look-up table"]["mae"]["mean"] < 12
    assert methods["body mean"]["mae"]["mean"] > 50


@pytest.mark.parametrize(
    ("data", "reason"), [(None, "no training cases were given"), ([{"source": 0}], "no training case has both")]
)
def test_baselines_without_pairs_are_left_out_with_the_reason(tmp_path: Path, data: Any, reason: str) -> None:
    evaluate([paired("a")], [report(tmp_path, baselines=[LookUpTable(), Uniform()], fitting_data=data)])
    found = summary(tmp_path)
    assert list(found["methods"]) == ["model", "all-water"]
    assert found["left_out"]["look-up table"].startswith(reason)


def test_training_pair_on_two_grids_is_refused(tmp_path: Path) -> None:
    training = paired("skewed")
    training["source"] = training["source"][..., 1:]
    with pytest.raises(InputError, match=r"case skewed: found other shapes: source \(20, 18, 8\)"):
        evaluate([paired("a")], [report(tmp_path, baselines=[LookUpTable()], fitting_data=[training])])


def test_model_that_beats_no_baseline_is_reported_as_such(tmp_path: Path) -> None:
    evaluate([paired("a", error=500)], [report(tmp_path, baselines=[Uniform()])])
    assert any("model does not beat 'all-water' in mae" in warning for warning in summary(tmp_path)["warnings"])


def test_model_that_beats_the_baselines_gets_no_warning(tmp_path: Path) -> None:
    baselines = [Uniform(), Identity(INTENSITY["ct"])]
    evaluate([paired("a", error=5)], [report(tmp_path, baselines=baselines)])
    assert summary(tmp_path)["warnings"] == []


def test_model_that_returns_its_input_is_caught(tmp_path: Path) -> None:
    case = paired("a")
    scaled = INTENSITY["mr"].scale(case["source"], case["mask"])
    case["image"] = INTENSITY["ct"].restore(scaled).float()
    evaluate([case], [report(tmp_path, baselines=[Identity(INTENSITY["ct"])])])
    found = summary(tmp_path)
    assert found["translation_check"]["nearly_identical_to_input"] == ["a"]
    assert found["translation_check"]["ssim_to_input"]["mean"] > 0.99
    # and it scores exactly as the baseline that returns its input
    assert found["methods"]["model"]["mae"] == pytest.approx(found["methods"]["identity"]["mae"])


def test_copying_any_channel_of_a_source_is_caught(tmp_path: Path) -> None:
    case = paired("a")
    case["image"] = INTENSITY["ct"].restore(INTENSITY["mr"].scale(case["source"], case["mask"])).float()
    case["source"] = torch.cat([torch.randn_like(case["source"]), case["source"]])
    evaluate([case], [report(tmp_path)])
    assert summary(tmp_path)["translation_check"]["nearly_identical_to_input"] == ["a"]


def test_broken_case_is_named_and_stays_out_of_the_mean(tmp_path: Path) -> None:
    broken, empty = paired("b"), paired("c")
    broken["image"][0, 10, 9, 4] = math.nan
    empty["mask"] = torch.zeros_like(empty["mask"])
    evaluate([paired("a", error=10), broken, empty], [report(tmp_path, baselines=[Uniform()])])
    found = summary(tmp_path)
    assert found["methods"]["model"]["mae"]["n"] == 1
    assert found["methods"]["model"]["mae"]["mean"] == pytest.approx(10, abs=1e-4)
    assert found["not_scored"]["b"].startswith("the prediction has no finite value at 1 of")
    assert found["not_scored"]["c"] == "the body mask is empty"


def test_perfect_predictions_leave_a_finite_mean(tmp_path: Path) -> None:
    evaluate([paired("a", error=0), paired("b", error=10)], [report(tmp_path)])
    psnr = summary(tmp_path)["methods"]["model"]["psnr"]
    assert psnr["n"] == 2
    assert math.isfinite(psnr["mean"])


def brighter_mr() -> dict[str, Any]:
    """A case from CT to MR whose prediction is the target and a tenth of the documented scale."""
    case = paired("a")
    case["source"], case["label"] = case["label"], case["source"]
    case["image"] = MRSimilarity().comparable(case["label"], case["mask"]).float() + 100
    return case


def test_mr_target_is_reported_on_its_documented_scale(tmp_path: Path) -> None:
    arguments = {"similarity": MRSimilarity(), "source": "ct", "target": "mr"}
    evaluate([brighter_mr()], [report(tmp_path, **arguments, baselines=[Identity(INTENSITY["mr"])])])
    assert summary(tmp_path)["methods"]["model"]["mae"]["mean"] == pytest.approx(0.1, abs=1e-4)
    assert (tmp_path / "figure.png").is_file()


def flickering() -> dict[str, Any]:
    """A case whose prediction is the target and, in every second axial slice, 60 HU more."""
    case = paired("a", error=0)
    case["image"] = case["image"] + 60.0 * (torch.arange(case["image"].shape[-1]) % 2)
    return case


def test_columns_of_slice_differences_come_last_and_for_the_model_only(tmp_path: Path) -> None:
    evaluate([flickering()], [report(tmp_path, baselines=[Uniform()])])
    model, baseline = table(tmp_path)
    assert list(model)[-3:] == ["ssim_to_input", "slice_difference", "slice_difference_target"]
    assert float(model["slice_difference"]) > 3 * float(model["slice_difference_target"]) > 0
    assert (baseline["slice_difference"], baseline["slice_difference_target"]) == ("", "")


def test_slices_along_another_axis_do_not_flicker(tmp_path: Path) -> None:
    evaluate([flickering()], [report(tmp_path, slice_axis=0)])
    assert summary(tmp_path)["slice_consistency"]["ratio"] == pytest.approx(1, abs=1e-4)


def test_slice_differences_of_mr_are_on_its_documented_scale(tmp_path: Path) -> None:
    evaluate([brighter_mr()], [report(tmp_path, similarity=MRSimilarity(), source="ct", target="mr")])
    found = summary(tmp_path)["slice_consistency"]
    assert (found["unit"], found["ratio"]) == ("a.u.", pytest.approx(1, abs=1e-4))


def test_slice_differences_are_logged_in_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="transmodal")
    evaluate([flickering()], [report(tmp_path)])
    (line,) = [line for line in caplog.text.splitlines() if line.startswith("neighbouring slices differ by")]
    assert "HU in the targets (ratio " in line


def test_figure_can_be_left_out(tmp_path: Path) -> None:
    evaluate([paired("a")], [report(tmp_path, cases_in_figure=0)])
    assert not (tmp_path / "figure.png").exists()


def test_figure_shows_the_first_cases_by_name(tmp_path: Path) -> None:
    handler = report(tmp_path, cases_in_figure=2)
    evaluate([paired(name) for name in "dbca"], [handler])
    assert [view.case for view in handler._findings.views] == ["a", "b"]


def test_table_and_warnings_are_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="transmodal")
    evaluate([paired("a", error=500)], [report(tmp_path, baselines=[Uniform()], title="MR to CT")])
    text = caplog.text
    assert "MR to CT: 1 case(s), inside the body, mean ± SD, SynthRAD2023 [-1024, 3000]" in text
    assert "all-water" in text
    assert [record.levelname for record in caplog.records if "does not beat" in record.message] == ["WARNING"]


def test_missing_source_says_what_to_do(tmp_path: Path) -> None:
    case = paired("a")
    del case["source"]
    with pytest.raises(InputError, match="copy 'image' to 'source'"):
        evaluate([case], [report(tmp_path)])


def test_missing_weights_are_told_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"model\.pt: found no such file"):
        evaluate([paired("a")], [report(tmp_path, weights=tmp_path / "model.pt")])


def test_two_methods_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a different name for each"):
        report(tmp_path, baselines=[Uniform(), Uniform(inside=40)])


def test_modality_without_a_scale_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no scale for the modality 't2'"):
        report(tmp_path, source="t2")


def test_report_is_built_from_json(tmp_path: Path) -> None:
    config = {
        "source": "mr",
        "target": "ct",
        "intensity": {
            "ct": {"_target_": "transmodal.transforms.HounsfieldWindow", "low": -1000, "high": 2000},
            "mr": {"_target_": "transmodal.transforms.RobustPercentiles"},
        },
        "similarity": {
            "ct": {"_target_": "transmodal.metrics.CTSimilarity", "dynamic_range": [-1024, 3071]},
            "mr": {"_target_": "transmodal.metrics.MRSimilarity"},
        },
        "baselines": {
            "ct": [
                {"_target_": "transmodal.metrics.Uniform", "inside": 0, "outside": -1000, "name": "all-water"},
                {"_target_": "transmodal.metrics.Identity", "intensity": "@intensity#ct"},
                {"_target_": "transmodal.metrics.LookUpTable"},
            ],
            "mr": [],
        },
        "report": {
            "_target_": "transmodal.handlers.EvaluationReport",
            "output_dir": str(tmp_path),
            "similarity": "$@similarity[@target]",
            "source": "@source",
            "target": "@target",
            "intensity": "@intensity",
            "baselines": "$@baselines[@target]",
            "windows": {"ct": [-250, 500], "mr": None},
        },
    }
    handler = ConfigParser(config).get_parsed_content("report")
    evaluate([paired("a")], [handler])
    assert summary(tmp_path)["protocol"]["name"].startswith("SynthRAD2025 [-1024, 3071]")
    assert list(summary(tmp_path)["methods"]) == ["model", "all-water", "identity"]


def test_two_processes_write_what_one_writes(tmp_path: Path) -> None:
    in_two(two_ranks_report.evaluate_share, (tmp_path / "two",), tmp_path)
    cases = [uncertain(name, error) for name, error in zip("abc", (10, 20, 60), strict=True)]
    evaluate(cases, [report(tmp_path / "one", baselines=[Uniform()]), UncertaintyCalibration(tmp_path / "one")])
    assert (tmp_path / "two" / "metrics.csv").read_text() == (tmp_path / "one" / "metrics.csv").read_text()
    assert summary(tmp_path / "two") == summary(tmp_path / "one")
    for name in ("figure.png", "calibration.json", "calibration.png"):
        assert (tmp_path / "two" / name).read_bytes() == (tmp_path / "one" / name).read_bytes()
    assert json.loads((tmp_path / "two" / "key_metric.json").read_text()) == pytest.approx([30, 30], abs=1e-4)
