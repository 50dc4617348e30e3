"""Merging what processes found, and writing it whole or not at all."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path

from transmodal.handlers.findings import Findings, provenance, write_csv
from transmodal.handlers.regions import RegionFindings
from transmodal.metrics import CaseScores, SynthRAD2023


def scores(case: str, mae: float = 10.0, ssim: float = 0.9, copied: float = 0.1) -> CaseScores:
    return CaseScores(case, "model", {"mae": mae, "psnr": 30.0, "ssim": ssim, "ssim_to_input": copied})


def test_shares_are_merged_in_the_order_of_cases_each_once() -> None:
    shares = [Findings([scores("a"), scores("c")], {"c": "why"}), Findings([scores("b"), scores("c")], {"c": "why"})]
    merged = Findings.merged(shares)
    assert [row.case for row in merged.rows] == ["a", "b", "c"]
    assert merged.faults == {"c": "why"}


def test_methods_of_a_case_keep_their_order() -> None:
    rows = [CaseScores("a", method, {}) for method in ("model", "zebra", "air")]
    assert [row.method for row in Findings.merged([Findings(rows)]).rows] == ["model", "zebra", "air"]


def test_copy_of_the_input_is_warned_of() -> None:
    summary = Findings([scores("a"), scores("b", copied=0.95)]).summary(SynthRAD2023(), nearly_identical=0.9)
    assert summary["translation_check"]["nearly_identical_to_input"] == ["b"]
    assert summary["warnings"] == ["output nearly identical to input (SSIM from 0.9) in b: was it translated at all?"]


def test_case_that_cannot_be_scored_is_named_with_the_reason() -> None:
    broken = scores("b", mae=math.nan, ssim=math.nan)
    summary = Findings([scores("a"), broken], {"b": "the body mask is empty"}).summary(SynthRAD2023(), 0.9)
    assert summary["warnings"] == ["b is not scored and in no mean: the body mask is empty"]
    assert summary["not_scored"] == {"b": "the body mask is empty"}


def test_single_undefined_measure_is_named() -> None:
    summary = Findings([scores("a", ssim=math.nan)]).summary(SynthRAD2023(), 0.9)
    assert summary["warnings"] == ["a is not in the mean of ssim, undefined for so small a body"]


def test_table_of_cases_has_empty_cells_where_undefined(tmp_path: Path) -> None:
    rows = [scores("a", mae=math.nan), CaseScores("a", "air", {"mae": 5.5})]
    write_csv(tmp_path / "metrics.csv", rows, ["mae", "ssim_to_input"])
    assert (tmp_path / "metrics.csv").read_text().splitlines() == [
        "case,method,mae,ssim_to_input",
        "a,model,,0.1",
        "a,air,5.5,",
    ]


def test_weights_are_identified_by_name_and_hash(tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_bytes(b"weights")
    found = provenance(tmp_path / "model.pt")
    assert found["weights"] == "model.pt"
    assert found["weights_sha256"] == hashlib.sha256(b"weights").hexdigest()
    assert "weights" not in provenance(None)


def test_regions_of_all_shares_are_merged() -> None:
    shares = [Findings(regions={"lesion": RegionFindings({case: 5})}) for case in "ba"]
    assert list(Findings.merged(shares).regions["lesion"].voxels) == ["a", "b"]


def test_baseline_that_is_better_in_a_region_only_is_warned_of() -> None:
    def in_both(method: str, body: float, lesion: float) -> CaseScores:
        return scores("a", body)._replace(method=method, values={**scores("a", body).values, "lesion_mae": lesion})

    rows = [in_both("model", 10, 80), in_both("air", 20, 70)]
    warnings = Findings(rows, regions={"lesion": RegionFindings({"a": 5})}).summary(SynthRAD2023(), 0.9)["warnings"]
    assert "inside the lesion, model does not beat 'air' in mae (80 against 70 HU)" in warnings
    assert not any("in mae (10" in warning for warning in warnings)
