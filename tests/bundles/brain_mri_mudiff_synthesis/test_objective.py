"""The MU-Diff objective beside its numbers: who sees what, which networks a term moves, what each weight does.

The numbers of an iteration are compared with the published implementation in tests/parity/test_mudiff_step.py.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from mudiff_bundle.objective import MUDiffObjective, mutual_loss
from mudiff_bundle.weighting import CriticAgreement, FrozenProjection
from torch import Tensor, nn
from torch.testing import assert_close

from transmodal.engines import AlternatingTrainer, Phase
from transmodal.errors import InputError
from transmodal.schedulers import DDGANScheduler

NETWORKS = ("specific", "aware", "critic")
CHANNELS = 5
"""Of the features that the smallest critic gives for the weighting."""


class Denoiser(nn.Module):
    """The smallest denoiser of two sources, which keeps what it was shown."""

    def __init__(self, guesses: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3 + guesses, 1, 3, padding=1)
        self.mix = nn.Linear(3, 1)
        self.seen: list[tuple[Tensor, ...]] = []
        self.with_gradient: list[bool] = []

    def forward(self, noisy: Tensor, sources: Tensor, timesteps: Tensor, latent: Tensor, *guess: Tensor) -> Tensor:
        self.seen.append((noisy, sources, timesteps, latent, *guess))
        self.with_gradient.append(torch.is_grad_enabled())
        shift = self.mix(latent)[..., None, None] + timesteps[:, None, None, None]
        return torch.tanh(self.conv(torch.cat([noisy, sources, *guess], dim=1)) + 0.1 * shift)


class Critic(nn.Module):
    """The smallest critic with features of three blocks; not linear, so that R1 depends on its weights."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, CHANNELS, 3, stride=2)
        self.seen: list[tuple[Tensor, ...]] = []
        self.with_gradient: list[bool] = []

    def forward(self, x_t: Tensor, timesteps: Tensor, x_next: Tensor, return_features: bool = False) -> Any:
        self.seen.append((x_t, timesteps, x_next))
        self.with_gradient.append(torch.is_grad_enabled())
        features = torch.tanh(self.conv(torch.cat([x_t, x_next], dim=1)))
        logits = features.sum(dim=(1, 2, 3))
        return (logits, [features[..., :1], features[..., :2], features]) if return_features else logits


class Undecided(nn.Module):
    """A critic for which everything is as likely real as made."""

    def forward(self, x_t: Tensor, timesteps: Tensor, x_next: Tensor, return_features: bool = False) -> Any:
        logits = 0 * x_t.sum(dim=(1, 2, 3))
        return (logits, [x_t, x_t, x_t]) if return_features else logits


class Oracle(nn.Module):
    """A denoiser that knows the target, but for a shift."""

    def __init__(self, target: Tensor, shift: float = 0.0) -> None:
        super().__init__()
        self.target, self.shift = target, nn.Parameter(torch.full_like(target, shift))

    def forward(self, *given: Tensor) -> Tensor:
        return self.target + self.shift


class Spy(CriticAgreement):
    """Keeps what it was shown."""

    def forward(self, made: Sequence[Tensor], true: Sequence[Tensor], size: Sequence[int]) -> list[Tensor]:
        self.made, self.true = made, true
        self.maps: list[Tensor] = super().forward(made, true, size)
        return self.maps


class ForwardOnly(nn.Module):
    """Passes on calls and nothing else, as a wrapper for several processes does."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *given: Any, **options: Any) -> Any:
        return self.module(*given, **options)


def game(**kwargs: Any) -> MUDiffObjective:
    torch.manual_seed(1)
    networks = {"specific": Denoiser(guesses=0), "aware": Denoiser(guesses=1), "critic": Critic()}
    standard = {"scheduler": DDGANScheduler(), "weighting": CriticAgreement(), "latent_dim": 3}
    return MUDiffObjective(**{**networks, **standard, **kwargs})


def batch(seed: int = 0, size: int = 2) -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(seed)
    image, label = (torch.rand(size, channels, 8, 10, generator=random) * 2 - 1 for channels in (2, 1))
    return {"image": image, "label": label, "seed": torch.arange(size) + 10 * seed}


def noisy_seeds(scheduler: DDGANScheduler) -> dict[str, Tensor]:
    """A batch none of whose samples is at t = 0 in the denoisers' turn, where the posterior would draw nothing."""
    for seed in range(100):
        objective = game(scheduler=scheduler)
        objective.generator_terms(batch(seed))
        if (objective.specific.seen[0][2] > 0).all():
            return batch(seed)
    raise AssertionError("no such batch")


