"""Regions beside the body: which cases are scored in them, and their statistics."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from transmodal.handlers.regions import RegionFindings, column, inside
from transmodal.metrics import CaseScores, SynthRAD2023

SPOT = torch.tensor([0.0, 1.0, 1.0])


def test_case_with_a_region_is_scored_and_its_voxels_counted() -> None:
    findings = RegionFindings()
    assert findings.take("a", SPOT, None)
    assert findings.voxels == {"a": 2}
    assert findings.not_scored == {}


@pytest.mark.parametrize(
    ("region", "fault", "reason"),
    [
        (None, None, "the case has no mask of it"),
        (0 * SPOT, None, "its mask is empty"),
        (SPOT, "the body mask is empty", "the body mask is empty"),
    ],
)
def test_case_that_is_not_scored_says_why(region: Tensor | None, fault: str | None, reason: str) -> None:
    findings = RegionFindings()
    assert not findings.take("a", region, fault)
    assert findings.not_scored == {"a": reason}
    assert findings.voxels == {}


def test_shares_are_merged_in_the_order_of_cases() -> None:
    merged = RegionFindings.merged([RegionFindings({"b": 2}, {"d": "why"}), RegionFindings({"a": 1}, {"c": "why"})])
    assert list(merged.voxels.items()) == [("a", 1), ("b", 2)]
    assert list(merged.not_scored) == ["c", "d"]


def test_rows_of_a_region_have_the_plain_names_of_measures() -> None:
    row = CaseScores("a", "model", {"mae": 1.0, column("lesion", "mae"): 2.0, column("core", "mae"): 3.0})
    assert inside("lesion", [row]) == [CaseScores("a", "model", {"mae": 2.0})]


def test_summary_is_over_the_cases_that_have_the_region() -> None:
    rows = [CaseScores(case, "model", {"mae": 1.0, **found}) for case, found in (("a", {"lesion_mae": 8.0}), ("b", {}))]
    summary = RegionFindings({"a": 2}, {"b": "why"}).summary("lesion", rows, SynthRAD2023().measures)
    assert (summary["cases"], summary["voxels"], summary["not_scored"]) == (1, {"a": 2}, {"b": "why"})
    assert (summary["methods"]["model"]["mae"]["mean"], summary["methods"]["model"]["mae"]["n"]) == (8.0, 1)
    assert summary["methods"]["model"]["psnr"]["mean"] is None
