"""From radiographs to volumes: seeds, samples, guidance, bounds, precision, and the metadata of the radiograph."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from monai.data import MetaTensor
from torch import Tensor, nn
from torch.testing import assert_close
from xray2ctpa_bundle.conditioning import Condition
from xray2ctpa_bundle.inferer import RadiographSampling
from xray2ctpa_bundle.networks import XRayToCT

from transmodal.errors import InputError
from transmodal.inferers import ProgressInferer
from transmodal.schedulers import (
    CosineDiffusion,
    DDIMSampler,
    RectifiedFlow,
    RectifiedFlowSampler,
    ReverseSampler,
    SeededNoise,
    VelocityNet,
    mixed,
)

GRID = (3, 8, 8)
DDIM, FLOW = DDIMSampler(CosineDiffusion(), 3), RectifiedFlowSampler(RectifiedFlow(), 3)
samplers = pytest.mark.parametrize(
    "sampler", [DDIM, DDIMSampler(CosineDiffusion(), 3, eta=1.0), FLOW], ids=["ddim", "ddpm", "flow"]
)


class Encoder(nn.Module):
    """The mean of a radiograph; counts its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, image: Tensor) -> Condition:
        self.calls += 1
        mean = image.mean(dim=(2, 3))
        return Condition(mean, mean[:, :, None], image)


class Denoiser(nn.Module):
    """Leads to the condition's mean, or to 0.25 where it is withheld, by the factor that it is told."""

    spatial_dims, in_channels, out_channels = 3, 2, 2

    def __init__(self, factor: float = 1.0) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))
        self.calls: list[tuple[Tensor, Tensor | None, bool]] = []

    def forward(self, condition: Condition, noisy: Tensor, timesteps: Tensor, drop: Tensor | None = None) -> Tensor:
        self.calls.append((timesteps, drop, torch.is_autocast_enabled(noisy.device.type)))
        shown = condition.embedding[:, 0]
        shown = shown if drop is None else torch.where(drop, 0.25, shown)
        return self.factor * (noisy - shown.reshape(-1, 1, 1, 1, 1))


class Autoencoder(nn.Module):
    """The first latent channel at twice the height and width, halved."""

    latent_channels, factors = 2, (1, 2, 2)

    def __init__(self) -> None:
        super().__init__()
        self.decoded: list[tuple[Tensor, bool]] = []

    def latent_size(self, size: tuple[int, int, int]) -> tuple[int, int, int]:
        return size[0], size[1] // 2, size[2] // 2

    def decode(self, z: Tensor) -> Tensor:
        self.decoded.append((z, torch.is_autocast_enabled(z.device.type)))
        return 0.5 * z[:, :1].repeat_interleave(2, dim=3).repeat_interleave(2, dim=4)


def network(factor: float = 1.0) -> XRayToCT:
    made = XRayToCT(Autoencoder(), Encoder(), Denoiser(factor), GRID).eval()
    made.scale.mean.copy_(torch.tensor([0.1, -0.2]))
    made.scale.std.copy_(torch.tensor([2.0, 0.5]))
    made.scale.low.copy_(torch.tensor([-1.0, -2.0]))
    made.scale.high.copy_(torch.tensor([0.8, 2.0]))
    return made


def radiographs(batch: int = 2) -> Tensor:
    return torch.rand(batch, 1, 6, 6, generator=torch.Generator().manual_seed(3)) * 2 - 1


@samplers
def test_a_radiograph_becomes_a_volume_on_the_grid(sampler: ReverseSampler) -> None:
    found = RadiographSampling(sampler)(radiographs(), network())
    assert (found.shape, found.dtype) == ((2, 1, *GRID), torch.float32)
    assert found.abs().max() <= 1


def test_another_grid_may_be_asked_for() -> None:
    assert RadiographSampling(FLOW, grid=(5, 4, 6))(radiographs(), network()).shape == (2, 1, 5, 4, 6)


