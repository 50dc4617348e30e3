"""The report on masks: a row per case and method, baselines that know what labels are, and a figure."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from segmentation_bundle.report import AutomaticMask, Everything, SegmentationReport

from tests.bundles.ct_mr_body_segmentation.cases import SHAPE, evaluate, labelled, square
from transmodal.errors import InputError
from transmodal.transforms import BodyMask

BODY = {"ct": BodyMask(threshold=-500, opening=0)}
EMPTY = torch.zeros(1, *SHAPE)


def summary_of(folder: Path, *cases: dict[str, Any], **arguments: Any) -> dict[str, Any]:
    report = SegmentationReport(
        folder,
        source="ct",
        **{"label_from": "mask", "baselines": [AutomaticMask(BODY), Everything()], "title": "masks", **arguments},
    )
    evaluate(cases, report)
    return dict(json.loads((folder / "summary.json").read_text()))


def test_a_row_for_each_case_and_method(tmp_path: Path) -> None:
    """The automatic mask is the drawn one here; all 16 × 14 pixels against 8 × 8 have Dice 2·64/288."""
    summary_of(tmp_path, labelled("b", square(4, 8), square()), labelled("a", square(), square()))
    with (tmp_path / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["case"], row["method"]) for row in rows] == [
        (case, method) for case in "ab" for method in ("model", "automatic mask", "everything is body")
    ]
    assert [float(row["dice"]) for row in rows] == pytest.approx([1, 1, 2 * 64 / 288, 2 / 3, 1, 2 * 64 / 288])


def test_statistics_and_warnings(tmp_path: Path) -> None:
    summary = summary_of(tmp_path, labelled("a", square(), square()), labelled("b", square(4, 8), square()))
    assert summary["methods"]["model"]["dice"]["mean"] == pytest.approx(5 / 6)
    assert summary["methods"]["model"]["dice"]["worst_case"] == "b"
    assert [warning.split(" in ")[0] for warning in summary["warnings"]] == ["model does not beat 'automatic mask'"]


def test_automatic_labels_are_no_rivals_of_themselves(tmp_path: Path) -> None:
    summary = summary_of(tmp_path, labelled("a", square(), square()), label_from="automatic")
    assert list(summary["methods"]) == ["model", "everything is body"]
    assert summary["left_out"] == {"automatic mask": "the labels are these very masks"}
    assert "not with a body that anybody has looked at" in summary["warnings"][0]


def test_empty_masks_are_scored_and_told(tmp_path: Path) -> None:
    summary = summary_of(tmp_path, labelled("a", EMPTY, square()), labelled("b", EMPTY, EMPTY))
    assert [summary["methods"]["model"]["dice"][key] for key in ("mean", "n")] == [0.5, 2]
    assert summary["warnings"][:2] == ["a: the prediction is empty", "b: the prediction and label is empty"]


def test_the_models_means_are_left_in_the_engine(tmp_path: Path) -> None:
    engine = evaluate([labelled("a", square(), square())], SegmentationReport(tmp_path, source="ct"))
    assert engine.state.metrics == {"dice": 1.0, "iou": 1.0, "hd95": 0.0}


def test_a_figure_has_a_row_for_so_many_cases(tmp_path: Path) -> None:
    cases = [labelled(name, square(4, 8), square()) for name in "abc"]
    heights = []
    for count in (1, 2):
        summary_of(tmp_path / str(count), *cases, cases_in_figure=count)
        with Image.open(tmp_path / str(count) / "figure.png") as figure:
            heights.append(figure.height)
    assert heights[1] > 1.4 * heights[0]


def test_a_case_without_its_image_is_refused(tmp_path: Path) -> None:
    case = labelled("a", square(), square())
    del case["raw"]
    with pytest.raises(InputError, match="no image as it was read"):
        summary_of(tmp_path, case)


def test_weights_that_are_not_there_are_refused_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"model.pt: found no such file"):
        evaluate([], SegmentationReport(tmp_path, source="ct", weights=tmp_path / "model.pt"))
