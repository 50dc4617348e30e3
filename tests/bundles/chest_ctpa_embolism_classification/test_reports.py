"""What an evaluation writes: the table, the numbers and the figure."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from embolism_bundle.predictions import Prediction, read_predictions
from embolism_bundle.reports import ClassificationReport, PredictionWriter
from embolism_bundle.scores import in_words, summarised
from PIL import Image

from tests.bundles.chest_ctpa_embolism_classification.conftest import prediction
from transmodal.errors import InputError


def test_the_area_and_its_intervals(predictions: list[Prediction]) -> None:
    """Of nine pairs of a positive and a negative case eight are in order."""
    area = summarised(predictions)["auc"]
    assert area["value"] == pytest.approx(8 / 9)
    for name in ("bootstrap_95", "delong_95"):
        assert 0 <= area[name][0] < 8 / 9 < area[name][1] <= 1


def test_rates_at_the_threshold_that_came_with_the_predictions(predictions: list[Prediction]) -> None:
    told = summarised(predictions)["at_threshold"]
    assert told["threshold"] == 0.5
    counts = [told[name] for name in ("true_positive", "false_positive", "true_negative", "false_negative")]
    assert counts == [2, 1, 2, 1]
    rates = ("accuracy", "sensitivity", "specificity", "positive_predictive_value", "negative_predictive_value")
    assert [told[name]["of"] for name in rates] == ["4/6", "2/3", "2/3", "2/3", "2/3"]
    assert told["sensitivity"]["value"] == pytest.approx(2 / 3)


def test_another_threshold_changes_no_area(predictions: list[Prediction]) -> None:
    strict = [prediction(each.case, each.probability, each.label, threshold=0.75) for each in predictions]
    one, other = summarised(predictions), summarised(strict)
    assert one["auc"] == other["auc"]
    assert other["at_threshold"]["specificity"]["of"] == "3/3"


def test_how_good_the_probabilities_are(predictions: list[Prediction]) -> None:
    told = summarised(predictions)["probabilities"]
    right = [0.9, 0.8, 0.3, 0.4, 0.7, 0.8]
    assert told["brier_score"] == pytest.approx(sum((1 - share) ** 2 for share in right) / 6)
    assert told["log_loss"] == pytest.approx(-sum(map(math.log, right)) / 6)


def test_bins_of_probabilities_have_cases_enough(predictions: list[Prediction]) -> None:
    """Six cases are one bin, and fifty times as many are ten."""
    assert [each["cases"] for each in summarised(predictions)["probabilities"]["bins"]] == [6]
    many = [prediction(f"{each.case}{n}", each.probability, each.label) for each in predictions for n in range(50)]
    assert [each["cases"] for each in summarised(many)["probabilities"]["bins"]] == [30] * 10


def test_patients_with_several_cases_are_drawn_whole_and_told(predictions: list[Prediction]) -> None:
    shared = [prediction(each.case, each.probability, each.label, patient="p") for each in predictions[:2]]
    summary = summarised([*shared, *predictions[2:]])
    assert (summary["cases"], summary["patients"]) == (6, 5)
    assert "some patients have several cases" in summary["warnings"][-1]


def test_few_cases_are_told(predictions: list[Prediction]) -> None:
    assert summarised(predictions)["warnings"][0] == "only 3 cases with the finding: the intervals are wide"


@pytest.mark.parametrize(
    ("section", "told"),
    [
        ("training", "2 of 6 cases are TRAINING cases"),
        ("validation", "2 of 6 cases are VALIDATION cases"),
        ("", "2 of 6 cases are of UNKNOWN section"),
    ],
)
def test_cases_that_the_weights_may_have_seen_are_told(
    predictions: list[Prediction], section: str, told: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    seen = [prediction(each.case, each.probability, each.label, section=section) for each in predictions[:2]]
    ClassificationReport(tmp_path).write([*seen, *predictions[2:]])
    summary = json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))
    assert summary["warnings"][0].startswith(told)
    assert summary["sections"] == {section or "unknown": 2, "test": 4}
    assert told in caplog.text


def test_of_test_cases_nothing_is_to_be_told(predictions: list[Prediction]) -> None:
    assert not any("cases are" in warning for warning in summarised(predictions)["warnings"])


def test_of_one_kind_there_is_no_area_but_there_are_rates(predictions: list[Prediction]) -> None:
    summary = summarised(predictions[:2])
    assert summary["auc"] == {"value": None, "bootstrap_95": None, "delong_95": None}
    assert summary["at_threshold"]["specificity"] == {"value": None, "of": "0/0", "wilson_95": None}
    assert in_words(summary) == "2 cases, 2 positive, accuracy 1.000 (2/2), sensitivity 1.000 (2/2)"


def test_in_words(predictions: list[Prediction]) -> None:
    words = in_words(summarised(predictions))
    assert words.startswith("6 cases, 3 positive, AUC 0.889 (95 % ")
    assert words.endswith("specificity 0.667 (2/3)")


def test_a_case_of_which_nobody_knows_is_refused(predictions: list[Prediction]) -> None:
    with pytest.raises(InputError, match="found no label of g"):
        summarised([*predictions, prediction("g", 0.5, None)])


def test_no_case_is_refused() -> None:
    with pytest.raises(InputError, match="found no case"):
        summarised([])


@pytest.mark.parametrize("kept", [6, 2])
def test_an_evaluation_writes_table_summary_and_figure(
    predictions: list[Prediction], kept: int, tmp_path: Path
) -> None:
    """Of cases of one kind too."""
    (tmp_path / "model.pt").write_bytes(b"weights")
    report = ClassificationReport(
        tmp_path / "out", title="Chests", weights=tmp_path / "model.pt", data={"dataset_dir": "chests", "labels": None}
    )
    report.write(predictions[:kept])
    assert read_predictions(tmp_path / "out" / "predictions.csv") == predictions[:kept]
    summary = json.loads((tmp_path / "out" / "summary.json").read_text(encoding="utf-8"))
    assert (summary["title"], summary["cases"]) == ("Chests", kept)
    assert summary["data"] == {"dataset_dir": "chests", "labels": None}
    assert summary["provenance"]["weights"] == "model.pt"
    with Image.open(tmp_path / "out" / "figure.png") as figure:
        assert figure.width > 2 * figure.height


def test_an_inference_writes_the_table_alone(predictions: list[Prediction], tmp_path: Path) -> None:
    PredictionWriter(tmp_path).write(predictions)
    assert [path.name for path in tmp_path.iterdir()] == ["predictions.csv"]
