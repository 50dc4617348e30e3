"""The study's own protocol on slices of an evaluator's volumes, and what it leaves to chance."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser
from mudiff_bundle.paper_protocol import PaperProtocol, SliceScores, eight_bit, over_slices, slice_scores

from tests.common.handlers.evaluation import evaluate, paired, spot


def grey(seed: int = 0, size: int = 32) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 250, (size, size), dtype=np.uint8)


def mask(rows: slice, columns: slice, value: int = 255) -> np.ndarray:
    inside = np.zeros((32, 32), dtype=np.uint8)
    inside[rows, columns] = value
    return inside


MIDDLE = mask(slice(8, 24), slice(8, 24))


def test_gain_and_bias_of_the_prediction_cost_nothing() -> None:
    real = np.repeat(np.arange(10, 42, dtype=np.uint8)[None], 32, axis=0)
    scores = slice_scores(real, (3 * real + 50).astype(np.uint8), MIDDLE)
    assert scores.mae == pytest.approx(0, abs=1e-12)
    assert scores.ssim == pytest.approx(1)


def test_outside_of_the_mask_is_diluting_and_not_looked_at() -> None:
    real, synthetic = grey(0), grey(1)
    corners = mask(slice(8, 24), slice(8, 24))
    corners[10:22, 10:22] = 127  # not above the threshold: outside
    assert slice_scores(real, synthetic, corners).mae < 0.6 * slice_scores(real, synthetic, MIDDLE).mae


@pytest.mark.parametrize(
    ("rows", "columns"), [(slice(0, 3), slice(8, 24)), (slice(8, 24), slice(29, 32)), (slice(31, 32), slice(0, 1))]
)
def test_box_that_cannot_reach_seven_pixels_at_the_border_has_no_scores(rows: slice, columns: slice) -> None:
    scores = slice_scores(grey(0), grey(1), mask(rows, columns))
    assert all(map(math.isnan, scores[:3]))
    assert scores.note == "mask too small at the border"


@pytest.mark.parametrize(("height", "scored"), [(5, False), (6, True)])
def test_box_at_the_border_is_not_shifted_to_reach_seven_pixels(height: int, scored: bool) -> None:
    scores = slice_scores(grey(0), grey(1), mask(slice(0, height), slice(8, 24)))
    assert math.isfinite(scores.ssim) is scored


def test_empty_mask_is_skipped() -> None:
    assert slice_scores(grey(0), grey(1), mask(slice(0), slice(0))).note == "empty mask"


@pytest.mark.parametrize("blank", [np.zeros((32, 32), dtype=np.uint8), np.full((32, 32), 9, dtype=np.uint8)])
def test_blank_image_has_no_scores(blank: np.ndarray) -> None:
    assert slice_scores(grey(), blank, MIDDLE).note == "blank image"
    assert slice_scores(blank, grey(), MIDDLE).note == "blank image"


def test_equal_images_are_perfect_and_their_infinite_psnr_is_in_no_mean() -> None:
    perfect = slice_scores(grey(), grey(), MIDDLE)
    assert (perfect.ssim, perfect.psnr, perfect.mae) == (pytest.approx(1), math.inf, 0)
    summary = over_slices([perfect, slice_scores(grey(0), grey(1), MIDDLE)])
    assert (summary["psnr"]["n"], summary["ssim"]["n"], summary["notes"]) == (1, 2, {"equal images": 1})
    assert math.isfinite(summary["psnr"]["mean"])


def test_statistics_are_those_of_the_slices_with_the_population_deviation() -> None:
    summary = over_slices([SliceScores(0.1, 1.0, 2.0), SliceScores(0.2, 3.0, 2.0), SliceScores(note="empty mask")])
    assert summary["psnr"] == {"mean": 2.0, "sd": 1.0, "n": 2}
    assert (summary["ssim"]["mean"], summary["slices"], summary["notes"]) == (0.15, 3, {"empty mask": 1})


def test_no_slice_leaves_no_mean() -> None:
    assert over_slices([])["mae"] == {"mean": None, "sd": None, "n": 0}


def test_slices_fill_eight_bits_from_their_own_minimum_to_their_own_maximum() -> None:
    assert eight_bit(np.array([[-50.0, -25.0, 50.0]])).tolist() == [[0, 64, 255]]
    assert eight_bit(np.full((2, 2), 7.0)).tolist() == [[0, 0], [0, 0]]
    assert eight_bit(np.array([[np.nan, 1.0]])).tolist() == [[0, 0]]


# the handler


def case(name: str) -> dict[str, Any]:
    """Noise of its own in every slice of the prediction; a lesion in three of nine slices."""
    found = paired(name)
    found["image"] = found["label"] + 200 * torch.randn_like(found["label"])
    found["lesion"] = spot()
    return found


def rows(output_dir: Path) -> list[dict[str, str]]:
    with (output_dir / "paper_metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def summary(output_dir: Path) -> dict[str, Any]:
    return json.loads((output_dir / "paper_metrics.json").read_text())


def test_two_files_under_their_own_name_and_no_metric_of_ours(tmp_path: Path) -> None:
    evaluator = evaluate([case("a")], [PaperProtocol(tmp_path / "eval")])
    assert sorted(path.name for path in (tmp_path / "eval").iterdir()) == ["paper_metrics.csv", "paper_metrics.json"]
    assert summary(tmp_path / "eval")["protocol"] == "MU-Diff metric_calc"
    assert evaluator.state.metrics == {}


def test_a_row_per_slice_with_body_and_region(tmp_path: Path) -> None:
    sample = case("a")
    sample["mask"][..., 0] = 0
    evaluate([sample], [PaperProtocol(tmp_path, regions={"lesion": "lesion"})])
    found = [(row["region"], int(row["slice"])) for row in rows(tmp_path)]
    assert sorted(found) == [(region, number) for region in ("brain", "lesion") for number in range(1, 9)]
    notes = {row["slice"]: row["note"] for row in rows(tmp_path) if row["region"] == "lesion"}
    assert [notes[str(number)] for number in (4, 5, 7, 8)] == ["empty mask", "", "", "empty mask"]
    assert summary(tmp_path)["lesion"]["ssim"]["n"] == 3


def test_scores_are_those_of_the_eight_bit_slices(tmp_path: Path) -> None:
    sample = case("a")
    evaluate([sample], [PaperProtocol(tmp_path)])
    images = [sample[key][0, :, :, 4].numpy().astype(np.float64) for key in ("label", "image")]
    inside = (255 * sample["mask"][0, :, :, 4].numpy()).astype(np.uint8)
    expected = slice_scores(*map(eight_bit, images), inside)
    (row,) = [row for row in rows(tmp_path) if row["slice"] == "4"]
    assert [float(row[name]) for name in ("ssim", "psnr", "mae")] == pytest.approx(expected[:3])


def test_slices_are_axial_however_the_volume_is_stored(tmp_path: Path) -> None:
    stored = case("a")
    for key in ("image", "label", "mask", "source", "lesion"):
        affine = torch.zeros(4, 4, dtype=torch.float64)
        affine[2, 0], affine[0, 1], affine[1, 2], affine[3, 3] = 3, -2, -2, 1
        stored[key] = type(stored[key])(stored[key].as_tensor().permute(0, 3, 1, 2), affine=affine)
    evaluate([case("a")], [PaperProtocol(tmp_path / "axial")])
    torch.manual_seed(0)
    evaluate([stored], [PaperProtocol(tmp_path / "stored")])
    assert [row["slice"] for row in rows(tmp_path / "stored")] == [row["slice"] for row in rows(tmp_path / "axial")]


def test_case_without_the_region_has_rows_of_the_brain_only(tmp_path: Path) -> None:
    evaluate([paired("a")], [PaperProtocol(tmp_path, regions={"lesion": "lesion"})])
    assert {row["region"] for row in rows(tmp_path)} == {"brain"}
    assert summary(tmp_path)["lesion"]["slices"] == 0


def test_prediction_that_is_not_finite_is_counted_and_not_averaged(tmp_path: Path) -> None:
    sample = case("a")
    sample["image"][..., 3] = torch.nan
    evaluate([sample], [PaperProtocol(tmp_path)])
    assert summary(tmp_path)["brain"]["notes"] == {"blank image": 1}
    assert math.isfinite(summary(tmp_path)["brain"]["ssim"]["mean"])


def test_it_is_built_from_json(tmp_path: Path) -> None:
    config = {
        "_target_": "mudiff_bundle.paper_protocol.PaperProtocol",
        "output_dir": str(tmp_path),
        "regions": {"lesion": "lesion"},
        "slice_axis": 2,
        "axcodes": "RAS",
    }
    evaluate([case("a")], [ConfigParser({"handler": config}).get_parsed_content("handler")])
    assert summary(tmp_path)["cases"] == ["a"]


def test_region_called_brain_is_refused() -> None:
    with pytest.raises(ValueError, match="another name than 'brain'"):
        PaperProtocol("eval", regions={"brain": "mask"})
