"""SynthRAD image similarity against the published code's own results, at the tolerances suggested with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from transmodal.metrics import CTSimilarity, SynthRAD2023, SynthRAD2025

CASES = ["small", "ge97", "mask255"]
PROTOCOLS = {
    "synthrad2023": SynthRAD2023(),
    "synthrad2025_metrics_repo": SynthRAD2025(dynamic_range=(-1024, 3000)),
    "synthrad2025_evaluation_repo": SynthRAD2025(dynamic_range=(-1024, 3071)),
}


@pytest.fixture(scope="module")
def golden(shared: Path) -> dict[str, Any]:
    return json.loads((shared / "goldens/metrics/synthrad_golden.json").read_text())


@pytest.fixture(scope="module")
def arrays(shared: Path) -> dict[str, np.ndarray]:
    with np.load(shared / "goldens/metrics/synthrad_golden.npz") as stored:
        return dict(stored)


def images(arrays: dict[str, np.ndarray], case: str) -> tuple[Tensor, Tensor, Tensor]:
    pred, target, mask = (torch.from_numpy(arrays[f"{case}_{name}"]) for name in ("pred", "gt", "mask"))
    return pred, target, mask


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("case", CASES)
def test_every_measure_equals_the_published_float64_value(
    golden: dict[str, Any], arrays: dict[str, np.ndarray], case: str, protocol: str
) -> None:
    published = golden["image_cases"][case]["results"][f"{protocol}_float64"]
    scores = PROTOCOLS[protocol](*images(arrays, case))
    assert scores == pytest.approx({name: published[name] for name in scores}, abs=1e-9, rel=0)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_float32_images_score_as_published_within_float32(
    golden: dict[str, Any], arrays: dict[str, np.ndarray], protocol: str
) -> None:
    published = golden["image_cases"]["small"]["results"][f"{protocol}_float32"]
    pred, target, mask = images(arrays, "small")
    scores = PROTOCOLS[protocol](pred.float(), target.float(), mask)
    assert scores == pytest.approx({name: published[name] for name in scores}, abs=2e-5, rel=0)


@pytest.mark.parametrize("repository", ["metrics", "evaluation"])
@pytest.mark.parametrize("case", CASES)
def test_corrected_luminance_equals_the_published_code_with_that_repair(
    golden: dict[str, Any], arrays: dict[str, np.ndarray], case: str, repository: str
) -> None:
    published = golden["image_cases"][case]["results"][f"synthrad2025_{repository}_repo_float64"]
    protocol = SynthRAD2025(published["dynamic_range"], corrected=True)
    expected = published["ms_ssim_if_luminance_only_last_scale"]
    assert protocol(*images(arrays, case))["ms_ssim"] == pytest.approx(expected, abs=1e-9, rel=0)


def test_constant_air_scores_as_published(golden: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    _, target, mask = images(arrays, "small")
    scores = SynthRAD2025(dynamic_range=(-1024, 3071))(torch.full_like(target, -1024), target, mask)
    published = golden["edge_cases_of_the_originals"]["constant_prediction_-1024_2025"]
    assert scores == pytest.approx(json.loads(published.replace("'", '"')), abs=1e-9, rel=0)


def test_our_protocol_for_ct_is_2025_with_the_ssim_of_2023(arrays: dict[str, np.ndarray]) -> None:
    pair = images(arrays, "small")
    expected = {**SynthRAD2025()(*pair), "ssim": SynthRAD2023()(*pair)["ssim"]}
    assert CTSimilarity()(*pair) == expected
