"""The copied channel: which one is chosen, and that it gets the target's histogram."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from transmodal.errors import InputError
from transmodal.metrics import FittedBaseline, MatchedCopy

SHAPE = (1, 8, 7, 6)
BODY = torch.zeros(SHAPE)
BODY[:, 1:-1, 1:-1] = 1


def contrasts(seed: int, sign: float = 1.0) -> tuple[Tensor, Tensor]:
    """Three channels in [-1, 1], and a target of a skewed histogram that follows the second one."""
    source = 2 * torch.rand(3, *SHAPE[1:], generator=torch.Generator().manual_seed(seed)) - 1
    return source, 400 * torch.exp(sign * source[1:2])


def fitted(*seeds: int, sign: float = 1.0, **arguments: object) -> MatchedCopy:
    baseline = MatchedCopy(**arguments)
    for seed in seeds:
        baseline.fit(*contrasts(seed, sign), BODY)
    return baseline


def test_it_is_a_baseline_that_learns() -> None:
    assert isinstance(MatchedCopy(), FittedBaseline)
    assert not MatchedCopy().fitted
    assert fitted(0).fitted


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_channel_of_strongest_correlation_of_either_sign_is_chosen(sign: float) -> None:
    baseline = fitted(0, 1, sign=sign)
    assert baseline.channel == 1
    assert sign * baseline.correlations[1] > 0.9


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_monotone_relation_is_recovered_up_to_the_number_of_quantiles(sign: float) -> None:
    source, target = contrasts(0, sign)
    prediction = fitted(0, sign=sign, quantiles=2048).predict(source, BODY)
    torch.testing.assert_close(prediction[BODY > 0], target[BODY > 0], atol=3, rtol=0)


def test_bias_gain_and_gamma_of_the_channel_make_no_difference() -> None:
    source, _ = contrasts(0)
    dimmed = torch.exp(source) - 3
    torch.testing.assert_close(fitted(1).predict(dimmed, BODY), fitted(1).predict(source, BODY))


def test_target_quantiles_are_the_mean_of_those_of_the_cases() -> None:
    baseline = MatchedCopy(quantiles=3)
    ramp = torch.linspace(0, 1, 5).reshape(1, 5, 1, 1)
    for top in (100, 300):
        baseline.fit(ramp, top * ramp, torch.ones_like(ramp))
    assert baseline.predict(ramp, torch.ones_like(ramp)).flatten().tolist() == [0, 50, 100, 150, 200]


def test_correlations_are_averaged_case_by_case_whatever_their_size() -> None:
    baseline = MatchedCopy()
    small, large = torch.linspace(0, 1, 4).reshape(1, 4, 1, 1), torch.linspace(0, 1, 400).reshape(1, 400, 1, 1)
    baseline.fit(small, -small, torch.ones_like(small))
    baseline.fit(large, large, torch.ones_like(large))
    assert baseline.correlations == [pytest.approx(0)]


def test_equal_values_stay_equal() -> None:
    baseline = MatchedCopy(quantiles=5)
    ramp = torch.linspace(0, 1, 5).reshape(1, 5, 1, 1)
    baseline.fit(ramp, 100 * ramp, torch.ones_like(ramp))
    plateau = torch.tensor([0.0, 0.0, 0.0, 1.0, 2.0]).reshape(1, 5, 1, 1)
    assert baseline.predict(plateau, torch.ones_like(ramp)).flatten().tolist() == [25, 25, 25, 75, 100]


def test_outside_is_filled_and_never_looked_at() -> None:
    source, target = contrasts(0)
    baseline = MatchedCopy(outside=-7)
    baseline.fit(torch.where(BODY > 0, source, 50.0), torch.where(BODY > 0, target, 9e9), BODY)
    prediction = baseline.predict(torch.where(BODY > 0, source, -50.0), BODY)
    assert prediction[BODY == 0].unique().tolist() == [-7]
    assert torch.equal(prediction[BODY > 0], fitted(0).predict(source, BODY)[BODY > 0])


def test_values_that_are_not_finite_are_left_out() -> None:
    source, target = contrasts(0)
    broken = source.clone()
    broken[:, 3, 3, 3] = torch.nan
    baseline = MatchedCopy()
    baseline.fit(broken, target, BODY)
    assert baseline.correlations == pytest.approx(fitted(0).correlations, abs=0.05)
    assert torch.isfinite(baseline.predict(broken, BODY)).all()


@pytest.mark.parametrize("target", [torch.full(SHAPE, torch.nan), torch.ones(SHAPE)])
def test_a_target_without_contrast_says_nothing_of_the_channels(target: Tensor) -> None:
    baseline = fitted(0)
    baseline.fit(contrasts(1)[0], target, BODY)
    assert baseline.channel == 1


def test_case_without_body_fits_nothing() -> None:
    baseline = MatchedCopy()
    baseline.fit(*contrasts(0), torch.zeros(SHAPE))
    assert not baseline.fitted


def test_choice_is_told_by_name() -> None:
    choice = fitted(0, channels=["flair", "t2", "t1"]).choice()
    assert choice["copies"] == "t2"
    assert list(choice["correlations"]) == ["flair", "t2", "t1"]
    assert fitted(0).choice()["copies"] == "channel 1"


@pytest.mark.parametrize(("arguments", "wanted"), [({}, "3 as before"), ({"channels": "abc"}, "3: a, b, c")])
def test_other_channels_than_before_are_refused(arguments: dict[str, object], wanted: str) -> None:
    baseline = fitted(0, **arguments)
    source, target = contrasts(1)
    with pytest.raises(InputError, match=rf"found 2 channel\(s\); wanted {wanted}"):
        baseline.fit(source[:2], target, BODY)


def test_prediction_before_fitting_is_refused() -> None:
    with pytest.raises(RuntimeError, match=r"'matched copy' predicts only after fit\(\)"):
        MatchedCopy().predict(contrasts(0)[0], BODY)


def test_a_single_quantile_is_refused() -> None:
    with pytest.raises(ValueError, match="wanted quantiles >= 2, got 1"):
        MatchedCopy(quantiles=1)
