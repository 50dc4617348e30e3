"""Calibration of predicted deviations, against errors drawn from them and against SciPy's rank correlation."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.stats import spearmanr
from torch import Tensor

from transmodal.metrics import CalibrationSums, ReliabilityBin, calibration_error, reliability

COUNT = 40_000


def drawn(factor: float = 1.0, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Normal errors, ``factor`` times as large as their predicted deviations, which range from 2 to 50."""
    generator = torch.Generator().manual_seed(seed)
    deviation = 2 + 48 * torch.rand(COUNT, generator=generator).square()
    return factor * deviation * torch.randn(COUNT, generator=generator), deviation


def sums(factor: float = 1.0) -> CalibrationSums:
    return CalibrationSums.of(*drawn(factor))


def test_normal_errors_of_the_predicted_deviation_are_calibrated() -> None:
    measures = sums().measures()
    assert measures["scale"] == pytest.approx(1, abs=0.02)
    assert (measures["within_1"], measures["within_2"]) == pytest.approx((0.683, 0.954), abs=0.01)
    assert calibration_error(reliability(sums())) < 0.03


def test_scale_is_the_factor_by_which_deviations_are_too_small() -> None:
    error, deviation = drawn(2.5)
    scale = sums(2.5).measures()["scale"]
    assert scale == pytest.approx(2.5, rel=0.02)
    assert CalibrationSums.of(error, scale * deviation).measures()["scale"] == pytest.approx(1)


def test_calibration_error_of_too_small_deviations_is_their_relative_lack() -> None:
    assert calibration_error(reliability(sums(1.5))) == pytest.approx(0.5, abs=0.03)
    assert calibration_error(reliability(sums(0.5))) == pytest.approx(0.5, abs=0.03)


def test_calibration_error_is_the_mean_over_bins() -> None:
    bins = [ReliabilityBin(10, 2.0, 3.0), ReliabilityBin(10, 4.0, 3.0)]
    assert calibration_error(bins) == pytest.approx((1 / 2 + 1 / 4) / 2)


def test_bins_of_deviation_zero_are_left_out_of_the_calibration_error() -> None:
    assert calibration_error([ReliabilityBin(5, 0.0, 3.0), ReliabilityBin(5, 2.0, 3.0)]) == 0.5
    assert math.isnan(calibration_error([ReliabilityBin(5, 0.0, 3.0)]))


def test_root_mean_squares_are_exact() -> None:
    error, deviation = drawn(1.3)
    measures = CalibrationSums.of(error, deviation).measures()
    assert measures["rms_error"] == pytest.approx(float(error.double().square().mean().sqrt()))
    assert measures["rms_deviation"] == pytest.approx(float(deviation.double().square().mean().sqrt()))


def test_rank_correlation_is_that_of_all_voxels_to_three_digits() -> None:
    error, deviation = drawn()
    assert sums().measures()["spearman"] == pytest.approx(spearmanr(error.abs(), deviation).statistic, abs=2e-3)


def test_rank_correlation_has_a_sign_and_both_extremes() -> None:
    values = torch.logspace(-2, 3, 500)
    assert CalibrationSums.of(values, values).measures()["spearman"] == pytest.approx(1)
    assert CalibrationSums.of(values.flip(0), values).measures()["spearman"] == pytest.approx(-1, abs=2e-3)


def test_bins_have_equal_counts_and_ascend() -> None:
    bins = reliability(sums(), 20)
    assert len(bins) == 20
    assert sum(each.voxels for each in bins) == COUNT
    assert max(abs(each.voxels / COUNT - 0.05) for each in bins) < 0.01
    assert sorted(bins, key=lambda each: each.deviation) == bins


def test_bins_hold_the_root_mean_squares_of_their_voxels() -> None:
    deviation = torch.tensor([1.0, 1.0, 8.0, 8.0])
    bins = reliability(CalibrationSums.of(torch.tensor([3.0, -4.0, 0.0, 2.0]), deviation), 2)
    assert [each.voxels for each in bins] == [2, 2]
    assert [each.deviation for each in bins] == pytest.approx([1, 8])
    assert [each.error for each in bins] == pytest.approx([12.5**0.5, 2**0.5])


def test_voxels_of_one_deviation_make_one_bin() -> None:
    assert len(reliability(CalibrationSums.of(torch.randn(100), torch.full((100,), 3.0)))) == 1


def test_sums_of_parts_are_the_sums_of_the_whole() -> None:
    error, deviation = drawn()
    parts = [CalibrationSums.of(error[part], deviation[part]) for part in (slice(0, 999), slice(999, None))]
    assert (parts[0] + parts[1]).measures() == pytest.approx(sums().measures())
    for joined, whole in zip(reliability(parts[0] + parts[1]), reliability(sums()), strict=True):
        assert joined == pytest.approx(whole)


def test_size_does_not_grow_with_the_voxels() -> None:
    few, many = CalibrationSums.of(torch.ones(1), torch.ones(1)), sums()
    assert [kept.shape for kept in vars(few).values()] == [kept.shape for kept in vars(many).values()]


def test_sign_of_the_error_does_not_matter() -> None:
    error, deviation = drawn()
    assert CalibrationSums.of(-error, deviation).measures() == sums().measures()


def test_an_error_of_exactly_one_deviation_is_within_it() -> None:
    assert CalibrationSums.of(torch.tensor([0.0, 5.0, 5.1]), torch.tensor([0.0, 5.0, 5.0])).measures()[
        "within_1"
    ] == pytest.approx(2 / 3)


def test_deviation_zero_everywhere_leaves_the_rest_defined() -> None:
    found = CalibrationSums.of(torch.tensor([0.0, 4.0]), torch.zeros(2))
    measures = found.measures()
    assert math.isnan(measures["scale"])
    assert math.isnan(measures["spearman"])
    assert (measures["within_1"], measures["rms_error"]) == (0.5, pytest.approx(8**0.5))
    assert math.isnan(calibration_error(reliability(found)))


def test_no_voxel_is_undefined_and_no_error() -> None:
    found = CalibrationSums.of(torch.zeros(0), torch.zeros(0))
    assert all(math.isnan(value) for value in found.measures().values())
    assert reliability(found) == []
    assert found.distribution()[0].sum() == 0


@pytest.mark.parametrize("value", [0.0, 1e-9, 3.0, 1e9])
def test_values_beyond_the_axis_are_counted_at_its_ends(value: float) -> None:
    found = CalibrationSums.of(torch.full((3,), value), torch.full((3,), value))
    assert found.count == 3
    assert found.measures()["rms_error"] == pytest.approx(value)


def test_distribution_is_by_the_edges_of_its_cells() -> None:
    shares, edges = CalibrationSums.of(torch.ones(4), torch.tensor([3.0, 3.0, 3.0, 40.0])).distribution()
    assert shares.sum() == pytest.approx(1)
    for value, share in ((3.0, 0.75), (40.0, 0.25)):
        cell = int(torch.searchsorted(edges, torch.tensor(value, dtype=edges.dtype), right=True)) - 1
        assert shares[cell] == share
