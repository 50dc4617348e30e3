"""Protocols for MR and CT targets, correlation, and the check that an output is not its input."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from transmodal.metrics import (
    NEARLY_IDENTICAL,
    CTSimilarity,
    MRSimilarity,
    SynthRAD2023,
    SynthRAD2025,
    normalised_cross_correlation,
    similarity_to_input,
)
from transmodal.transforms import BodyMask, RobustPercentiles

SHAPE = (1, 16, 14, 9)


def mr(seed: int = 0) -> tuple[Tensor, Tensor]:
    """A raw MR image in arbitrary units, bright outside the body, and its body mask."""
    image = 300 + 50 * torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed))
    mask = torch.zeros(SHAPE)
    mask[:, 2:-2, 2:-2, 1:-1] = 1
    return torch.where(mask > 0, image, 5000.0), mask


def test_target_percentiles_in_the_body_become_the_ends_of_the_scale() -> None:
    target, mask = mr()
    low, high = torch.quantile(target[mask > 0].double(), torch.tensor([0.005, 0.995], dtype=torch.float64))
    comparable = MRSimilarity(scale=1000).comparable(target, mask)
    torch.testing.assert_close(comparable, (target.double() - low) / (high - low) * 1000, atol=1e-3, rtol=0)


def test_prediction_on_the_documented_scale_is_perfect_whatever_the_unit_of_the_target() -> None:
    target, mask = mr()
    similarity = MRSimilarity()
    pred = similarity.comparable(target, mask)
    scores = similarity(pred, 7.5 * target + 40, mask)
    assert scores["mae"] == pytest.approx(0, abs=1e-6)
    assert scores["ms_ssim"] == pytest.approx(1, abs=1e-6)
    assert scores["ncc"] == pytest.approx(1, abs=1e-6)


def test_known_bounds_of_all_targets_stand_instead_of_percentiles() -> None:
    target, mask = mr()
    similarity = MRSimilarity(scale=1000, bounds=(-1, 1))
    perfect = (target.double() + 1) * 500  # however few voxels of this target come near the bounds
    torch.testing.assert_close(similarity.comparable(target, torch.zeros_like(mask)), perfect)
    assert similarity(perfect, target, mask)["mae"] == 0
    assert similarity.name == "MR on [0, 1], from -1 to 1 in every target"


def test_bounds_without_width_are_refused() -> None:
    with pytest.raises(ValueError, match=r"low < high, got \[1, 1\]"):
        MRSimilarity(bounds=[1, 1])


def test_mae_is_a_fraction_of_the_range() -> None:
    target, mask = mr()
    similarity = MRSimilarity(scale=200)
    assert similarity(similarity.comparable(target, mask) + 20, target, mask)["mae"] == pytest.approx(0.1)


def test_psnr_has_the_peak_of_the_target_range() -> None:
    target, mask = mr()
    similarity = MRSimilarity(lower=0, upper=100)
    pred = 0.9 * similarity.comparable(target, mask) + 50  # stays in range: an error of at most 50 of 1000
    error = (pred - similarity.comparable(target, mask))[mask > 0] / 1000
    expected = -10 * math.log10(error.square().mean().item())
    assert similarity(pred, target, mask)["psnr"] == pytest.approx(expected)


def test_a_brighter_prediction_is_not_forgiven() -> None:
    target, mask = mr()
    similarity = MRSimilarity()
    pred = similarity.comparable(target, mask)
    assert similarity(2 * pred, target, mask)["mae"] > 0.2


def test_mr_measures_come_in_the_order_of_the_table() -> None:
    target, mask = mr()
    assert list(MRSimilarity()(target, target, mask)) == list(MRSimilarity.measures)


@pytest.mark.parametrize("target", [torch.full(SHAPE, 3.0), torch.full(SHAPE, math.nan)])
def test_target_without_a_scale_leaves_every_measure_undefined(target: Tensor) -> None:
    _, mask = mr()
    assert all(map(math.isnan, MRSimilarity()(torch.zeros(SHAPE), target, mask).values()))


@pytest.mark.parametrize("similarity", [MRSimilarity(), CTSimilarity()])
def test_empty_mask_leaves_every_measure_undefined(similarity: MRSimilarity) -> None:
    target, mask = mr()
    scores = similarity(target, target, 0 * mask)
    assert scores.keys() == similarity.measures.keys()
    assert all(map(math.isnan, scores.values()))


@pytest.mark.parametrize("arguments", [{"lower": 99, "upper": 1}, {"scale": 0}, {"upper": 101}])
def test_impossible_scale_is_refused(arguments: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="0 <= lower < upper <= 100 and scale > 0"):
        MRSimilarity(**arguments)


def test_ct_range_and_variant_reach_the_challenge_measures() -> None:
    target, mask = mr()
    pred = target + 400
    ours = CTSimilarity((-1024, 3071), corrected=True)
    theirs = SynthRAD2025((-1024, 3071), corrected=True)(pred, target, mask)
    assert {name: ours(pred, target, mask)[name] for name in theirs} == theirs


def test_names_tell_every_protocol_and_range() -> None:
    assert CTSimilarity().name == "SynthRAD2025 [-1024, 3000]; SSIM: SynthRAD2023 [-1024, 3000]"
    assert MRSimilarity().name == "MR on [0, 1], target's percentiles 0.5 to 99.5 in the body"


def test_correlation_ignores_offset_and_gain_but_not_sign() -> None:
    image, mask = mr()
    assert normalised_cross_correlation(3 * image + 7, image, mask) == pytest.approx(1)
    assert normalised_cross_correlation(-image, image, mask) == pytest.approx(-1)


def test_correlation_is_that_of_the_body() -> None:
    image, mask = mr()
    other, _ = mr(seed=1)
    expected = torch.corrcoef(torch.stack([image[mask > 0], other[mask > 0]]))[0, 1]
    assert normalised_cross_correlation(image, other, mask) == pytest.approx(expected.item(), abs=1e-6)


def test_constant_prediction_correlates_with_nothing() -> None:
    image, mask = mr()
    assert normalised_cross_correlation(torch.full(SHAPE, 0.1), image, mask) == 0.0


def test_correlation_over_no_voxel_is_undefined() -> None:
    image, mask = mr()
    assert math.isnan(normalised_cross_correlation(image, image, 0 * mask))


def smooth() -> tuple[Tensor, Tensor]:
    ramp = torch.linspace(-0.9, 0.9, 16)[None, :, None, None].expand(SHAPE)
    return ramp + 0.2 * torch.randn(SHAPE), torch.ones(SHAPE)


def test_nearly_a_copy_is_suspected() -> None:
    source, mask = smooth()
    assert similarity_to_input(source, 1.1 * source, mask) > NEARLY_IDENTICAL


def test_inverted_contrast_is_not_suspected() -> None:
    source, mask = smooth()
    assert similarity_to_input(source, -source, mask) < NEARLY_IDENTICAL / 2


def test_similarity_to_input_of_a_broken_output_is_undefined() -> None:
    source, mask = smooth()
    assert math.isnan(similarity_to_input(source, source * math.nan, mask))


def test_a_wide_mask_does_not_shift_the_scale_of_an_mr() -> None:
    """A perfect prediction is the target on its own percentiles; a mask that holds air must not move them."""
    target = torch.zeros(1, 40, 40, 6)
    target[:, 8:32, 8:32] = 300 + 500 * torch.rand(1, 24, 24, 6, generator=torch.Generator().manual_seed(0))
    body, scale = BodyMask(opening=0), RobustPercentiles(0, 100)
    inside, wide = body(target) > 0, torch.ones_like(target)
    perfect = scale.restore(scale.scale(target, inside)).double()
    found = MRSimilarity(0, 100, body=body).comparable(target, wide)
    torch.testing.assert_close(found[inside], perfect[inside], atol=1e-2, rtol=0)
    shifted = MRSimilarity(0, 100).comparable(target, wide)
    assert (shifted[inside] - perfect[inside]).abs().mean() > 100


def lesion() -> Tensor:
    region = torch.zeros(SHAPE)
    region[:, 5:9, 5:9, 3:6] = 1
    return region


@pytest.mark.parametrize("body", [None, BodyMask(otsu_factor=0.3)])
def test_scale_of_a_region_is_that_of_the_body(body: BodyMask | None) -> None:
    target, mask = mr()
    target = torch.where(mask > 0, target + 100 * lesion(), 0.0)  # the region's own percentiles would lie elsewhere
    similarity = MRSimilarity(body=body)
    pred = similarity.comparable(target, mask) + 50 * lesion()
    assert similarity(pred, target, mask, lesion())["mae"] == pytest.approx(0.05, abs=1e-6)


def test_region_is_scored_and_nothing_else() -> None:
    target, mask = mr()
    similarity = MRSimilarity()
    pred = similarity.comparable(target, mask)
    spoiled = torch.where(lesion() > 0, pred, -777.0)
    assert similarity(spoiled, target, mask, lesion())["mae"] == 0
    assert similarity(spoiled, target, mask, lesion())["ssim"] == pytest.approx(1)
    assert similarity(spoiled, target, mask)["mae"] > 0.5


@pytest.mark.parametrize("similarity", [CTSimilarity(), SynthRAD2025(), SynthRAD2023()])
def test_region_stands_for_the_body_in_every_ct_measure(similarity: CTSimilarity) -> None:
    target, mask = mr()
    pred = target + 30 * torch.randn(SHAPE, generator=torch.Generator().manual_seed(1))
    assert similarity(pred, target, mask, lesion()) == pytest.approx(similarity(pred, target, lesion()), nan_ok=True)


def test_measure_that_a_small_region_leaves_undefined_is_nan_and_the_others_are_not() -> None:
    target, mask = mr()
    region = torch.zeros(SHAPE)
    region[:, 5, 5, 5] = 1
    scores = MRSimilarity()(MRSimilarity().comparable(target, mask) + 1, target, mask, region)
    assert math.isnan(scores["ms_ssim"])
    assert scores["mae"] == pytest.approx(0.001)