def test_the_chain_is_the_samplers_on_the_scale_of_the_latents() -> None:
    """Restored, decoded, and drawn from the seed, the sample's number and a number of this inferer's own."""
    made, image = network(), radiographs()
    found = RadiographSampling(FLOW, seed=5)(image, made)
    low, high = (bound.reshape(2, 1, 1, 1) for bound in (made.scale.low, made.scale.high))
    condition = made.condition(image)
    with torch.no_grad():
        latents = FLOW(
            lambda x, t: made.predict(condition, x, t),
            torch.zeros(2, 2, 3, 4, 4),
            SeededNoise([mixed(5, 0, 4)]),
            (low, high),
        )
    assert_close(found, made.autoencoder.decode(made.scale.restore(latents)).clamp(-1, 1), rtol=0, atol=0)


@samplers
def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(sampler: ReverseSampler) -> None:
    first, again, other = (RadiographSampling(sampler, seed=seed)(radiographs(), network(0.3)) for seed in (1, 1, 2))
    assert first.numpy().tobytes() == again.numpy().tobytes()
    assert not torch.allclose(first, other, atol=1e-2)


@samplers
def test_the_batch_changes_nothing(sampler: ReverseSampler) -> None:
    stage, made = RadiographSampling(sampler, num_samples=2, guidance=1.5), network(0.3)
    together = stage(radiographs(3), made)
    alone = torch.cat([stage(image[None], made) for image in radiographs(3)])
    assert_close(together, alone, rtol=0, atol=1e-6)


def test_several_samples_are_their_mean_and_their_deviation() -> None:
    made, image = network(0.3), radiographs()
    found = RadiographSampling(DDIM, seed=2, num_samples=3)(image, made)
    assert found.shape == (2, 2, *GRID)
    drawn = torch.stack([0.5 * z[:, 0] for z, _ in made.autoencoder.decoded]).clamp(-1, 1)
    drawn = drawn.repeat_interleave(2, dim=3).repeat_interleave(2, dim=4)
    assert_close(found, torch.stack([drawn.mean(dim=0), drawn.std(dim=0)], dim=1))
    assert not torch.allclose(drawn[0], drawn[1])


def test_the_first_of_several_samples_is_the_only_one_of_one() -> None:
    one, several = network(0.3), network(0.3)
    RadiographSampling(DDIM, seed=2)(radiographs(), one)
    RadiographSampling(DDIM, seed=2, num_samples=2)(radiographs(), several)
    assert torch.equal(one.autoencoder.decoded[0][0], several.autoencoder.decoded[0][0])


def test_the_condition_is_computed_once() -> None:
    made = network()
    RadiographSampling(DDIM, num_samples=3, guidance=2.0)(radiographs(), made)
    assert made.encoder.calls == 1


@pytest.mark.parametrize(("guidance", "calls"), [(1.0, [None]), (0.0, [True]), (2.0, [True, None])])
def test_the_network_is_called_as_often_as_guidance_needs(guidance: float, calls: list[bool | None]) -> None:
    made = network()
    RadiographSampling(FLOW, guidance=guidance)(radiographs(), made)
    asked = [None if drop is None else bool(drop.all()) for _, drop, _ in made.denoiser.calls]
    assert asked == calls * 3


@pytest.mark.parametrize("guidance", [0.0, 0.5, 1.0, 2.0, 3.5])
def test_guidance_goes_from_the_empty_prediction_through_the_conditional_one(guidance: float) -> None:
    made, x_t, timesteps = network(), torch.randn(2, 2, 3, 4, 4), torch.tensor([7, 7])
    condition = made.condition(radiographs())
    found = RadiographSampling(FLOW, guidance=guidance).guided(made, condition)(x_t, timesteps)
    null = made.predict(condition, x_t, timesteps, torch.ones(2, dtype=torch.bool))
    conditional = made.predict(condition, x_t, timesteps)
    assert_close(found, (1 - guidance) * null + guidance * conditional)


