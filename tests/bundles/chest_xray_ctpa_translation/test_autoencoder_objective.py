"""What the autoencoders and their critics minimise, term by term, and when the critics begin to count."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close
from xray2ctpa_bundle.autoencoder_objective import CodebookObjective, NormalObjective
from xray2ctpa_bundle.discriminators import PatchCritic
from xray2ctpa_bundle.slice_autoencoder import Posterior, SliceAutoencoder
from xray2ctpa_bundle.vqgan import VQGAN, Quantised

from transmodal.engines import AlternatingTrainer, Phase
from transmodal.errors import InputError
from transmodal.losses import SoftplusLoss


class Normal(nn.Module):
    """Makes 0.5 less than its image; latents of mean 1 and variance e, whose noise is kept."""

    latent_channels = 2

    def __init__(self) -> None:
        super().__init__()
        self.level = nn.Parameter(torch.tensor(-0.5))
        self.noise: list[Tensor] = []

    def latent_size(self, size: Any) -> tuple[int, ...]:
        return (size[0], size[1] // 2, size[2] // 2)

    def forward(self, image: Tensor, noise: Tensor) -> Posterior:
        self.noise.append(noise)
        ones = torch.ones_like(noise)
        return Posterior(image + self.level, ones, ones)


class Codes(nn.Module):
    """Makes 0.25 more than its image; latents 2 away from their codes, of which there are three."""

    def forward(self, image: Tensor) -> Quantised:
        z = torch.full((len(image), 2, 2, 1, 1), 3.0, requires_grad=True)
        return Quantised(image + 0.25, z, torch.ones_like(z), torch.tensor([[[[0]], [[7]]]] * len(image)))


class Brightness(nn.Module):
    """A critic with two stages of features, whose logit is the mean of an image times its weight."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(1.0))
        self.seen: list[Tensor] = []

    def forward(self, image: Tensor) -> list[Tensor]:
        self.seen.append(image.detach())
        return [image, 2 * image, self.gain * image.flatten(1).mean(dim=1)]


def batch(size: tuple[int, ...] = (1, 4, 4), value: float = 0.5) -> dict[str, Tensor]:
    return {"image": torch.full((2, 1, *size), value), "seed": torch.tensor([5, 9])}


def distance(made: Tensor, true: Tensor) -> Tensor:
    """A perceptual distance of each slice."""
    return 3 * (made - true).abs().mean(dim=(1, 2, 3))


def test_normal_latents_cost_l1_and_the_divergence_of_a_slice() -> None:
    """By hand: 0.5 (1 + e - 1 - 1) for each of 2 x 2 x 2 latents of a slice."""
    terms = NormalObjective(Normal(), kl=0.1, l1=2.0).generator_terms(batch((3, 4, 4)))
    assert terms.keys() == {"l1", "kl"}
    assert_close(terms["l1"], torch.tensor(1.0))
    assert_close(terms["kl"], torch.tensor(0.1 * 8 * 0.5 * (math.e - 1)))


def test_the_noise_of_a_sample_follows_from_its_seed_alone() -> None:
    network = Normal()
    objective = NormalObjective(network)
    objective.generator_terms(batch())
    single = {"image": batch()["image"][1:], "seed": torch.tensor([9])}
    objective.generator_terms(single)
    both, alone = network.noise
    assert tuple(both.shape) == (2, 2, 1, 2, 2)
    assert torch.equal(both[1:], alone)
    assert not torch.equal(both[0], both[1])


def test_latents_are_drawn_to_their_codes() -> None:
    objective = CodebookObjective(Codes())
    terms = objective.generator_terms(batch((2, 4, 4)))
    assert terms.keys() == {"l1", "commitment"}
    assert_close(terms["l1"], torch.tensor(4 * 0.25))
    assert_close(terms["commitment"], torch.tensor(0.25 * 2.0**2))