def moved(objective: MUDiffObjective, term: Tensor) -> set[str]:
    """Which networks have a gradient of a term that is not zero."""
    networks = {name: getattr(objective, name) for name in NETWORKS}
    for network in networks.values():
        network.zero_grad()
    term.backward()
    return {
        name
        for name, network in networks.items()
        if any(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())
    }


@pytest.mark.parametrize("term", ["real", "r1", "fake"])
def test_the_critic_s_terms_move_the_critic_alone(term: str) -> None:
    objective = game()
    assert moved(objective, objective.discriminator_terms(batch())[term]) == {"critic"}


@pytest.mark.parametrize(
    ("term", "weighting", "networks"),
    [
        ("adversarial", CriticAgreement(), {"specific", "aware", "critic"}),
        ("l1", CriticAgreement(), {"specific", "aware"}),
        ("mutual", CriticAgreement(), {"specific", "aware"}),
        ("mutual", FrozenProjection(CHANNELS), {"specific", "aware", "critic"}),
    ],
)
def test_what_each_term_of_the_denoisers_moves(term: str, weighting: nn.Module, networks: set[str]) -> None:
    """Through the published maps gradient flows, also to the critic; the engine holds that still meanwhile."""
    objective = game(weighting=weighting)
    assert moved(objective, objective.generator_terms(batch())[term]) == networks


def test_the_terms_come_in_the_published_order() -> None:
    objective = game()
    assert list(objective.discriminator_terms(batch())) == ["real", "r1", "fake"]
    assert list(objective.generator_terms(batch())) == ["adversarial", "l1", "mutual"]


def test_an_undecided_critic_pays_for_one_real_and_two_made_images() -> None:
    terms = game(critic=Undecided(), r1_gamma=0.0).discriminator_terms(batch())
    assert_close(terms, {"real": torch.tensor(math.log(2)), "fake": torch.tensor(2 * math.log(2))})


def test_the_denoisers_run_without_gradient_in_the_critic_s_turn() -> None:
    objective = game()
    objective.discriminator_terms(batch())
    assert (objective.specific.with_gradient, objective.aware.with_gradient) == ([False], [False])


def test_both_denoisers_see_the_same_but_for_the_guess() -> None:
    objective, sample = game(), batch()
    objective.generator_terms(sample)
    (specific,), (aware,) = objective.specific.seen, objective.aware.seen
    for of_specific, of_aware in zip(specific, aware[:-1], strict=True):
        assert torch.equal(of_specific, of_aware)
    assert torch.equal(specific[1], sample["image"])
    assert_close(aware[-1], objective.specific(*specific))


def test_the_guess_passes_on_gradient() -> None:
    """So what the second denoiser pays trains the first too, as published."""
    objective = game()
    objective.generator_terms(batch())
    guess = objective.aware.seen[0][-1]
    assert guess.requires_grad


def test_the_critic_judges_both_samples_at_the_same_timestep_and_next_image() -> None:
    objective = game(mutual_weight=0.0)
    objective.generator_terms(batch())
    noisy, _, timesteps, _ = objective.specific.seen[0]
    assert len(objective.critic.seen) == 2
    for _, at, x_next in objective.critic.seen:
        assert torch.equal(at, timesteps)
        assert torch.equal(x_next, noisy)


def test_equal_predictions_are_sampled_with_different_noise() -> None:
    sample = noisy_seeds(DDGANScheduler())
    objective = game(specific=Oracle(sample["label"]), aware=Oracle(sample["label"]))
    objective.generator_terms(sample)
    (first, *_), (second, *_), *_ = objective.critic.seen
    assert (first - second).abs().flatten(1).max(dim=1).values.min() > 0.1