def test_guidance_of_a_velocity_is_that_of_its_noise() -> None:
    diffusion = CosineDiffusion()
    made = XRayToCT(Autoencoder(), Encoder(), VelocityNet(Denoiser(), diffusion), GRID).eval()
    x_t, timesteps = torch.randn(2, 2, 3, 4, 4), torch.tensor([300, 300])
    condition = made.condition(radiographs())
    found = RadiographSampling(DDIM, guidance=2.0).guided(made, condition)(x_t, timesteps)
    null, conditional = (
        made.denoiser.network(condition, x_t, timesteps, drop) for drop in (torch.tensor([True] * 2), None)
    )
    bar = diffusion.alphas_cumprod[300].float()
    assert_close(found, bar.sqrt() * (2 * conditional - null) + (1 - bar).sqrt() * x_t)


def test_latents_are_clipped_to_the_bounds_of_the_scale() -> None:
    made = network(-1e4)
    RadiographSampling(FLOW)(radiographs(), made)
    normalised = made.scale.apply_to(made.autoencoder.decoded[0][0])
    for channel, low, high in ((0, -1.0, 0.8), (1, -2.0, 2.0)):
        assert_close(normalised[:, channel].unique(), torch.tensor([low, high]), rtol=0, atol=1e-5)


def test_networks_may_run_in_half_precision_but_not_the_decoder() -> None:
    made = network()
    found = RadiographSampling(FLOW, amp=True)(radiographs(), made)
    assert {autocast for *_, autocast in made.denoiser.calls} == {True}
    assert made.autoencoder.decoded[0][1] is False
    assert found.dtype == torch.float32


def test_no_gradient_is_kept() -> None:
    assert not RadiographSampling(FLOW)(radiographs(), network()).requires_grad


def test_the_metadata_of_the_radiograph_stays() -> None:
    image = MetaTensor(radiographs(), meta={"case": ["a", "b"]})
    found = RadiographSampling(FLOW)(image, network())
    assert found.meta["case"] == ["a", "b"]
    assert torch.equal(found.as_tensor(), RadiographSampling(FLOW)(radiographs(), network()))


def test_further_tensors_are_left_aside() -> None:
    """As MONAI Deploy hands them over."""
    made = RadiographSampling(FLOW)(radiographs(), network(), torch.zeros(1), mask=torch.zeros(1))
    assert torch.equal(made, RadiographSampling(FLOW)(radiographs(), network()))


def test_settings_are_read_at_each_call() -> None:
    stage, made = RadiographSampling(DDIM), network(0.3)
    stage.num_samples, stage.seed, stage.guidance = 2, 9, 2.0
    expected = RadiographSampling(DDIM, seed=9, num_samples=2, guidance=2.0)(radiographs(), made)
    assert torch.equal(stage(radiographs(), made), expected)
    stage.seed = -1
    with pytest.raises(InputError, match="RadiographSampling, seed: found -1"):
        stage(radiographs(), made)


@pytest.mark.parametrize("shape", [(2, 3, 6, 6), (1, 6, 6), (1, 1, 3, 6, 6)])
def test_what_is_no_radiograph_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"RadiographSampling: found an image of shape .*; wanted pictures of one"):
        RadiographSampling(FLOW)(torch.zeros(shape), network())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seed": "0"}, "seed: found '0'"),
        ({"num_samples": 0}, "num_samples: found 0; wanted an integer of 1 or more"),
        ({"amp": "true"}, "amp: found 'true'"),
        ({"guidance": -1}, "guidance: found -1; wanted a number of 0 or more"),
        ({"guidance": "2"}, "guidance: found '2'"),
        ({"guidance": True}, "guidance: found True"),
        ({"guidance": float("inf")}, "guidance: found inf"),
    ],
)
def test_arguments_that_cannot_be_meant_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=f"RadiographSampling, {message}"):
        RadiographSampling(FLOW, **arguments)


@pytest.mark.parametrize(("guidance", "calls"), [(1.0, 3), (0.0, 3), (2.0, 6)])
@pytest.mark.parametrize("num_samples", [1, 2])
def test_the_calls_of_the_denoiser_are_known_beforehand(guidance: float, num_samples: int, calls: int) -> None:
    told: list[tuple[int, int]] = []
    inferer = RadiographSampling(FLOW, num_samples=num_samples, guidance=guidance)
    ProgressInferer(inferer, lambda made, total: told.append((made, total)))(radiographs(), network())
    assert told == [(made, calls * num_samples) for made in range(calls * num_samples + 1)]
