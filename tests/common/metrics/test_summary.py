"""Statistics over cases: no value that is not finite enters, the worst case is named, comparisons are paired."""

from __future__ import annotations

import json
import math

import pytest

from transmodal.metrics import CaseScores, Measure, format_table, summarise, unbeaten_baselines

MEASURES = {"mae": Measure("HU", higher_is_better=False), "ssim": Measure("", higher_is_better=True)}


def rows(method: str, mae: list[float], ssim: list[float]) -> list[CaseScores]:
    return [
        CaseScores(f"case{index}", method, {"mae": error, "ssim": score})
        for index, (error, score) in enumerate(zip(mae, ssim, strict=True))
    ]


OURS = rows("model", [10.0, 40.0, 25.0], [0.9, 0.5, 0.8])


def test_mean_sd_and_median_are_those_of_the_cases() -> None:
    mae = summarise(OURS, MEASURES)["model"]["mae"]
    # by hand: mean 25, squared deviations 225 + 225 + 0 over n - 1 = 2
    assert (mae["mean"], mae["sd"], mae["median"], mae["n"]) == (25.0, 15.0, 25.0, 3)


def test_worst_is_the_largest_error_and_the_smallest_score() -> None:
    summary = summarise(rows("model", [10.0, 40.0], [0.4, 0.8]), MEASURES)["model"]
    assert (summary["mae"]["worst_case"], summary["mae"]["worst"]) == ("case1", 40.0)
    assert (summary["ssim"]["worst_case"], summary["ssim"]["worst"]) == ("case0", 0.4)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_values_that_are_not_finite_enter_no_statistic(bad: float) -> None:
    mae = summarise([*OURS, CaseScores("case3", "model", {"mae": bad, "ssim": 1.0})], MEASURES)["model"]["mae"]
    assert mae == summarise(OURS, MEASURES)["model"]["mae"]


def test_no_value_at_all_is_told_as_none() -> None:
    summary = summarise(rows("model", [math.nan], [math.nan]), MEASURES)
    assert summary["model"]["mae"] == dict.fromkeys(["mean", "sd", "median", "worst", "worst_case"]) | {"n": 0}


def test_one_case_has_no_deviation() -> None:
    assert summarise(rows("model", [3.0], [1.0]), MEASURES)["model"]["mae"]["sd"] is None


def test_summary_is_strict_json() -> None:
    json.dumps(summarise(rows("model", [math.nan, 1.0], [math.inf, 1.0]), MEASURES), allow_nan=False)


def test_beaten_baselines_are_not_mentioned() -> None:
    assert unbeaten_baselines([*OURS, *rows("air", [50.0] * 3, [0.1] * 3)], MEASURES, "model") == []


def test_a_baseline_that_is_as_good_in_one_measure_is_named() -> None:
    sentences = unbeaten_baselines([*OURS, *rows("air", [25.0] * 3, [0.1] * 3)], MEASURES, "model")
    assert sentences == ["model does not beat 'air' in mae (25 against 25 HU)"]


def test_higher_is_better_where_the_measure_says_so() -> None:
    sentences = unbeaten_baselines([*OURS, *rows("air", [90.0] * 3, [0.95] * 3)], MEASURES, "model")
    assert sentences == ["model does not beat 'air' in ssim (0.7333 against 0.95)"]


def test_comparison_is_over_the_cases_both_have() -> None:
    ours = rows("model", [10.0, math.nan], [0.9, math.nan])
    theirs = rows("air", [12.0, 1.0], [0.1, 0.1])
    assert unbeaten_baselines([*ours, *theirs], MEASURES, "model") == []


def test_table_has_units_and_a_line_per_method() -> None:
    table = format_table(summarise([*OURS, *rows("all-air", [math.nan] * 3, [0.25] * 3)], MEASURES), MEASURES)
    assert table.splitlines() == [
        "method   mae (HU)     ssim",
        "model    25.0 ± 15.0  0.733 ± 0.208",
        "all-air  undefined    0.250 ± 0.000",
    ]
