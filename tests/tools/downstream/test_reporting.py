"""Table, CSV and JSON of the scores, and the warning where they mean nothing."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import torch
from torch import nn

from downstream.reporting import report, table, warnings_of, write_report, write_scores
from downstream.scoring import Score
from downstream.training import Recipe, Segmenter

DICE = {"a": {"real": 0.8, "model": 0.7, "missing": 0.4}, "b": {"real": 0.6, "model": 0.4, "missing": 0.2}}
SCORES = [Score(case, method, dice, 1.5, 2.25) for case, own in DICE.items() for method, dice in own.items()]


def test_the_table_has_a_row_per_case_and_the_mean() -> None:
    rows = [line.split() for line in table(SCORES).splitlines()]
    assert rows == [
        ["Dice", "of", "lesions", "lesion", "(ml)", "real", "model", "missing"],
        ["a", "2.25", "0.800", "0.700", "0.400"],
        ["b", "2.25", "0.600", "0.400", "0.200"],
        ["mean", "0.700", "0.550", "0.300"],
        ["SD", "0.141", "0.212", "0.141"],
    ]


def test_a_single_case_has_no_standard_deviation() -> None:
    assert table(SCORES[:3]).splitlines()[-1].split() == ["mean", "0.800", "0.700", "0.400"]


def test_a_segmenter_that_does_not_need_the_target_is_told() -> None:
    assert warnings_of(SCORES, "flair") == []
    equal = [Score("a", method, 0.5, 1.0, 1.0) for method in ("real", "model", "missing")]
    assert "0.500 with the real flair and 0.500 without" in warnings_of(equal, "flair")[0]


def test_the_report_says_what_was_measured_with_what(tmp_path: Path) -> None:
    weights = tmp_path / "segmenter.pt"
    torch.save({}, weights)
    segmenter = Segmenter(nn.Identity(), Recipe("flair", ("t1",), epochs=7), target_mean=-0.2)
    content = report(SCORES, segmenter, ["x", "y"], {"section": "test"}, weights)
    write_report(content, tmp_path / "segmentation.json")
    written = json.loads((tmp_path / "segmentation.json").read_text(encoding="utf-8"))
    assert written["methods"]["model"]["dice"]["mean"] == 0.55
    assert written["cases"]["b"] == {
        "true_lesion_ml": 2.25,
        "methods": {method: {"dice": dice, "lesion_ml": 1.5} for method, dice in DICE["b"].items()},
    }
    assert written["segmenter"]["epochs"] == 7
    assert written["segmenter"]["training_cases"] == ["x", "y"]
    assert written["data"] == {"section": "test"}
    assert {"torch", "monai", "transmodal", "commit", "weights_sha256"} <= written["provenance"].keys()


def test_the_csv_has_a_row_per_case_and_method(tmp_path: Path) -> None:
    write_scores(SCORES, tmp_path / "segmentation.csv")
    with (tmp_path / "segmentation.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6
    assert rows[4] == {"case": "b", "method": "model", "dice": "0.4", "lesion_ml": "1.5", "true_lesion_ml": "2.25"}
