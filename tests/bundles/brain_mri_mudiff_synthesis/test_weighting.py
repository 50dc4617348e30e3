"""Who learns from whom, and how much: the maps of both strategies.

The published one is compared with recorded numbers in tests/parity/test_mudiff_weighting.py.
"""

from __future__ import annotations

import math

import pytest
import torch
from mudiff_bundle.weighting import CriticAgreement, FrozenProjection
from torch import Tensor
from torch.testing import assert_close

from transmodal.errors import InputError

SIZE = (16, 24)


def features(seed: int, batch: int = 2) -> list[Tensor]:
    """Of two samples, an eighth of the size."""
    random = torch.Generator().manual_seed(seed)
    return [torch.randn(batch, 5, 2, 3, generator=random) for _ in range(2)]


def agreement(first_error: Tensor | float, second_error: Tensor | float) -> list[Tensor]:
    """Maps of the default where each sample's features differ from the true ones by so much in every channel."""
    true = features(1)
    return CriticAgreement()([true[0] + first_error, true[1] + second_error], true, SIZE)


def test_agreement_gives_each_sample_its_share_of_the_precision() -> None:
    """Squared errors of 1 and 9 have precisions 9 : 1."""
    first, second = agreement(1.0, -3.0)
    assert_close(first, torch.full((2, 1, *SIZE), 0.9))
    assert_close(second, torch.full((2, 1, *SIZE), 0.1))


def test_agreement_is_the_weight_of_the_best_combination_of_two_independent_estimates() -> None:
    """Of estimates with variances 1 and 9, the one at a : (1 - a) has the variance a² + 9 (1 - a)²."""
    shares = torch.linspace(0, 1, 1001)
    best = shares[(shares.square() + 9 * (1 - shares).square()).argmin()]
    assert agreement(1.0, 3.0)[0].mean().item() == pytest.approx(best.item(), abs=1e-3)


def test_agreement_adds_up_to_one_everywhere() -> None:
    first, second = CriticAgreement()(features(1), features(2), SIZE)
    assert first.min() >= 0
    assert second.min() >= 0
    assert first.std() > 0.05
    assert_close(first + second, torch.ones(2, 1, *SIZE))


def test_agreement_is_all_with_the_sample_that_is_right() -> None:
    first, second = agreement(0.0, 0.1)
    assert_close(first, torch.ones(2, 1, *SIZE))
    assert_close(second, torch.zeros(2, 1, *SIZE))


def test_agreement_is_even_where_both_are_right() -> None:
    assert_close(agreement(0.0, 0.0)[0], torch.full((2, 1, *SIZE), 0.5))


def test_agreement_does_not_fade_as_errors_shrink() -> None:
    assert_close(agreement(1e-3, 3e-3), agreement(1.0, 3.0), rtol=1e-3, atol=1e-3)


def test_agreement_is_local() -> None:
    """An error in one corner costs trust there; the far corner stays even."""
    error = torch.zeros(2, 5, 2, 3)
    error[:, :, 0, 0] = 1.0
    first, _ = agreement(error, 0.0)
    assert first[0, 0, 0, 0] == pytest.approx(0.0, abs=1e-6)
    assert first[0, 0, -1, -1] == pytest.approx(0.5)


def test_agreement_of_a_sample_does_not_depend_on_its_batch() -> None:
    made, true = features(1), features(2)
    together = CriticAgreement()(made, true, SIZE)
    alone = CriticAgreement()([f[1:] for f in made], [g[1:] for g in true], SIZE)
    for both, one in zip(together, alone, strict=True):
        assert_close(both[1:], one)


def test_agreement_passes_on_no_gradient() -> None:
    """Else a denoiser could pay less by making features that look wrong."""
    made = [f.requires_grad_() for f in features(1)]
    assert not any(weights.requires_grad for weights in CriticAgreement()(made, features(2), SIZE))
    assert CriticAgreement.detached


def test_agreement_of_coarse_features_is_in_full_precision() -> None:
    made, true = ([f.bfloat16() for f in features(seed)] for seed in (1, 2))
    assert CriticAgreement()(made, true, SIZE)[0].dtype == torch.float32


def test_agreement_has_nothing_to_train_or_to_save() -> None:
    assert CriticAgreement().state_dict() == {}


def test_the_projection_has_the_published_initial_values() -> None:
    """Uniform within √3, the root of 3 / fan_out for one output; the fan of the 512 inputs is not looked at."""
    projection = FrozenProjection().projection
    assert tuple(projection.weight.shape) == (1, 512, 1, 1)
    assert 0.97 * math.sqrt(3) < projection.weight.abs().max() <= math.sqrt(3)
    assert projection.weight.std().item() == pytest.approx(1.0, abs=0.1)
    assert not projection.bias.any()


def test_the_projection_is_never_trained_but_saved() -> None:
    weighting = FrozenProjection(channels=5)
    assert not any(parameter.requires_grad for parameter in weighting.parameters())
    assert set(weighting.state_dict()) == {"projection.weight", "projection.bias"}


def test_the_projection_is_the_same_in_every_process() -> None:
    """The published one differs, as each process has drawn other numbers before."""
    torch.manual_seed(1)
    first = FrozenProjection(channels=5)
    torch.manual_seed(2)
    assert_close(FrozenProjection(channels=5).state_dict(), first.state_dict())
    assert not torch.equal(FrozenProjection(channels=5, seed=1).projection.weight, first.projection.weight)


def test_the_projection_leaves_the_global_random_numbers_alone() -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    FrozenProjection(channels=5)
    assert_close(torch.rand(3), expected)


def test_a_projected_map_is_the_sigmoid_of_a_linear_form_of_its_own_features() -> None:
    weighting, (first, second) = FrozenProjection(channels=5), features(1)
    weights = weighting.projection.weight[0, :, 0, 0]
    constant = first[:, :, :1, :1].expand_as(first)
    found, other = weighting([constant, second], [], SIZE)
    expected = (constant[:, :, 0, 0] @ weights).sigmoid()
    assert_close(found, expected[:, None, None, None].expand(2, 1, *SIZE))
    assert_close(other, weighting([first, second], [], SIZE)[1])


def test_projected_maps_pass_on_gradient() -> None:
    made = [f.requires_grad_() for f in features(1)]
    FrozenProjection(channels=5)(made, [], SIZE)[1].sum().backward()
    assert made[0].grad is None
    assert made[1].grad is not None
    assert made[1].grad.abs().sum() > 0
    assert not FrozenProjection.detached


def test_features_of_another_critic_are_refused() -> None:
    message = r"FrozenProjection, channels: found features of 5 channels; wanted 512(.|\n)*8 times the critic's"
    with pytest.raises(InputError, match=message):
        FrozenProjection()(features(1), [], SIZE)