def test_the_weighting_compares_each_sample_with_the_true_one_of_the_same_noise() -> None:
    """So a denoiser that is right has the features of the truth, whatever the noise."""
    sample, weighting = noisy_seeds(DDGANScheduler()), Spy()
    game(
        specific=Oracle(sample["label"]), aware=Oracle(sample["label"], shift=0.5), weighting=weighting
    ).generator_terms(sample)
    assert torch.equal(weighting.made[0], weighting.true[0])
    assert not torch.allclose(weighting.made[1], weighting.true[1])
    assert not torch.allclose(weighting.true[0], weighting.true[1])
    assert_close(weighting.maps[0], torch.ones(2, 1, 8, 10))


def test_a_denoiser_that_is_right_learns_nothing_from_one_that_is_wrong() -> None:
    """It does with the published maps, which know of neither."""
    sample, slopes = noisy_seeds(DDGANScheduler()), []
    for weighting in (CriticAgreement(), FrozenProjection(CHANNELS)):
        objective = game(
            specific=Oracle(sample["label"]), aware=Oracle(sample["label"], shift=0.5), weighting=weighting
        )
        objective.generator_terms(sample)["mutual"].backward()
        slopes.append([float(of.shift.grad.abs().sum()) for of in (objective.specific, objective.aware)])
    (right, wrong), (right_as_published, _) = slopes
    assert right < 1e-6
    assert min(wrong, right_as_published) > 1e-3


def test_the_weighting_reads_the_third_block() -> None:
    weighting = Spy()
    game(weighting=weighting).generator_terms(batch())
    shapes = [tuple(features.shape) for features in (*weighting.made, *weighting.true)]
    assert shapes == [(2, CHANNELS, 3, 4)] * 4


@pytest.mark.parametrize(
    ("weighting", "with_gradient"),
    [(CriticAgreement(), [True, True, False, False]), (FrozenProjection(CHANNELS), [True, True])],
)
def test_the_truth_is_read_without_gradient_and_only_where_it_is_wanted(
    weighting: nn.Module, with_gradient: list[bool]
) -> None:
    objective = game(weighting=weighting)
    objective.generator_terms(batch())
    assert objective.critic.with_gradient == with_gradient


def test_no_mutual_term_and_none_of_its_cost_without_its_weight() -> None:
    objective = game(mutual_weight=0.0, weighting=Spy())
    assert list(objective.generator_terms(batch())) == ["adversarial", "l1"]
    assert len(objective.critic.seen) == 2
    assert not hasattr(objective.weighting, "maps")


def test_each_sample_is_pulled_towards_the_other_by_the_other_s_map() -> None:
    """The gradient of the cross-entropy is σ(logit) - target."""
    made = [torch.randn(2, 1, 4, 4, requires_grad=True) for _ in range(2)]
    maps = [torch.rand(2, 1, 4, 4) for _ in range(2)]
    mutual_loss(made, maps, detached=True).backward()
    first, second = made
    gap = (first.sigmoid() - second.sigmoid()).detach() / first.numel()
    assert_close(first.grad, maps[1] * gap)
    assert_close(second.grad, -maps[0] * gap)


def test_a_target_that_is_not_detached_moves_too() -> None:
    maps = [torch.zeros(2, 1, 4, 4), torch.ones(2, 1, 4, 4)]  # only the first learns
    gradients = []
    for detached in (True, False):
        first, second = (torch.randn(2, 1, 4, 4, requires_grad=True) for _ in range(2))
        mutual_loss([first, second], maps, detached=detached).backward()
        gradients.append(second.grad.abs().sum().item())
    assert gradients[0] == 0
    assert gradients[1] > 0.01


def test_weights_scale_their_terms() -> None:
    heavy = game(adversarial_weight=3.0, l1_weight=1.0, mutual_weight=0.5).generator_terms(batch())
    plain = game().generator_terms(batch())
    for term, ratio in (("adversarial", 3.0), ("l1", 2.0), ("mutual", 5.0)):
        assert_close(heavy[term], ratio * plain[term])


def test_the_l1_term_is_the_error_of_both_predictions() -> None:
    label = batch()["label"]
    terms = game(specific=Oracle(label, shift=0.25), aware=Oracle(label, shift=-0.5)).generator_terms(batch())
    assert_close(terms["l1"], torch.tensor(0.5 * (0.25 + 0.5)))


def test_the_penalty_comes_at_the_first_and_every_nth_call() -> None:
    objective = game(r1_interval=3)
    found = ["r1" in objective.discriminator_terms(batch(seed)) for seed in range(7)]
    assert found == [True, False, False, True, False, False, True]


