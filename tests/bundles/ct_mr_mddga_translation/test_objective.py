"""The objectives of the three stages beside their numbers: who sees what, which seed decides, what moves."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from mddga_bundle.losses import ConsistentNoise, L1Noise
from mddga_bundle.objective import AutoencoderObjective, LatentObjective, NoiseObjective
from mddga_bundle.vqvae import VQVAE
from torch import Tensor, nn
from torch.testing import assert_close

from transmodal.engines import AlternatingTrainer, Phase
from transmodal.errors import InputError
from transmodal.handlers import EpochLosses
from transmodal.schedulers import GaussianDiffusion


class Denoiser(nn.Module):
    """The smallest noise prediction, which keeps what it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.zeros(3))
        self.seen: list[dict[str, Tensor]] = []

    def forward(self, image: Tensor, noisy: Tensor, timesteps: Tensor) -> Tensor:
        self.seen.append({"image": image, "noisy": noisy, "timesteps": timesteps})
        times = timesteps.reshape(-1, *[1] * (image.ndim - 1)) / 1000
        return self.weights[0] * image + self.weights[1] * noisy + self.weights[2] * times


class Coder(nn.Module):
    """An autoencoder whose latents are its input's corner and whose codes are those latents rounded."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.codes = nn.Parameter(torch.zeros(()))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        z = self.weight * image[:, :, :2]
        return self.weight * image, z, z.detach().round() + self.codes


def batch(size: int = 3, channels: int = 1, seed: int = 0) -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(seed)
    image, label = (torch.rand(size, channels, 4, 5, 6, generator=random) * 2 - 1 for _ in range(2))
    return {"image": image, "label": label, "seed": torch.arange(size) + 10 * seed}


def total(terms: dict[str, Tensor]) -> Tensor:
    return torch.stack(list(terms.values())).sum()


def test_the_network_sees_the_source_and_the_noised_target() -> None:
    """Of a target that is 0 everywhere, x_t is the noise times its deviation at t: the prediction may be solved for."""
    network, diffusion = Denoiser(), GaussianDiffusion()
    sample = batch() | {"label": torch.zeros(3, 1, 4, 5, 6)}
    kept: list[Tensor] = []

    def loss(predicted: Tensor, noise: Tensor) -> dict[str, Tensor]:
        kept.append(noise)
        return {"zero": predicted.sum() * 0}

    NoiseObjective(network, diffusion, loss).terms(sample)
    (seen,) = network.seen
    assert_close(seen["image"], sample["image"])
    deviation = (1 - diffusion.alphas_cumprod[seen["timesteps"]]).sqrt()
    assert_close(seen["noisy"], deviation[:, None, None, None, None] * kept[0])


def test_timesteps_run_from_the_first_to_the_last() -> None:
    network = Denoiser()
    sample = {"image": torch.zeros(400, 1, 1, 1), "label": torch.zeros(400, 1, 1, 1), "seed": torch.arange(400)}
    NoiseObjective(network, GaussianDiffusion(num_timesteps=4), L1Noise()).terms(sample)
    assert network.seen[0]["timesteps"].bincount().tolist() == pytest.approx([100] * 4, abs=40)


@pytest.mark.parametrize("joint", [None, True, False])
def test_what_a_sample_draws_does_not_depend_on_its_batch(joint: bool | None) -> None:
    network = Denoiser()
    arguments = (network, GaussianDiffusion(), L1Noise())
    objective = NoiseObjective(*arguments) if joint is None else LatentObjective(*arguments, joint=joint)
    sample = batch(channels=2)
    objective.terms(sample)
    objective.terms({key: value[1:] for key, value in sample.items()})
    whole, part = network.seen
    for key in whole:
        assert_close(whole[key][1:], part[key])


def test_samples_with_different_seeds_differ() -> None:
    network = Denoiser()
    same = {key: value[:1].expand(3, *value.shape[1:]) for key, value in batch().items() if key != "seed"}
    NoiseObjective(network, GaussianDiffusion(), L1Noise()).terms({**same, "seed": torch.tensor([4, 5, 4])})
    noisy = network.seen[0]["noisy"]
    assert_close(noisy[0], noisy[2])
    assert not torch.allclose(noisy[0], noisy[1])


def test_an_objective_weighs_each_sample_by_its_timestep() -> None:
    seen: list[Tensor] = []

    def weight(timesteps: Tensor) -> Tensor:
        seen.append(timesteps)
        return timesteps.float()

    def loss(predicted: Tensor, noise: Tensor) -> dict[str, Tensor]:
        return {"each": (predicted - noise).abs().mean(dim=(1, 2, 3, 4))}

    plain, weighted = (NoiseObjective(Denoiser(), GaussianDiffusion(), loss, factor) for factor in (None, weight))
    expected = plain.terms(batch())["each"]
    found = weighted.terms(batch())["each"]
    assert_close(found, expected * seen[0])


def test_without_a_weight_the_loss_is_that_of_the_noise() -> None:
    plain, ones = (
        NoiseObjective(Denoiser(), GaussianDiffusion(), L1Noise(), weight)
        for weight in (None, lambda timesteps: torch.ones(len(timesteps)))
    )
    assert_close(plain.terms(batch()), ones.terms(batch()))


def test_the_terms_are_those_of_the_loss() -> None:
    objective = NoiseObjective(Denoiser(), GaussianDiffusion(), ConsistentNoise())
    assert set(objective.terms(batch())) == {"l1", "consistency"}


def test_all_channels_are_denoised_together() -> None:
    network = Denoiser()
    sample = batch(channels=5)
    LatentObjective(network, GaussianDiffusion(), L1Noise()).terms(sample)
    assert_close(network.seen[0]["image"], sample["image"])
    assert network.seen[0]["noisy"].shape == (3, 5, 4, 5, 6)


def test_each_sample_has_one_channel_of_its_own_the_same_for_source_and_target() -> None:
    """Channel c of the source holds c, and of the target -c: x_t less its noise tells the channel again."""
    network, diffusion = Denoiser(), GaussianDiffusion(num_timesteps=1)  # x_t is the target but for a hundredth
    channels = torch.arange(8.0).reshape(1, 8, 1, 1, 1).expand(60, 8, 2, 2, 2)
    sample = {"image": channels, "label": -channels, "seed": torch.arange(60)}
    LatentObjective(network, diffusion, L1Noise(), joint=False).terms(sample)
    (seen,) = network.seen
    assert seen["image"].shape == (60, 1, 2, 2, 2)
    drawn = seen["image"].flatten(1)
    assert (drawn == drawn[:, :1]).all()
    assert drawn[:, 0].unique().tolist() == list(range(8))
    assert_close(seen["noisy"].flatten(1), -drawn, rtol=0, atol=0.1)


def test_the_channel_does_not_follow_from_the_timestep() -> None:
    network = Denoiser()
    channels = torch.arange(8.0).reshape(1, 8, 1, 1, 1).expand(80, 8, 1, 1, 1)
    sample = {"image": channels, "label": channels, "seed": torch.arange(80)}
    LatentObjective(network, GaussianDiffusion(num_timesteps=8), L1Noise(), joint=False).terms(sample)
    (seen,) = network.seen
    assert int((seen["image"].flatten().long() == seen["timesteps"]).sum()) < 30  # 10 are expected by chance


@pytest.mark.parametrize("joint", ["true", 1, None])
def test_whether_channels_go_together_must_be_a_truth_value(joint: Any) -> None:
    with pytest.raises(InputError, match=r"LatentObjective, joint: found .*; wanted true or false"):
        LatentObjective(Denoiser(), GaussianDiffusion(), L1Noise(), joint=joint)


def test_training_the_smallest_denoiser_lowers_its_loss() -> None:
    network = Denoiser()
    objective = NoiseObjective(network, GaussianDiffusion(), ConsistentNoise())
    before = float(total(objective.terms(batch())).detach())
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.05)
    phase = Phase(name="volume", terms=objective.terms, optimizer=optimizer)
    AlternatingTrainer(device="cpu", max_epochs=40, train_data_loader=[batch()], phases=[phase]).run()
    assert float(total(objective.terms(batch())).detach()) < 0.7 * before


def test_the_terms_of_the_autoencoder() -> None:
    """By hand: the reconstruction is 1.5 times the image, the latents 0.6 and 1.5, their codes 1 and 2."""
    network = Coder()
    with torch.no_grad():
        network.weight.fill_(1.5)
    terms = AutoencoderObjective(network).terms({"image": torch.tensor([0.4, 1.0, 0.0]).reshape(1, 1, 3, 1)})
    assert_close(terms["reconstruction"], torch.tensor((0.2**2 + 0.5**2) / 3))
    assert_close(terms["codebook"], torch.tensor((0.4**2 + 0.5**2) / 2))
    assert_close(terms["commitment"], 0.25 * terms["codebook"])


@pytest.mark.parametrize(
    ("term", "moved"),
    [
        ("reconstruction", {"encoder", "decoder"}),
        ("codebook", {"codebook"}),
        ("commitment", {"encoder"}),
    ],
)
def test_what_each_term_of_the_autoencoder_moves(term: str, moved: set[str]) -> None:
    """The gradient of the reconstruction goes straight through the codes to the encoder, past the codebook."""
    network = VQVAE(3, embedding_dim=2, num_embeddings=8, channels=(3, 4), num_res_blocks=1)
    AutoencoderObjective(network).terms({"image": torch.randn(1, 1, 8, 8, 8).tanh()})[term].backward()
    found = {
        name.split(".")[0]
        for name, value in network.named_parameters()
        if value.grad is not None and value.grad.abs().sum() > 0
    }
    assert found == moved


def test_the_commitment_has_its_weight() -> None:
    sample = {"image": torch.randn(1, 1, 8, 8)}
    one, two = (AutoencoderObjective(Coder(), commitment=weight).terms(sample)["commitment"] for weight in (1, 2))
    assert_close(two, 2 * one)


@pytest.mark.parametrize("value", [-1, "0.25", True, float("inf")])
def test_a_commitment_that_is_no_number_is_refused(value: Any) -> None:
    with pytest.raises(InputError, match=r"AutoencoderObjective, commitment: found .*; wanted a number of 0 or more"):
        AutoencoderObjective(Coder(), commitment=value)


def test_diagnostics_count_the_codes_and_tell_how_evenly_they_are_used() -> None:
    """Codes 0, 1 and 3 with shares 1/4, 1/4 and 1/2: an entropy of 1.5 bits."""
    objective = AutoencoderObjective(Coder())
    image = torch.tensor([0.0, 1.0, 3.0, 3.0]).reshape(2, 1, 2, 1)
    objective.terms({"image": image})
    assert float(objective.diagnostics["used"]) == 3
    assert float(objective.diagnostics["perplexity"]) == pytest.approx(2**1.5)


def test_codes_of_several_numbers_are_told_apart_as_wholes() -> None:
    """Two numbers in two channels, each 0 or 1: four codes."""
    objective = AutoencoderObjective(Coder())
    objective.terms({"image": torch.tensor([[0.0, 0, 1, 1], [0, 1, 0, 1]]).reshape(1, 2, 1, 4)})
    assert float(objective.diagnostics["used"]) == 4
    assert float(objective.diagnostics["perplexity"]) == pytest.approx(4)


def test_diagnostics_reach_the_means_of_the_epoch_and_no_loss() -> None:
    network = Coder()
    objective = AutoencoderObjective(network)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.0)
    phase = Phase(name="autoencoder", terms=objective.terms, optimizer=optimizer)
    one, two = torch.zeros(1, 1, 2, 2), torch.tensor([[0.0, 0.0], [1.0, 1.0]])[None, None]
    trainer = AlternatingTrainer(
        device="cpu",
        max_epochs=1,
        train_data_loader=[{"image": one}, {"image": two}],
        phases=[phase],
        train_handlers=[EpochLosses(output_transform=objective.with_diagnostics)],
    )
    trainer.run()
    assert trainer.state.metrics["epoch/codebook/used"] == pytest.approx(1.5)
    assert trainer.state.metrics["epoch/codebook/perplexity"] == pytest.approx(1.5)
    losses = {f"autoencoder/{name}" for name in ("reconstruction", "codebook", "commitment")}
    assert set(trainer.state.output) == losses
    assert {f"epoch/{name}" for name in losses} < set(trainer.state.metrics)


def test_training_the_autoencoder_lowers_its_loss() -> None:
    torch.manual_seed(0)
    network = VQVAE(3, embedding_dim=2, num_embeddings=8, channels=(3, 4), num_res_blocks=1)
    objective = AutoencoderObjective(network)
    sample = {"image": torch.linspace(-1, 1, 10).reshape(1, 1, 10, 1, 1).expand(1, 1, 10, 8, 9).clone()}
    before = float(total(copy.deepcopy(objective).terms(sample)).detach())
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.01)
    phase = Phase(name="autoencoder", terms=objective.terms, optimizer=optimizer)
    AlternatingTrainer(device="cpu", max_epochs=40, train_data_loader=[sample], phases=[phase]).run()
    after = float(total(objective.terms(sample)).detach())
    assert math.isfinite(after)
    assert after < 0.7 * before