def test_the_use_of_codes_is_told() -> None:
    objective = CodebookObjective(Codes())
    objective.generator_terms(batch((2, 4, 4)))
    told = objective.with_diagnostics({"autoencoder/l1": 1.0})
    assert told == {"autoencoder/l1": 1.0, "codebook/used": 2.0, "codebook/perplexity": pytest.approx(2.0)}


def test_slices_are_compared_perceptually() -> None:
    terms = CodebookObjective(Codes(), perceptual=distance, perceptual_weight=0.5).generator_terms(batch((2, 4, 4)))
    assert_close(terms["perceptual"], torch.tensor(0.5 * 3 * 0.25))


def test_critics_see_one_slice_of_each_sample_and_the_volumes() -> None:
    image = torch.arange(5.0)[None, None, :, None, None].expand(2, 1, 5, 4, 4) / 10
    judged = {"image": image, "seed": torch.tensor([0, 3])}
    slices, volumes = Brightness(), Brightness()
    objective = CodebookObjective(Codes(), slice_critic=slices, volume_critic=volumes)
    objective.generator_terms(judged)
    objective.discriminator_terms(judged)
    made, true, made_again = slices.seen
    assert tuple(made.shape) == (2, 1, 4, 4)
    assert_close(made, true + 0.25)  # the same slices at both turns
    assert torch.equal(made_again, made)
    assert true[0].unique().numel() == true[1].unique().numel() == 1
    assert torch.equal(volumes.seen[1], image)


def test_the_slices_that_are_judged_follow_from_the_seed() -> None:
    image = torch.arange(50.0)[None, None, :, None, None].expand(1, 1, 50, 2, 2) / 50
    critic = Brightness()
    objective = CodebookObjective(Codes(), slice_critic=critic)
    for seed in (1, 2, 1):
        objective.generator_terms({"image": image, "seed": torch.tensor([seed])})
    first, second, again = (float(seen.mean()) for seen in critic.seen)
    assert first == again != second


def test_the_autoencoder_raises_the_mean_logits() -> None:
    objective = CodebookObjective(
        Codes(), slice_critic=Brightness(), volume_critic=Brightness(), slice_weight=2.0, volume_weight=3.0
    )
    terms = objective.generator_terms(batch((2, 4, 4)))
    assert_close(terms["slice_adversarial"], torch.tensor(-2 * 0.75))
    assert_close(terms["volume_adversarial"], torch.tensor(-3 * 0.75))
    assert "features" not in terms


def test_features_of_all_stages_but_the_logits_are_matched() -> None:
    """By hand: 0.25 and twice 0.25, for slices and for volumes."""
    objective = CodebookObjective(Codes(), slice_critic=Brightness(), volume_critic=Brightness(), feature_weight=4.0)
    assert_close(objective.generator_terms(batch((2, 4, 4)))["features"], torch.tensor(4 * (0.75 + 0.75)))


def test_critics_tell_true_from_made_by_a_hinge() -> None:
    """By hand: logits 0.5 of true and 0.75 of made images."""
    objective, judged = CodebookObjective(Codes(), volume_critic=Brightness(), volume_weight=2.0), batch((2, 4, 4))
    objective.generator_terms(judged)
    terms = objective.discriminator_terms(judged)
    assert terms.keys() == {"volume_real", "volume_fake"}
    assert_close(terms["volume_real"], torch.tensor(2 * 0.5 * 0.5))
    assert_close(terms["volume_fake"], torch.tensor(2 * 0.5 * 1.75))


def test_another_cost_of_logits_can_be_chosen() -> None:
    objective = CodebookObjective(Codes(), volume_critic=Brightness(), critic_loss=SoftplusLoss())
    judged = batch((2, 4, 4))
    objective.generator_terms(judged)
    assert_close(objective.discriminator_terms(judged)["volume_real"], torch.tensor(math.log(1 + math.exp(-0.5))))