def test_the_penalty_grows_with_gamma_and_goes_without() -> None:
    one, two = (game(r1_gamma=gamma).discriminator_terms(batch())["r1"].item() for gamma in (1.0, 2.0))
    assert two == pytest.approx(2 * one)
    assert one > 0
    assert "r1" not in game(r1_gamma=0.0).discriminator_terms(batch())


def test_the_draws_of_a_sample_do_not_depend_on_its_batch() -> None:
    objective, both = game(), batch()
    objective.generator_terms(both)
    objective.generator_terms({key: value[1:] for key, value in both.items()})
    together, alone = objective.specific.seen
    for of_both, of_one in zip(together, alone, strict=True):
        assert_close(of_both[1:], of_one)
    assert_close(objective.critic.seen[1][0][1:], objective.critic.seen[5][0])


def test_the_two_turns_draw_different_noise() -> None:
    objective = game()
    objective.discriminator_terms(batch())
    objective.generator_terms(batch())
    critics_turn, generators_turn = objective.specific.seen
    for place in (0, 3):
        assert not torch.allclose(critics_turn[place], generators_turn[place])


def test_networks_that_can_only_be_called_are_enough() -> None:
    plain, wrapped = game(), game()
    for name in NETWORKS:
        setattr(wrapped, name, ForwardOnly(getattr(wrapped, name)))
    assert_close(wrapped.discriminator_terms(batch()), plain.discriminator_terms(batch()))
    assert_close(wrapped.generator_terms(batch()), plain.generator_terms(batch()))


def test_a_resumed_objective_goes_on_as_it_was() -> None:
    """Through a file of plain values and tensors, with the count of the penalty and the projection."""
    objective = game(r1_interval=2, weighting=FrozenProjection(CHANNELS, seed=5))
    objective.discriminator_terms(batch())
    file = io.BytesIO()
    torch.save(objective.state_dict(), file)
    file.seek(0)
    resumed = game(r1_interval=2, weighting=FrozenProjection(CHANNELS))
    assert not torch.allclose(resumed.generator_terms(batch())["mutual"], objective.generator_terms(batch())["mutual"])
    resumed.load_state_dict(torch.load(file, weights_only=True))
    assert "r1" not in resumed.discriminator_terms(batch())
    assert_close(resumed.generator_terms(batch()), objective.generator_terms(batch()))


@pytest.mark.parametrize("interval", [0, -1, 2.5, "10", True])
def test_an_interval_that_is_no_count_is_refused(interval: Any) -> None:
    with pytest.raises(InputError, match=r"MUDiffObjective, r1_interval: found .*; wanted an integer of 1 or more"):
        game(r1_interval=interval)


@pytest.mark.parametrize("name", ["adversarial_weight", "l1_weight", "mutual_weight", "r1_gamma"])
@pytest.mark.parametrize("value", [-0.5, "0.5", True, float("nan"), None])
def test_a_weight_that_is_no_number_is_refused(name: str, value: Any) -> None:
    with pytest.raises(InputError, match=rf"MUDiffObjective, {name}: found .*; wanted a number of 0 or more"):
        game(**{name: value})


@pytest.mark.parametrize("weighting", [CriticAgreement(), FrozenProjection(CHANNELS)])
def test_training_the_smallest_networks_lowers_the_reconstruction_error(weighting: nn.Module) -> None:
    objective = game(l1_weight=10.0, weighting=weighting)

    def adam(*names: str) -> torch.optim.Adam:
        return torch.optim.Adam([p for name in names for p in getattr(objective, name).parameters()], lr=0.02)

    sample = batch(size=4)
    sample["label"] = 0.5 * sample["image"][:, :1]
    before = float(objective.generator_terms(sample)["l1"].detach())
    trainer = AlternatingTrainer(
        device="cpu",
        max_epochs=30,
        train_data_loader=[sample],
        phases=[
            Phase(name="critic", terms=objective.discriminator_terms, optimizer=adam("critic")),
            Phase(name="denoisers", terms=objective.generator_terms, optimizer=adam("specific", "aware")),
        ],
    )
    trainer.run()
    assert float(objective.generator_terms(sample)["l1"].detach()) < 0.8 * before
