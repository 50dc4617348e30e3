"""The study's metric_calc against the published code's own numbers, slice by slice and over slices."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mudiff_bundle.paper_protocol import SliceScores, over_slices, slice_scores

MEASURES = ("ssim", "psnr", "mae")


@pytest.fixture(scope="module")
def golden(shared: Path) -> dict[str, Any]:
    return json.loads((shared / "goldens/mudiff/metrics_golden.json").read_text())


@pytest.fixture(scope="module")
def scores(shared: Path) -> list[SliceScores]:
    with np.load(shared / "goldens/mudiff/metrics_golden.npz") as arrays:
        images = [arrays[name] for name in ("real", "synth", "mask")]
    return [slice_scores(*slices) for slices in zip(*images, strict=True)]


@pytest.mark.parametrize("measure", MEASURES)
def test_every_slice_has_the_published_value(golden: dict[str, Any], scores: list[SliceScores], measure: str) -> None:
    published = [np.nan if value is None else value for value in golden[measure]]
    found = [getattr(each, measure) for each in scores]
    np.testing.assert_allclose(found, published, rtol=0, atol=1e-12, equal_nan=True)


def test_the_slice_with_an_empty_mask_is_the_one_without_a_value(
    golden: dict[str, Any], scores: list[SliceScores]
) -> None:
    (empty,) = [number for number, name in enumerate(golden["cases"]) if name.startswith("empty mask")]
    assert [number for number, each in enumerate(scores) if np.isnan(each[:3]).any()] == [empty]
    assert scores[empty].note == "empty mask"


@pytest.mark.parametrize("measure", MEASURES)
def test_mean_and_deviation_are_the_published_ones(
    golden: dict[str, Any], scores: list[SliceScores], measure: str
) -> None:
    mean, deviation = golden["stats"][measure.upper()]
    found = over_slices(scores)[measure]
    assert (found["mean"], found["sd"], found["n"]) == (round(mean, 4), round(deviation, 4), 5)