def test_critics_get_no_gradient_from_the_autoencoder_and_give_it_none() -> None:
    network, critic = Normal(), Brightness()
    objective, judged = NormalObjective(network, slice_critic=critic), batch()
    objective.generator_terms(judged)
    sum(objective.discriminator_terms(judged).values()).backward()
    assert network.level.grad is None
    assert critic.gain.grad != 0


def test_before_their_start_critics_neither_count_nor_learn() -> None:
    critic = Brightness()
    objective = CodebookObjective(Codes(), slice_critic=critic, feature_weight=1.0, start_step=2)
    counted = []
    for _ in range(4):
        judged = batch((2, 4, 4))
        terms = objective.generator_terms(judged)
        of_critic = objective.discriminator_terms(judged)
        critic.gain.grad = None
        sum(of_critic.values()).backward()
        counted.append([bool(terms["slice_adversarial"]), bool(terms["features"]), bool(critic.gain.grad)])
        assert terms.keys() == {"l1", "commitment", "slice_adversarial", "features"}
    assert counted == [[False] * 3] * 2 + [[True] * 3] * 2


def test_a_resumed_training_counts_on() -> None:
    first = CodebookObjective(Codes(), slice_critic=Brightness(), start_step=2)
    for _ in range(2):
        first.generator_terms(batch((2, 4, 4)))
    resumed = CodebookObjective(Codes(), slice_critic=Brightness(), start_step=2)
    resumed.load_state_dict(first.state_dict())
    assert not resumed.meets_critics
    assert resumed.generator_terms(batch((2, 4, 4)))["slice_adversarial"] != 0


@pytest.mark.parametrize("kind", ["slices", "volumes"])
def test_a_trainer_makes_the_reconstruction_better(kind: str) -> None:
    torch.manual_seed(0)
    network: nn.Module
    if kind == "slices":
        network = SliceAutoencoder(channels=(4, 8), num_res_blocks=1, norm_groups=4, image_channels=1, scale=1.0)
        objective: Any = NormalObjective(network, slice_critic=PatchCritic(2, 4), slice_weight=0.01)
    else:
        network = VQGAN(channels=4, embedding_dim=4, num_codes=16, downsample=(2, 2, 2), norm_groups=4)
        objective = CodebookObjective(network, volume_critic=PatchCritic(3, 4), volume_weight=0.01)
    critic = next(iter(objective.critics.values()))[0]
    sample = {"image": torch.linspace(-1, 1, 8)[None, None, None, None].expand(1, 1, 2, 8, 8), "seed": torch.ones(1)}
    players = {
        "autoencoder": (objective.generator_terms, network, 1e-2),
        "critics": (objective.discriminator_terms, critic, 1e-3),
    }
    phases = [
        Phase(name=name, terms=terms, optimizer=torch.optim.Adam(player.parameters(), rate))
        for name, (terms, player, rate) in players.items()
    ]
    trainer = AlternatingTrainer("cpu", 1, [sample] * 16, phases)
    losses: list[float] = []
    trainer.add_event_handler(
        "ITERATION_COMPLETED", lambda engine: losses.append(engine.state.output["autoencoder/l1"])
    )
    trainer.run()
    assert min(losses) < 0.8 * losses[0]


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"l1": -1}, "NormalObjective, l1: found -1"),
        ({"kl": "1e-6"}, "NormalObjective, kl: found '1e-6'"),
        ({"perceptual_weight": True}, "NormalObjective, perceptual_weight"),
        ({"feature_weight": -0.1}, "NormalObjective, feature_weight"),
        ({"start_step": -1}, "NormalObjective, start_step: found -1; wanted a number of batches"),
        ({"start_step": 1.5}, "NormalObjective, start_step"),
    ],
)
def test_weights_and_counts_that_cannot_be_meant_are_refused(wrong: dict[str, Any], text: str) -> None:
    with pytest.raises(InputError, match=text):
        NormalObjective(Normal(), **wrong)
