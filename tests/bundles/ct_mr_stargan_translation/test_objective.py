"""The StarGAN objective beside its numbers: what it refuses, whom each term moves, what the critic is shown.

The numbers of one step are compared with the published implementation in tests/parity/test_stargan_step.py.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from stargan_bundle.objective import StarGANObjective
from torch import Tensor, nn
from torch.testing import assert_close

from transmodal.engines import AlternatingTrainer, Phase
from transmodal.errors import InputError


class Generator(nn.Module):
    """The smallest translator of three domains, which keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 3, padding=1)
        self.asked: list[tuple[Tensor, Tensor]] = []

    def forward(self, image: Tensor, domain: Tensor) -> Tensor:
        self.asked.append((image, domain))
        made = torch.tanh(self.conv(image))
        return made[torch.arange(len(image)), domain].unsqueeze(1)


class Critic(nn.Module):
    """A critic that is linear in the image before a square, so that its gradient depends on where it is taken."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(1, 1, 3), nn.Linear(36, 3)
        self.seen: list[Tensor] = []

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        self.seen.append(image)
        scores = self.conv(image)
        return scores.square(), self.head(scores.flatten(1))


class Game:
    """Both networks, their objective and an optimizer for each player."""

    def __init__(self, **options: Any) -> None:
        torch.manual_seed(1)
        self.generator, self.critic = Generator(), Critic()
        self.objective = StarGANObjective(self.generator, self.critic, num_domains=3, **options)

    def train(self, batches: list[dict[str, Tensor]], **options: Any) -> None:
        players = {
            "critics": (self.critic, self.objective.discriminator_terms),
            "generator": (self.generator, self.objective.generator_terms),
        }
        phases = [
            Phase(name=name, terms=terms, optimizer=torch.optim.SGD(network.parameters(), lr=0.01))
            for name, (network, terms) in players.items()
        ]
        AlternatingTrainer("cpu", 1, batches, phases, **options).run()

    def weights(self) -> Tensor:
        networks = nn.ModuleList([self.generator, self.critic])
        return torch.cat([parameter.detach().flatten() for parameter in networks.parameters()])


def batch(size: int = 2) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    body = torch.zeros(size, 1, 8, 8)
    for index in range(size):
        body[index, :, 1 : 4 + index, 2:6] = 1
    return {
        "image": torch.rand(size, 1, 8, 8, generator=generator) * 2 - 1,
        "body": body,
        "domain": torch.arange(size) % 3,
        "target": (torch.arange(size) + 1) % 3,
        "seed": torch.arange(size) + 7,
    }


def split(whole: dict[str, Tensor]) -> list[dict[str, Tensor]]:
    return [{key: value[number : number + 1] for key, value in whole.items()} for number in range(len(whole["image"]))]


def test_each_player_has_its_terms() -> None:
    objective = Game().objective
    assert list(objective.discriminator_terms(batch())) == ["real", "fake", "domain", "gradient_penalty"]
    assert list(objective.generator_terms(batch())) == ["adversarial", "domain", "reconstruction"]


@pytest.mark.parametrize("player", ["discriminator_terms", "generator_terms"])
def test_a_batch_that_asks_for_no_translation_is_refused(player: str) -> None:
    game, images = Game(), batch()
    images["target"] = torch.tensor([1, 1])  # the second image belongs to domain 1
    with pytest.raises(InputError, match=r"training batch, target: found 1 of 2 .* domain 1 to itself; wanted another"):
        getattr(game.objective, player)(images)
    assert game.generator.asked == []


@pytest.mark.parametrize(("key", "label"), [("domain", 3), ("domain", -1), ("target", 3)])
def test_labels_that_no_domain_has_are_refused(key: str, label: int) -> None:
    images = batch()
    images[key] = torch.tensor([label, 0])
    with pytest.raises(InputError, match=r"domain and target: found labels .*wanted 0 to 2, for 3 domains"):
        Game().objective.discriminator_terms(images)


def test_the_critics_terms_move_no_generator_and_build_no_graph_through_it() -> None:
    game = Game()
    torch.stack(list(game.objective.discriminator_terms(batch()).values())).sum().backward()
    assert all(parameter.grad is None for parameter in game.generator.parameters())
    assert all(parameter.grad is not None for parameter in game.critic.parameters())
    real, fake, _ = game.critic.seen
    assert not fake.requires_grad
    assert_close(real, batch()["image"], rtol=0, atol=0)


def test_the_way_there_asks_for_the_target_and_the_way_back_for_the_own_domain() -> None:
    game, images = Game(), batch()
    terms = game.objective.generator_terms(images)
    (first, there), (second, back) = game.generator.asked
    assert_close([there, back], [images["target"], images["domain"]])
    assert_close(first, images["image"])
    assert second.requires_grad
    lost = (game.generator(second, images["domain"]) - images["image"]).abs().mean()
    assert_close(terms["reconstruction"], 10 * lost)


def test_the_critic_learns_the_own_domain_of_real_images_and_the_generator_is_held_to_the_target() -> None:
    game, images = Game(cls_weight=2.0), batch()
    log_real = game.critic(images["image"])[1].log_softmax(dim=1)
    log_fake = game.critic(game.generator(images["image"], images["target"]))[1].log_softmax(dim=1)
    critics, generator = game.objective.discriminator_terms(images), game.objective.generator_terms(images)
    assert_close(critics["domain"], -2 * log_real[[0, 1], images["domain"]].mean())
    assert_close(generator["domain"], -2 * log_fake[[0, 1], images["target"]].mean())


def test_adversarial_terms_are_means_of_scores_with_opposite_signs() -> None:
    game, images = Game(), batch()
    real = game.critic(images["image"])[0].mean()
    fake = game.critic(game.generator(images["image"], images["target"]))[0].mean()
    critics = game.objective.discriminator_terms(images)
    assert_close([critics["real"], critics["fake"]], [-real, fake])
    assert_close(game.objective.generator_terms(images)["adversarial"], -fake)


def test_the_penalty_of_a_linear_critic_is_known() -> None:
    """The scores of each image sum to w · x, whose gradient is w wherever it is taken: (|w| - 1)²."""

    class Linear(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.linspace(-1, 1, 64).reshape(1, 1, 8, 8))

        def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
            return image * self.weight, image.flatten(1)[:, :3]

    critic = Linear()
    objective = StarGANObjective(Generator(), critic, num_domains=3, gp_weight=4.0)
    penalty = objective.discriminator_terms(batch())["gradient_penalty"]
    assert_close(penalty, 4 * (critic.weight.norm() - 1).square())


def test_the_penalty_is_taken_between_each_real_image_and_its_translation_at_the_draw_of_its_seed() -> None:
    game, images = Game(), batch()
    game.objective.discriminator_terms(images)
    real, fake, between = game.critic.seen
    alpha = (between - fake).flatten(1) / (real - fake).flatten(1)
    assert (alpha.std(dim=1) < 1e-3).all()
    assert 0 <= alpha.mean(dim=1).min() <= alpha.mean(dim=1).max() < 1
    assert (alpha[0].mean() - alpha[1].mean()).abs() > 1e-3
    alone = Game()
    alone.objective.discriminator_terms(split(images)[1])
    assert_close(alone.critic.seen[2], between[1:], rtol=0, atol=1e-6)


def test_weight_zero_leaves_out_the_penalty_and_what_it_costs() -> None:
    game = Game(gp_weight=0)
    assert "gradient_penalty" not in game.objective.discriminator_terms(batch())
    assert len(game.critic.seen) == 2


def test_the_penalty_is_in_single_precision_under_autocast() -> None:
    game, images = Game(), batch()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        game.objective.discriminator_terms(images)
    assert game.critic.seen[2].dtype == torch.float32


def test_body_only_shows_the_critic_air_around_every_body() -> None:
    game, images = Game(body_only=True), batch()
    game.objective.discriminator_terms(images)
    game.objective.generator_terms(images)
    outside = images["body"] == 0
    for seen in game.critic.seen:  # real, translated, in between, and translated for the generator
        assert_close(seen[outside], torch.full_like(seen[outside], -1.0), rtol=0, atol=1e-6)
    assert_close(game.critic.seen[0][~outside], images["image"][~outside])
    assert game.generator.asked[-1][0][outside].unique().tolist() == [-1]


def test_body_only_reconstructs_each_body_and_nothing_else() -> None:
    game, images = Game(body_only=True, rec_weight=1.0), batch()
    given = game.objective.generator_terms(images)["reconstruction"]
    back = game.generator(game.generator.asked[-1][0], images["domain"])
    inside = images["body"] > 0
    lost = [(back[index] - images["image"][index])[inside[index]].abs().mean() for index in (0, 1)]
    assert_close(given, (lost[0] + lost[1]) / 2)


def test_body_only_sees_nothing_of_an_image_without_body() -> None:
    game, images = Game(body_only=True), batch(1)
    images["body"] = torch.zeros_like(images["body"])
    assert game.objective.generator_terms(images)["reconstruction"] == 0


def test_body_only_without_a_body_is_refused() -> None:
    images = batch()
    del images["body"]
    Game().objective.generator_terms(images)
    with pytest.raises(InputError, match="training batch, body: found no body among image, domain, target, seed"):
        Game(body_only=True).objective.generator_terms(images)


@pytest.mark.parametrize("body_only", [False, True])
@pytest.mark.parametrize("size", [2, 3])
def test_accumulating_batches_equals_one_large_batch(size: int, body_only: bool) -> None:
    """So ranks and the size of a batch change nothing: every random number belongs to its sample."""
    whole = batch(size)
    large, accumulated = Game(body_only=body_only), Game(body_only=body_only)
    large.train([whole])
    accumulated.train(split(whole), accumulation_steps=size)
    assert_close(accumulated.weights(), large.weights(), rtol=0, atol=1e-5)
    assert not torch.allclose(large.weights(), Game().weights(), atol=1e-4)


@pytest.mark.parametrize(
    ("option", "value"),
    [("cls_weight", "1"), ("rec_weight", -1.0), ("gp_weight", float("inf")), ("body_only", "true")],
)
def test_options_that_are_no_numbers_or_flags_are_refused(option: str, value: Any) -> None:
    with pytest.raises(InputError, match=f"StarGANObjective, {option}: found {value!r}"):
        Game(**{option: value})
