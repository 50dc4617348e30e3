"""Trivial translators: what each predicts, and that fitting sees the body only."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from transmodal.metrics import Baseline, BodyMean, FittedBaseline, Identity, LookUpTable, Uniform
from transmodal.transforms import HounsfieldWindow

SHAPE = (1, 8, 7, 6)
FITTED = [BodyMean, LookUpTable]


def body() -> Tensor:
    mask = torch.zeros(SHAPE)
    mask[:, 1:-1, 1:-1] = 1
    return mask


def pairs(seed: int) -> tuple[Tensor, Tensor]:
    """A source in [-1, 1] and a target that is a noisy, non-linear function of it, in HU."""
    generator = torch.Generator().manual_seed(seed)
    source = 2 * torch.rand(SHAPE, generator=generator) - 1
    return source, (1000 * source.square() + 30 * torch.randn(SHAPE, generator=generator)).round()


def test_all_water_is_water_in_air() -> None:
    prediction = Uniform().predict(torch.zeros(SHAPE), body())
    assert prediction[body() > 0].unique().tolist() == [0.0]
    assert prediction[body() == 0].unique().tolist() == [-1000.0]


def test_identity_is_the_source_on_the_scale_of_the_target() -> None:
    source = torch.linspace(-1, 1, 5).reshape(1, 5, 1, 1)
    prediction = Identity(HounsfieldWindow(-1000, 2000)).predict(source, torch.ones_like(source))
    assert prediction.flatten().tolist() == [-1000, -250, 500, 1250, 2000]


def test_body_mean_weighs_every_body_voxel_alike() -> None:
    baseline = BodyMean()
    small, large = torch.zeros(1, 2, 2, 1), torch.zeros(1, 4, 4, 1)
    baseline.fit(small, small + 100, torch.ones_like(small))
    baseline.fit(large, large + 50, torch.ones_like(large))
    # (4 × 100 + 16 × 50) / 20
    assert baseline.predict(small, torch.ones_like(small)).unique().tolist() == [60.0]


def test_table_holds_the_median_of_each_interval() -> None:
    table = LookUpTable(bins=4)
    source = torch.tensor([-0.9, -0.8, -0.7, -0.4, -0.4, -0.4, 0.1, 0.2, 0.9]).reshape(1, 9, 1, 1)
    target = torch.tensor([-50.0, 10.0, 900.0, 40.0, 41.0, -1000.0, 9.0, 7.0, 8.0]).reshape(1, 9, 1, 1)
    table.fit(source, target, torch.ones_like(source))
    assert table.table().tolist() == [10.0, 40.0, 7.0, 8.0]  # of an even number the lower one


def test_table_of_two_cases_is_the_table_of_their_union() -> None:
    apart, together = LookUpTable(bins=8), LookUpTable(bins=8)
    cases = [pairs(seed) for seed in (0, 1)]
    for source, target in cases:
        apart.fit(source, target, body())
    union = [torch.cat(images, dim=1) for images in zip(*cases, strict=True)]
    together.fit(*union, torch.cat([body(), body()], dim=1))
    assert apart.table().tolist() == together.table().tolist()


def test_intervals_never_seen_lie_between_their_neighbours() -> None:
    table = LookUpTable(bins=8)
    source = torch.tensor([-0.7, 0.3]).reshape(1, 2, 1, 1)  # intervals 1 and 5
    table.fit(source, torch.tensor([100.0, 300.0]).reshape(1, 2, 1, 1), torch.ones_like(source))
    assert table.table().tolist() == [100, 100, 150, 200, 250, 300, 300, 300]


def test_table_beats_the_best_constant_on_what_it_was_fitted_on() -> None:
    source, target = pairs(0)
    mean, table = BodyMean(), LookUpTable(bins=16)
    for baseline in (mean, table):
        baseline.fit(source, target, body())
    errors = [(baseline.predict(source, body()) - target)[body() > 0].abs().mean() for baseline in (mean, table)]
    assert errors[1] < 0.5 * errors[0]


def test_targets_beyond_the_range_count_as_its_ends() -> None:
    table = LookUpTable(low=0, high=1000, bins=2)
    source = torch.tensor([-0.5, 0.5]).reshape(1, 2, 1, 1)
    table.fit(source, torch.tensor([-3000.0, 9000.0]).reshape(1, 2, 1, 1), torch.ones_like(source))
    assert table.table().tolist() == [0, 1000]


@pytest.mark.parametrize("kind", FITTED)
def test_fitting_sees_the_body_only(kind: type[BodyMean]) -> None:
    source, target = pairs(0)
    clean, spoiled = kind(), kind()
    clean.fit(source, target, body())
    spoiled.fit(source, torch.where(body() > 0, target, 3000.0), body())
    assert torch.equal(clean.predict(source, body()), spoiled.predict(source, body()))


@pytest.mark.parametrize("kind", FITTED)
def test_values_that_are_not_finite_are_left_out(kind: type[BodyMean]) -> None:
    baseline = kind()
    source = torch.zeros(1, 2, 1, 1)
    baseline.fit(source, torch.tensor([20.0, torch.nan]).reshape(1, 2, 1, 1), torch.ones_like(source))
    assert baseline.predict(source, torch.ones_like(source)).flatten().tolist() == [20.0, 20.0]


@pytest.mark.parametrize("kind", FITTED)
def test_fitted_baseline_fills_the_outside(kind: type[BodyMean]) -> None:
    source, target = pairs(0)
    baseline = kind(outside=-1024)
    baseline.fit(source, target, body())
    assert baseline.predict(source, body())[body() == 0].unique().tolist() == [-1024.0]


@pytest.mark.parametrize("kind", FITTED)
def test_prediction_before_fitting_is_refused(kind: type[BodyMean]) -> None:
    baseline = kind()
    assert not baseline.fitted
    with pytest.raises(RuntimeError, match=rf"'{kind.name}' predicts only after fit\(\)"):
        baseline.predict(torch.zeros(SHAPE), body())


@pytest.mark.parametrize("kind", FITTED)
def test_case_without_body_fits_nothing(kind: type[BodyMean]) -> None:
    baseline = kind()
    baseline.fit(*pairs(0), torch.zeros(SHAPE))
    assert not baseline.fitted


def test_only_baselines_that_learn_are_fitted_ones() -> None:
    kinds = [Uniform(), Identity(HounsfieldWindow()), BodyMean(), LookUpTable()]
    assert [isinstance(baseline, FittedBaseline) for baseline in kinds] == [False, False, True, True]
    assert all(isinstance(baseline, Baseline) for baseline in kinds)


def test_impossible_table_is_refused() -> None:
    with pytest.raises(ValueError, match="wanted low < high, bins >= 1, resolution > 0"):
        LookUpTable(bins=0)


@pytest.mark.parametrize("kind", [*FITTED, lambda: Identity(HounsfieldWindow())])
def test_of_several_channels_the_first_one_counts(kind: Callable[[], Baseline]) -> None:
    source, target = pairs(0)
    several = torch.cat([source, torch.full_like(source, torch.nan)])
    one, all_channels = kind(), kind()
    for baseline, given in ((one, source), (all_channels, several)):
        if isinstance(baseline, FittedBaseline):
            baseline.fit(given, target, body())
    prediction = all_channels.predict(several, body())
    assert prediction.shape == SHAPE
    assert torch.equal(prediction, one.predict(source, body()))
