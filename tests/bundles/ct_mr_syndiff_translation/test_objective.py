"""The SynDiff objective beside its numbers: who sees what, which networks a term moves, when the penalty comes.

The numbers of two iterations are compared with the published implementation in tests/parity/test_syndiff_step.py.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from syndiff_bundle.objective import Contrast, SynDiffObjective
from torch import Tensor, nn
from torch.testing import assert_close

from transmodal.engines import AlternatingTrainer, Phase
from transmodal.errors import InputError
from transmodal.schedulers import DDGANScheduler

NETWORKS = ("generator", "estimator", "critic", "patch_critic")


class Generator(nn.Module):
    """The smallest diffusive generator, which keeps what it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 3, padding=1)
        self.mix = nn.Linear(3, 1)
        self.seen: list[Tensor] = []
        self.with_gradient: list[bool] = []

    def forward(self, image: Tensor, timesteps: Tensor, latent: Tensor) -> Tensor:
        self.seen.append(image)
        self.with_gradient.append(torch.is_grad_enabled())
        shift = self.mix(latent)[..., None, None] + timesteps[:, None, None, None]
        return torch.tanh(self.conv(image) + 0.1 * shift)


class Estimator(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        return torch.tanh(self.conv(image))


class Critic(nn.Module):
    """The smallest time-conditional critic; not linear, so that its gradient penalty depends on its weights."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 3)

    def forward(self, x_t: Tensor, timesteps: Tensor, x_next: Tensor) -> Tensor:
        return torch.tanh(self.conv(torch.cat([x_t, x_next], dim=1))).sum(dim=(1, 2, 3))


class PatchCritic(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 3)

    def forward(self, image: Tensor) -> list[Tensor]:
        return [self.conv(image)]


def contrast() -> Contrast:
    return Contrast(generator=Generator(), estimator=Estimator(), critic=Critic(), patch_critic=PatchCritic())


def game(**kwargs: Any) -> SynDiffObjective:
    torch.manual_seed(1)
    return SynDiffObjective(contrast(), contrast(), DDGANScheduler(), latent_dim=3, **kwargs)


def batch(seed: int = 0, size: int = 2) -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(seed)
    image, label = (torch.rand(size, 1, 8, 10, generator=random) * 2 - 1 for _ in range(2))
    return {"image": image, "label": label, "seed": torch.arange(size) + 10 * seed}


def moved(objective: SynDiffObjective, term: Tensor) -> set[str]:
    """Which networks have a gradient of a term that is not zero."""
    for of in objective.contrasts:
        for kind in NETWORKS:
            getattr(of, kind).zero_grad()
    term.backward()
    return {
        kind
        for kind in NETWORKS
        for of in objective.contrasts
        if any(p.grad is not None and p.grad.abs().sum() > 0 for p in getattr(of, kind).parameters())
    }


@pytest.mark.parametrize(
    ("term", "networks"),
    [
        ("real", {"critic"}),
        ("r1", {"critic"}),
        ("fake", {"critic"}),
        ("patch_real", {"patch_critic"}),
        ("patch_fake", {"patch_critic"}),
    ],
)
def test_what_each_critics_term_moves(term: str, networks: set[str]) -> None:
    objective = game()
    assert moved(objective, objective.discriminator_terms(batch())[term]) == networks


@pytest.mark.parametrize(
    ("term", "networks"),
    [
        ("cycle", {"estimator"}),
        ("patch_adversarial", {"estimator", "patch_critic"}),
        ("l1", {"generator", "estimator"}),
        ("adversarial", {"generator", "estimator", "critic"}),
    ],
)
def test_what_each_generators_term_moves(term: str, networks: set[str]) -> None:
    """Diffusive terms reach the estimators too, as published; the engine holds the critics still meanwhile."""
    objective = game()
    assert moved(objective, objective.generator_terms(batch())[term]) == networks


def test_the_generators_run_without_gradient_in_the_critics_turn() -> None:
    objective = game()
    objective.discriminator_terms(batch())
    assert [of.generator.with_gradient for of in objective.contrasts] == [[False], [False]]


def test_a_generator_restores_an_image_from_the_estimate_made_of_that_very_image() -> None:
    """So nothing in the loss compares one patient with another."""
    objective = game()
    sample = batch()
    objective.generator_terms(sample)
    first, second = objective.contrasts
    assert_close(first.generator.seen[0][:, 1:], second.estimator(sample["image"]))
    assert_close(second.generator.seen[0][:, 1:], first.estimator(sample["label"]))


def test_the_keys_say_which_image_is_of_which_contrast() -> None:
    sample = batch()
    swapped = {"image": sample["label"], "label": sample["image"], "seed": sample["seed"]}
    plain, other = game().generator_terms(sample), game(keys=("label", "image")).generator_terms(swapped)
    assert_close(other, plain)


@pytest.mark.parametrize(("changed", "kept"), [("label", "first"), ("image", "second")])
def test_a_contrast_does_not_depend_on_the_other_ones_image(changed: str, kept: str) -> None:
    objective = game()
    objective.generator_terms(batch())
    objective.generator_terms({**batch(), changed: torch.zeros(2, 1, 8, 10)})
    seen = objective.contrasts[("first", "second").index(kept)].generator.seen
    assert_close(seen[0], seen[1])


def test_the_penalty_comes_at_the_first_and_every_nth_call() -> None:
    objective = game(r1_interval=3)
    assert ["r1" in objective.discriminator_terms(batch(seed)) for seed in range(7)] == [
        True,
        False,
        False,
        True,
        False,
        False,
        True,
    ]


def test_the_penalty_goes_on_counting_after_a_resume() -> None:
    objective, resumed = game(r1_interval=2), game(r1_interval=2)
    objective.discriminator_terms(batch())
    resumed.load_state_dict(objective.state_dict())
    assert "r1" not in resumed.discriminator_terms(batch())


def test_no_penalty_without_gamma() -> None:
    assert "r1" not in game(r1_gamma=0.0).discriminator_terms(batch())


def test_the_penalty_grows_with_gamma() -> None:
    one, two = (game(r1_gamma=gamma).discriminator_terms(batch())["r1"].item() for gamma in (1.0, 2.0))
    assert two == pytest.approx(2 * one)
    assert one > 0


def test_the_draws_of_a_sample_do_not_depend_on_its_batch() -> None:
    objective = game()
    both = batch()
    objective.generator_terms(both)
    objective.generator_terms({key: value[1:] for key, value in both.items()})
    seen = objective.contrasts[0].generator.seen
    assert_close(seen[0][1:], seen[1])


def test_the_two_turns_draw_different_noise() -> None:
    objective = game()
    objective.discriminator_terms(batch())
    objective.generator_terms(batch())
    critics_turn, generators_turn = objective.contrasts[0].generator.seen
    assert not torch.allclose(critics_turn[:, :1], generators_turn[:, :1])


def test_weights_scale_their_terms() -> None:
    plain, heavy = game().generator_terms(batch()), game(l1_weight=1.0, cycle_weight=2.0).generator_terms(batch())
    assert_close(heavy["l1"], 2 * plain["l1"])
    assert_close(heavy["cycle"], 4 * plain["cycle"])
    assert_close(heavy["adversarial"], plain["adversarial"])


@pytest.mark.parametrize("interval", [0, -1, 2.5, "10", True])
def test_an_interval_that_is_no_count_is_refused(interval: Any) -> None:
    with pytest.raises(InputError, match=r"SynDiffObjective, r1_interval: found .*; wanted an integer of 1 or more"):
        game(r1_interval=interval)


@pytest.mark.parametrize("name", ["l1_weight", "cycle_weight", "r1_gamma"])
@pytest.mark.parametrize("value", [-0.5, "0.5", True, float("nan"), float("inf"), None])
def test_a_weight_that_is_no_number_is_refused(name: str, value: Any) -> None:
    with pytest.raises(InputError, match=rf"SynDiffObjective, {name}: found .*; wanted a number of 0 or more"):
        game(**{name: value})


def test_training_the_smallest_networks_lowers_the_reconstruction_error() -> None:
    objective = game(l1_weight=10.0)
    groups = {kind: [getattr(of, kind) for of in objective.contrasts] for kind in NETWORKS}

    def adam(*kinds: str) -> torch.optim.Adam:
        return torch.optim.Adam([p for kind in kinds for n in groups[kind] for p in n.parameters()], lr=0.02)

    before = float(objective.generator_terms(batch())["l1"].detach())
    trainer = AlternatingTrainer(
        device="cpu",
        max_epochs=30,
        train_data_loader=[batch(size=4)],
        phases=[
            Phase(name="critics", terms=objective.discriminator_terms, optimizer=adam("critic", "patch_critic")),
            Phase(name="generators", terms=objective.generator_terms, optimizer=adam("generator", "estimator")),
        ],
    )
    trainer.run()
    assert float(objective.generator_terms(batch())["l1"].detach()) < before
