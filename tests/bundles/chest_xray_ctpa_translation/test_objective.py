"""The objective of the denoiser: who sees what, which seed decides, what is withheld, what moves, further terms."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close
from xray2ctpa_bundle.conditioning import Condition
from xray2ctpa_bundle.networks import XRayToCT
from xray2ctpa_bundle.objective import ConditionalObjective
from xray2ctpa_bundle.unet3d import FactorisedUNet

from transmodal.engines import AlternatingTrainer, Phase
from transmodal.errors import InputError
from transmodal.schedulers import CosineDiffusion, GaussianDiffusion, RectifiedFlow, VelocityNet, VelocityWeight

L1 = nn.L1Loss()


class Network(nn.Module):
    """The smallest prediction, which keeps what it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.tensor([0.5, 0.1]))
        self.seen: list[dict[str, Tensor]] = []

    def forward(self, image: Tensor, noisy: Tensor, timesteps: Tensor, drop: Tensor) -> Tensor:
        self.seen.append({"image": image, "noisy": noisy, "timesteps": timesteps, "drop": drop})
        shown = torch.where(drop, 0.0, image.mean(dim=(1, 2, 3))).reshape(-1, 1, 1, 1, 1)
        return self.weights[0] * noisy + self.weights[1] * shown


class Encoder(nn.Module):
    """The means of quarters of a radiograph, times learnt factors."""

    embedding_dim = 4

    def __init__(self) -> None:
        super().__init__()
        self.factors = nn.Parameter(torch.ones(4))

    def forward(self, image: Tensor) -> Condition:
        quarters = nn.functional.adaptive_avg_pool2d(image, 2).flatten(1) * self.factors
        return Condition(quarters, quarters[:, None, :0], quarters[:, :0, None, None])


class Autoencoder(nn.Module):
    """Tells the channels and the size of its latents."""

    latent_channels = 2

    @staticmethod
    def latent_size(size: tuple[int, int, int]) -> tuple[int, int, int]:
        return size


class Term:
    """Mean distance of the clean estimate of samples up to a time, and what it was called with."""

    def __init__(self, max_timestep: int = 100, name: str = "distance") -> None:
        self.max_timestep, self.name = max_timestep, name
        self.calls: list[tuple[Tensor, Tensor, Tensor, dict[str, Any]]] = []

    def terms(self, x0_pred: Tensor, x_0: Tensor, timesteps: Tensor, batch: dict[str, Any]) -> dict[str, Tensor]:
        self.calls.append((x0_pred, x_0, timesteps, batch))
        early = (timesteps <= self.max_timestep).float()
        distance = (x0_pred - x_0).abs().mean(dim=(1, 2, 3, 4))
        return {self.name: (early * distance).sum() / early.sum().clamp(min=1)}


class AdversarialTerm(Term):
    """The same with a discriminator."""

    def __init__(self, max_timestep: int = 100) -> None:
        super().__init__(max_timestep, "adversarial")
        self.discriminator = nn.Linear(1, 1)

    def discriminator_terms(
        self, x0_pred: Tensor, x_0: Tensor, timesteps: Tensor, batch: dict[str, Any]
    ) -> dict[str, Tensor]:
        self.calls.append((x0_pred, x_0, timesteps, batch))
        fake, true = (self.discriminator(x.mean().reshape(1, 1)) for x in (x0_pred, x_0))
        return {"discriminator": (fake - true).square().mean()}


def batch(size: int = 3, seed: int = 0) -> dict[str, Any]:
    random = torch.Generator().manual_seed(seed)
    return {
        "image": torch.rand(size, 1, 8, 8, generator=random) * 2 - 1,
        "label": torch.randn(size, 2, 3, 4, 4, generator=random),
        "seed": torch.arange(size) + 10 * seed,
    }


def real(diffusion: CosineDiffusion | None = None) -> XRayToCT:
    denoiser: nn.Module = FactorisedUNet(2, 8, (1, 2), 4, heads=2, head_dim=8, norm_groups=4)
    if diffusion is not None:
        denoiser = VelocityNet(denoiser, diffusion)
    return XRayToCT(Autoencoder(), Encoder(), denoiser, grid=(3, 4, 4))


@pytest.mark.parametrize(
    "diffusion", [GaussianDiffusion(), CosineDiffusion(), RectifiedFlow()], ids=lambda d: type(d).__name__
)
def test_the_loss_is_that_of_the_diffusions_target_at_x_t(diffusion: Any) -> None:
    network, sample, kept = Network(), batch(), []

    def loss(prediction: Tensor, target: Tensor) -> Tensor:
        kept.append((prediction, target))
        return L1(prediction, target)

    terms = ConditionalObjective(network, diffusion, loss).terms(sample)
    ((prediction, target),), (seen,) = kept, network.seen
    assert_close(terms["denoising"], (prediction - target).abs().mean())
    clean = diffusion.x0_from(seen["noisy"], target, seen["timesteps"])
    near = seen["timesteps"] < 900  # later the inverse magnifies roundings
    assert near.any()
    assert_close(clean[near], sample["label"][near], rtol=0, atol=1e-4)
    assert torch.equal(seen["image"], sample["image"])


