"""The CycleGAN objective beside its numbers: which terms there are, what the critics see, what a step may change.

The numbers of one step are compared with the published implementation in tests/parity/test_cyclegan_step.py.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from cyclegan_bundle.objective import CycleGANObjective
from monai.losses import PatchAdversarialLoss
from torch import Tensor, nn
from torch.testing import assert_close

from transmodal.data import ImagePool
from transmodal.engines import AlternatingTrainer, Phase


class Generator(nn.Module):
    """The smallest translator, which counts its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 3, padding=1)
        self.calls = 0

    def forward(self, image: Tensor) -> Tensor:
        self.calls += 1
        return torch.tanh(self.conv(image))


class Critic(nn.Module):
    """The smallest patch critic, which keeps what it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 3)
        self.seen: list[Tensor] = []

    def forward(self, image: Tensor) -> list[Tensor]:
        self.seen.append(image)
        return [self.conv(image)]


class Game:
    """Four networks, their objective and an optimizer for each player."""

    def __init__(self, learning_rate: float = 0.1, pool_size: int = 0, **weights: float) -> None:
        torch.manual_seed(1)
        self.to_target, self.to_source = Generator(), Generator()
        self.target_critic, self.source_critic = Critic(), Critic()
        self.objective = CycleGANObjective(
            to_target=self.to_target,
            to_source=self.to_source,
            target_critic=self.target_critic,
            source_critic=self.source_critic,
            adversarial=PatchAdversarialLoss(criterion="least_squares", no_activation_leastsq=True),
            target_pool=ImagePool(pool_size, seed=0),
            source_pool=ImagePool(pool_size, seed=1),
            **weights,
        )
        self.generators = nn.ModuleList([self.to_target, self.to_source])
        self.critics = nn.ModuleList([self.target_critic, self.source_critic])
        self.phases = [
            Phase(
                name="generators",
                terms=self.objective.generator_terms,
                optimizer=torch.optim.SGD(self.generators.parameters(), lr=learning_rate),
            ),
            Phase(
                name="critics",
                terms=self.objective.discriminator_terms,
                optimizer=torch.optim.SGD(self.critics.parameters(), lr=learning_rate),
            ),
        ]

    def train(self, batches: list[dict[str, Tensor]], **options: Any) -> None:
        AlternatingTrainer("cpu", 1, batches, self.phases, **options).run()

    def weights(self) -> Tensor:
        networks = nn.ModuleList([self.generators, self.critics])
        return torch.cat([parameter.detach().flatten() for parameter in networks.parameters()])


def batch(size: int = 1, seed: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {key: torch.rand(size, 1, 8, 8, generator=generator) * 2 - 1 for key in ("image", "label")}


def split(whole: dict[str, Tensor]) -> list[dict[str, Tensor]]:
    return [{key: value[number : number + 1] for key, value in whole.items()} for number in range(len(whole["image"]))]


def test_the_generators_have_two_terms_of_each_kind() -> None:
    terms = Game().objective.generator_terms(batch())
    kinds = ("adversarial", "cycle", "identity")
    assert sorted(terms) == [f"{kind}_{domain}" for kind in kinds for domain in ("source", "target")]
    assert all(term.ndim == 0 and term.requires_grad for term in terms.values())


def test_identity_weight_zero_drops_the_terms_and_their_two_translations() -> None:
    game = Game(identity_weight=0)
    assert not any("identity" in name for name in game.objective.generator_terms(batch()))
    assert (game.to_target.calls, game.to_source.calls) == (2, 2)  # the translation, and the way back of the other


def test_identity_terms_translate_a_domain_into_itself() -> None:
    game, images = Game(cycle_weight=10, identity_weight=0.5), batch()
    terms = game.objective.generator_terms(images)
    wanted = 5 * (game.to_target(images["label"]) - images["label"]).abs().mean()
    assert_close(terms["identity_target"], wanted)


def test_paired_terms_measure_both_translations_against_their_pair() -> None:
    game, images = Game(paired_weight=100), batch()
    terms = game.objective.generator_terms(images)
    for term, made, pair in (
        ("paired_target", game.to_target(images["image"]), images["label"]),
        ("paired_source", game.to_source(images["label"]), images["image"]),
    ):
        assert_close(terms[term], 100 * (made - pair).abs().mean())


def test_the_critics_judge_what_was_translated_before_the_generators_moved() -> None:
    game, images = Game(), batch()
    before = [game.to_target(images["image"]).detach(), game.to_source(images["label"]).detach()]
    game.train([images])
    assert_close([game.target_critic.seen[-1], game.source_critic.seen[-1]], before, rtol=0, atol=0)
    assert not torch.allclose(game.to_target(images["image"]), before[0], atol=1e-3)


def test_each_critic_sees_real_and_translated_images_of_its_own_modality() -> None:
    game, images = Game(), batch()
    game.train([images])
    generator_phase, real, _ = game.target_critic.seen
    assert_close(real, images["label"], rtol=0, atol=0)
    assert_close(game.source_critic.seen[1], images["image"], rtol=0, atol=0)
    assert generator_phase.requires_grad


def test_the_critics_terms_move_no_generator() -> None:
    game, images = Game(), batch()
    game.objective.generator_terms(images)
    torch.stack(list(game.objective.discriminator_terms(images).values())).sum().backward()
    assert all(parameter.grad is None for parameter in game.generators.parameters())
    assert all(parameter.grad is not None for parameter in game.critics.parameters())


def test_critics_judge_past_translations_from_the_pools() -> None:
    """With a history of one image about half of the later queries give back an older one."""
    game = Game(learning_rate=0.0, pool_size=1)
    batches = [batch(seed=seed) for seed in range(8)]
    game.train(batches)
    now = [game.to_target(images["image"]) for images in batches]
    judged = game.target_critic.seen[2::3]
    old = [not torch.equal(seen, fake) for seen, fake in zip(judged, now, strict=True)]
    assert not old[0], "the first translation fills the pool"
    assert 0 < sum(old) < len(old)
    assert all(any(torch.equal(seen, fake) for fake in now) for seen in judged)


def test_the_generators_are_judged_by_their_present_translations() -> None:
    game = Game(learning_rate=0.0, pool_size=1)
    batches = [batch(seed=seed) for seed in range(8)]
    game.train(batches)
    for seen, images in zip(game.target_critic.seen[0::3], batches, strict=True):
        assert_close(seen, game.to_target(images["image"]), rtol=0, atol=0)


@pytest.mark.parametrize("size", [2, 3])
def test_accumulating_batches_equals_one_large_batch(size: int) -> None:
    whole = batch(size)
    large, accumulated = Game(), Game()
    large.train([whole])
    accumulated.train(split(whole), accumulation_steps=size)
    assert_close(accumulated.weights(), large.weights(), rtol=0, atol=1e-6)
    assert not torch.allclose(large.weights(), Game().weights(), atol=1e-3)