def test_timesteps_run_from_the_first_to_the_last() -> None:
    network = Network()
    sample = {"image": torch.zeros(400, 1, 1, 1), "label": torch.zeros(400, 1, 1, 1, 1), "seed": torch.arange(400)}
    ConditionalObjective(network, GaussianDiffusion(num_timesteps=4), L1).terms(sample)
    assert network.seen[0]["timesteps"].bincount().tolist() == pytest.approx([100] * 4, abs=40)


@pytest.mark.parametrize("probability", [0, 0.1, 0.5, 1])
def test_the_condition_is_withheld_at_its_rate(probability: float) -> None:
    network = Network()
    sample = {"image": torch.zeros(500, 1, 1, 1), "label": torch.zeros(500, 1, 1, 1, 1), "seed": torch.arange(500)}
    ConditionalObjective(network, GaussianDiffusion(), L1, condition_dropout=probability).terms(sample)
    drop = network.seen[0]["drop"]
    assert (drop.dtype, drop.shape) == (torch.bool, (500,))
    assert drop.float().mean().item() == pytest.approx(probability, abs=0.06 if 0 < probability < 1 else 0)


def test_whether_a_condition_is_withheld_changes_no_other_number() -> None:
    network = Network()
    for probability in (0.0, 1.0):
        ConditionalObjective(network, GaussianDiffusion(), L1, condition_dropout=probability).terms(batch())
    never, always = network.seen
    for name in ("noisy", "timesteps"):
        assert torch.equal(never[name], always[name])


def test_what_a_sample_draws_does_not_depend_on_its_batch() -> None:
    network = Network()
    objective = ConditionalObjective(
        network, CosineDiffusion(), L1, condition_dropout=0.5, auxiliary=[AdversarialTerm()]
    )
    sample = batch(8)
    for terms in (objective.terms, objective.discriminator_terms):
        terms(sample)
        terms({key: value[3:] for key, value in sample.items()})
    for whole, part in (network.seen[:2], network.seen[2:]):
        for name in whole:
            assert torch.equal(whole[name][3:], part[name]), name


def test_samples_of_different_seeds_differ() -> None:
    network = Network()
    same = {key: value[:1].expand(3, *value.shape[1:]) for key, value in batch().items() if key != "seed"}
    ConditionalObjective(network, GaussianDiffusion(), L1).terms({**same, "seed": torch.tensor([4, 5, 4])})
    noisy = network.seen[0]["noisy"]
    assert torch.equal(noisy[0], noisy[2])
    assert not torch.allclose(noisy[0], noisy[1])


def test_each_sample_is_weighted_by_its_timestep() -> None:
    """An error of the noise, so weighted, is that of the velocity behind it."""
    diffusion, sample = CosineDiffusion(), batch()
    network = real(diffusion)
    found = ConditionalObjective(network, diffusion, L1, VelocityWeight(diffusion), 0.0).terms(sample)["denoising"]
    seen: dict[str, Tensor] = {}
    network.denoiser.network.register_forward_hook(
        lambda _, inputs, output: seen.update(x=inputs[1], t=inputs[2], v=output)
    )
    ConditionalObjective(network, diffusion, L1, VelocityWeight(diffusion), 0.0).terms(sample)
    bar = diffusion.alphas_cumprod[seen["t"]].float().reshape(-1, 1, 1, 1, 1)
    velocity = (bar.sqrt() * seen["x"] - sample["label"]) / (1 - bar).sqrt()  # √ᾱ ε - √(1 - ᾱ) x_0 at x_t
    assert_close(found, (seen["v"] - velocity).abs().mean(), rtol=0.01, atol=0)


def test_the_learnt_empty_condition_is_learnt_where_it_is_shown() -> None:
    """And at no dropout it still takes part, with a gradient of 0, as parallel training wants."""
    gradients = {}
    for probability in (0.0, 1.0):
        network = real()
        ConditionalObjective(network, CosineDiffusion(), L1, condition_dropout=probability).terms(batch())[
            "denoising"
        ].backward()
        gradients[probability] = (
            network.denoiser.null_embedding.grad.abs().sum(),
            network.encoder.factors.grad.abs().sum(),
        )
    assert gradients[1.0][0] > 0
    assert gradients[1.0][1] == 0
    assert gradients[0.0][0] == 0
    assert gradients[0.0][1] > 0


def test_every_trained_parameter_takes_part_in_every_step() -> None:
    network = real()
    ConditionalObjective(network, CosineDiffusion(), L1).terms(batch())["denoising"].backward()
    assert [name for name, parameter in network.named_parameters() if parameter.grad is None] == []


@pytest.mark.parametrize("diffusion", [CosineDiffusion(), RectifiedFlow()], ids=["noise", "flow"])
def test_an_auxiliary_term_gets_the_clean_estimate_and_moves_the_denoiser(diffusion: Any) -> None:
    network, sample, term = real(), batch(), Term(max_timestep=999)
    kept: dict[str, Tensor] = {}
    network.denoiser.register_forward_hook(lambda _, inputs, output: kept.update(x=inputs[1], t=inputs[2], y=output))
    terms = ConditionalObjective(network, diffusion, L1, auxiliary=[term]).terms(sample)
    assert set(terms) == {"denoising", "distance"}
    x0_pred, x_0, timesteps, seen = term.calls[0]
    assert_close(x0_pred, diffusion.x0_from(kept["x"], kept["y"], kept["t"]))
    assert x_0 is sample["label"]
    assert torch.equal(timesteps, kept["t"])
    assert seen is sample
    terms["distance"].backward()
    assert network.denoiser.head.weight.grad.abs().sum() > 0


def test_without_auxiliary_terms_there_is_one() -> None:
    assert set(ConditionalObjective(Network(), CosineDiffusion(), L1).terms(batch())) == {"denoising"}


def test_a_discriminator_gets_early_estimates_without_gradient() -> None:
    network, term = Network(), AdversarialTerm(max_timestep=30)
    objective = ConditionalObjective(network, CosineDiffusion(), L1, auxiliary=[Term(), term])
    terms = objective.discriminator_terms(batch(200))
    assert set(terms) == {"discriminator"}
    x0_pred, _, timesteps, _ = term.calls[0]
    assert not x0_pred.requires_grad
    assert (timesteps.min().item(), timesteps.max().item()) == (0, 30)
    assert torch.equal(timesteps, network.seen[0]["timesteps"])
    terms["discriminator"].backward()
    assert term.discriminator.weight.grad is not None
    assert network.weights.grad is None


def test_both_turns_draw_unrelated_numbers() -> None:
    network, sample = Network(), batch(200)
    objective = ConditionalObjective(network, CosineDiffusion(), L1, auxiliary=[AdversarialTerm(999)])
    objective.terms(sample)
    objective.discriminator_terms(sample)
    first, second = (seen["timesteps"].double() for seen in network.seen)
    assert torch.corrcoef(torch.stack([first, second]))[0, 1].abs() < 0.25


def test_without_a_discriminator_its_phase_is_refused() -> None:
    objective = ConditionalObjective(Network(), CosineDiffusion(), L1, auxiliary=[Term()])
    with pytest.raises(InputError, match="found no term with a discriminator"):
        objective.discriminator_terms(batch())


def test_two_terms_of_one_name_are_refused() -> None:
    objective = ConditionalObjective(Network(), CosineDiffusion(), L1, auxiliary=[Term(), Term()])
    with pytest.raises(InputError, match="found two terms of the name distance; wanted a name for each"):
        objective.terms(batch())


@pytest.mark.parametrize("probability", [-0.1, 1.1, "0.1", True, float("nan")])
def test_what_is_no_probability_is_refused(probability: Any) -> None:
    with pytest.raises(InputError, match=r"condition_dropout: found .*; wanted a probability from 0 to 1"):
        ConditionalObjective(Network(), CosineDiffusion(), L1, condition_dropout=probability)


def test_the_trainer_steps_on_both_phases() -> None:
    network, term = Network(), AdversarialTerm(999)
    objective = ConditionalObjective(network, CosineDiffusion(), L1, auxiliary=[term])
    before = [value.detach().clone() for value in (network.weights, term.discriminator.weight)]
    phases = [
        Phase(
            name="discriminator",
            terms=objective.discriminator_terms,
            optimizer=torch.optim.SGD(term.discriminator.parameters(), 0.1),
        ),
        Phase(
            name="denoiser",
            terms=objective.terms,
            optimizer=torch.optim.SGD(network.parameters(), 0.1),
            max_grad_norm=1.0,
        ),
    ]
    trainer = AlternatingTrainer(device="cpu", max_epochs=1, train_data_loader=[batch()], phases=phases)
    trainer.run()
    assert set(trainer.state.output) == {"discriminator/discriminator", "denoiser/denoising", "denoiser/adversarial"}
    for value, old in zip((network.weights, term.discriminator.weight), before, strict=True):
        assert not torch.equal(value, old)
