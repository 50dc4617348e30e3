"""The volume stage, the chain of stages, and the reconstruction, with networks of a few channels."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch
from mddga_bundle.inferer import Chain, Reconstruction, VolumeStage
from mddga_bundle.networks import MDDGA
from mddga_bundle.sunet import SUNet
from mddga_bundle.vqvae import VQVAE
from monai.data import MetaTensor
from torch import Tensor, nn

from transmodal.errors import InputError
from transmodal.inferers import NoisePredictionInferer, ProgressInferer, SliceWiseInferer
from transmodal.schedulers import ConditionStartSampler, DDIMSampler, GaussianDiffusion, ReverseSampler

DIFFUSION = GaussianDiffusion()
FEW, FRESH = DDIMSampler(DIFFUSION, 3), DDIMSampler(DIFFUSION, 3, eta=1.0)
WEAK, LEGACY = DDIMSampler(DIFFUSION, 3, strength=0.5), ConditionStartSampler(DIFFUSION, [999, 500, 100, 0])
CHANNELS = 3

samplers = pytest.mark.parametrize("sampler", [FEW, FRESH, WEAK, LEGACY], ids=["ddim", "fresh", "weak", "legacy"])
jointly = pytest.mark.parametrize("joint", [True, False], ids=["joint", "single"])


class Local(nn.Module):
    """A volume net that looks at single latents, and remembers what it was called with."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.out_channels = channels
        self.calls: list[dict[str, Tensor]] = []

    def forward(self, image: Tensor, noisy: Tensor, timesteps: Tensor) -> Tensor:
        self.calls.append({"image": image, "noisy": noisy, "timesteps": timesteps})
        time = (timesteps / 1000).reshape(-1, 1, 1, 1, 1)
        return torch.tanh(noisy - (1 - time) * image)


def sunet(spatial_dims: int, channels: int = 1) -> SUNet:
    torch.manual_seed(spatial_dims)
    return SUNet(
        spatial_dims,
        channels,
        channels,
        channels,
        channels=8,
        channel_mult=(1, 1),
        attention=(False, True),
        norm_groups=4,
    )


def networks(joint: bool = True, volume: Callable[[int], nn.Module] = Local) -> MDDGA:
    """With latents that spread over their scale, so that codes and images depend on them."""
    torch.manual_seed(0)
    autoencoder = VQVAE(3, CHANNELS, 64, channels=(4, 8), num_res_blocks=1)
    nn.init.normal_(autoencoder.codebook.weight)
    for parameter in autoencoder.decoder.parameters():
        nn.init.normal_(parameter, std=0.3)
    network = MDDGA(autoencoder, sunet(2), volume(CHANNELS if joint else 1)).eval()
    network.scale.mean.copy_(torch.tensor([0.1, 0.0, -0.1]))
    network.scale.std.copy_(torch.tensor([0.5, 1.0, 2.0]))
    network.scale.low.copy_(torch.tensor([-1.0, -1.5, -2.0]))
    network.scale.high.copy_(torch.tensor([1.0, 0.5, 2.0]))
    return network


def sampled_latents(stage: VolumeStage, image: Tensor, network: MDDGA) -> Tensor:
    """What the stage gives to the codebook, raw."""
    seen: list[Tensor] = []
    quantise = network.autoencoder.quantise

    def recording(z: Tensor) -> tuple[Tensor, Tensor]:
        seen.append(z)
        return quantise(z)

    network.autoencoder.quantise = recording
    stage(image, network)
    network.autoencoder.quantise = quantise
    return seen[-1]


def volume(*shape: int) -> Tensor:
    return torch.rand(shape or (1, 1, 9, 14, 11), generator=torch.Generator().manual_seed(2)) * 2 - 1


@samplers
@jointly
def test_a_volume_of_any_size_keeps_its_size(sampler: ReverseSampler, joint: bool) -> None:
    image = volume(2, 1, 9, 14, 11)
    found = VolumeStage(sampler)(image, networks(joint, lambda channels: sunet(3, channels)))
    assert (found.shape, found.dtype) == (image.shape, torch.float32)
    assert found.abs().max() <= 1


@jointly
def test_the_condition_is_the_normalised_latent_of_the_input(joint: bool) -> None:
    image, network = volume(), networks(joint)
    VolumeStage(FEW)(image, network)
    expected = network.scale.apply_to(network.autoencoder.encode(image))
    given = torch.cat([call["image"] for call in network.volume.calls[::3]], dim=1)
    torch.testing.assert_close(given, expected)


@samplers
@jointly
def test_the_same_seed_gives_the_same_bytes(sampler: ReverseSampler, joint: bool) -> None:
    first, second = (VolumeStage(sampler, seed=4, num_samples=2)(volume(), networks(joint)) for _ in range(2))
    assert first.numpy().tobytes() == second.numpy().tobytes()


@samplers
@jointly
def test_another_seed_gives_other_latents(sampler: ReverseSampler, joint: bool) -> None:
    first, second = (sampled_latents(VolumeStage(sampler, seed=seed), volume(), networks(joint)) for seed in (4, 5))
    assert not torch.allclose(first, second, atol=1e-2)


@samplers
@jointly
def test_the_batch_changes_nothing(sampler: ReverseSampler, joint: bool) -> None:
    images, network, stage = volume(3, 1, 8, 12, 8), networks(joint), VolumeStage(sampler)
    together = sampled_latents(stage, images, network)
    alone = torch.cat([sampled_latents(stage, image[None], network) for image in images])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)


@samplers
@pytest.mark.parametrize("channel_batch", [2, 3, 64])
def test_channels_together_are_sampled_as_one_after_another(sampler: ReverseSampler, channel_batch: int) -> None:
    images, network = volume(2, 1, 8, 12, 8), networks(joint=False)
    one_by_one = sampled_latents(VolumeStage(sampler), images, network)
    together = sampled_latents(VolumeStage(sampler, channel_batch=channel_batch), images, network)
    torch.testing.assert_close(together, one_by_one, rtol=0, atol=1e-5)


def test_each_channel_has_noise_of_its_own() -> None:
    network = networks(joint=False)
    VolumeStage(FEW)(volume(), network)
    starts = [call["noisy"] for call in network.volume.calls[::3]]
    assert len(starts) == CHANNELS
    assert not any(torch.allclose(first, second) for first, second in pairwise(starts))


def test_one_channel_is_finished_before_the_next_begins() -> None:
    network = networks(joint=False)
    VolumeStage(FEW)(volume(), network)
    assert [int(call["timesteps"][0]) for call in network.volume.calls] == [999, 666, 333] * CHANNELS


@jointly
def test_latents_are_clipped_to_the_measured_bounds(joint: bool) -> None:
    network = networks(joint, lambda channels: Wild(channels))
    found = network.scale.apply_to(sampled_latents(VolumeStage(FEW), volume(), network))
    bounds = torch.stack([network.scale.low, network.scale.high])
    torch.testing.assert_close(torch.stack([found.amin(dim=(0, 2, 3, 4)), found.amax(dim=(0, 2, 3, 4))]), bounds)


class Wild(Local):
    """Predicts noise so large that any estimate is out of bounds."""

    def forward(self, image: Tensor, noisy: Tensor, timesteps: Tensor) -> Tensor:
        return 1e3 * torch.sign(noisy)


@pytest.mark.parametrize("channel_batch", [1, 3])
@jointly
def test_a_perfect_network_gives_the_reconstruction_of_the_target(joint: bool, channel_batch: int) -> None:
    """Knowing the latents of the target, it predicts the noise that leads there."""
    image, target, network = volume(), volume().flip(2), networks(joint)
    network.scale.low.fill_(-20)
    network.scale.high.fill_(20)
    wanted = network.scale.apply_to(network.autoencoder.encode(target)).detach()
    channels = iter(range(0, CHANNELS, channel_batch))

    class Knowing(Local):
        x_0 = wanted

        def forward(self, image: Tensor, noisy: Tensor, timesteps: Tensor) -> Tensor:
            if not joint and int(timesteps[0]) == 999:
                first = next(channels)
                self.x_0 = wanted[0, first : first + channel_batch, None]
            bar = DIFFUSION.alphas_cumprod[timesteps[0]]
            return (noisy - bar.sqrt() * self.x_0) / (1 - bar).sqrt()

    network.volume = Knowing(network.volume.out_channels)
    found = VolumeStage(FEW, channel_batch=channel_batch)(image, network)
    torch.testing.assert_close(found, Reconstruction()(target, network.autoencoder), rtol=0, atol=1e-5)


def test_several_samples_give_their_mean_and_standard_deviation() -> None:
    network, image = networks(), volume()
    found = VolumeStage(FRESH, seed=4, num_samples=3)(image, network)
    stage = VolumeStage(FRESH, seed=4)
    noise = stage.noise
    samples = []
    for number in range(3):
        stage.noise = lambda _, channels, device, number=number: noise(number, channels, device)  # type: ignore[method-assign]
        samples.append(stage(image, network))
    stacked = torch.stack(samples)
    assert stacked.std(dim=0).max() > 1e-3
    torch.testing.assert_close(found, torch.cat([stacked.mean(dim=0), stacked.std(dim=0)], dim=1))


@pytest.mark.parametrize("slab", [1, 2, 5])
def test_slabs_change_nothing(slab: int) -> None:
    image, network = volume(), networks()
    expected = VolumeStage(FEW)(image, network)
    torch.testing.assert_close(VolumeStage(FEW, slab=slab)(image, network), expected, rtol=0, atol=1e-6)


def test_with_slabs_no_large_layer_sees_the_whole_volume() -> None:
    image, network, lengths = volume(1, 1, 40, 8, 8), networks(), []
    for layers in (network.autoencoder.encoder.down, network.autoencoder.decoder.up):
        layers.register_forward_hook(lambda _, given, made: lengths.append(max(given[0].shape[2], made.shape[2])))
    VolumeStage(FEW, slab=2)(image, network)
    assert len(lengths) == 10  # five slabs each way
    assert max(lengths) == 4 * (2 + 2)  # of two latent slices and one more at each side


@samplers
@jointly
@pytest.mark.parametrize("window", [[2, 2, 2], [1, 3, 100]])
def test_windows_change_nothing_for_a_network_that_looks_at_single_latents(
    sampler: ReverseSampler, joint: bool, window: list[int]
) -> None:
    images, network = volume(2, 1, 12, 20, 12), networks(joint)
    whole = sampled_latents(VolumeStage(sampler, channel_batch=2), images, network)
    largest = max(call["noisy"][0, 0].numel() for call in network.volume.calls)
    network.volume.calls.clear()
    in_windows = sampled_latents(VolumeStage(sampler, channel_batch=2, latent_window=window), images, network)
    assert max(call["noisy"][0, 0].numel() for call in network.volume.calls) < largest
    torch.testing.assert_close(in_windows, whole, rtol=0, atol=1e-5)


def test_a_window_larger_than_the_latents_is_the_whole() -> None:
    image, network = volume(), networks(volume=lambda channels: sunet(3, channels))
    expected = VolumeStage(FEW)(image, network)
    assert torch.equal(VolumeStage(FEW, latent_window=[50, 50, 50])(image, network), expected)


@jointly
def test_under_autocast_the_chain_stays_in_float32(joint: bool) -> None:
    class Checking(Local):
        def forward(self, image: Tensor, noisy: Tensor, timesteps: Tensor) -> Tensor:
            assert torch.is_autocast_enabled("cpu")
            assert image.dtype == noisy.dtype == torch.float32
            return super().forward(image, noisy, timesteps).bfloat16()

    network = networks(joint, Checking)
    latents = sampled_latents(VolumeStage(FRESH, amp=True), volume(), network)
    assert latents.dtype == torch.float32
    expected = sampled_latents(VolumeStage(FRESH), volume(), networks(joint))
    torch.testing.assert_close(latents, expected, rtol=0, atol=0.1)


def test_under_autocast_statistics_over_samples_stay_in_float32() -> None:
    """The mean of two numbers of bfloat16 is seldom one itself."""
    mean = VolumeStage(FRESH, num_samples=2, amp=True)(volume(), networks())[:, :1]
    assert not torch.equal(mean, mean.bfloat16().float())


def test_metadata_of_the_source_stays_with_the_volume() -> None:
    image = MetaTensor(volume(), affine=2 * torch.eye(4))
    for found in (VolumeStage(FEW)(image, networks()), Reconstruction()(image, networks().autoencoder)):
        assert isinstance(found, MetaTensor)
        assert torch.equal(found.affine, image.affine)


@pytest.mark.parametrize("shape", [(1, 1, 8, 8), (1, 2, 8, 8, 8)])
def test_what_is_no_volume_of_one_channel_is_refused(shape: tuple[int, ...]) -> None:
    for infer in (
        lambda: VolumeStage(FEW)(volume(*shape), networks()),
        lambda: Reconstruction()(volume(*shape), Local(1)),
    ):
        with pytest.raises(InputError, match=r"wanted volumes of one channel, \(B, 1, D, H, W\)"):
            infer()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("seed", "0", "seed: found '0'; wanted an integer of 0 or more"),
        ("num_samples", 0, "num_samples: found 0; wanted an integer of 1 or more"),
        ("channel_batch", True, "channel_batch: found True; wanted an integer of 1 or more"),
        ("slab", "8", "slab: found '8'; wanted an integer of 1 or more"),
        ("slab", 0, "slab: found 0; wanted an integer of 1 or more"),
        ("amp", "true", "amp: found 'true'; wanted true or false in JSON"),
        ("latent_window", [8, 8], r"latent_window: found \[8, 8\]; wanted three sizes of 1 or more"),
        ("latent_window", [8, 8, 0], r"latent_window: found \[8, 8, 0\]"),
        ("latent_window", "888", "latent_window: found '888'"),
    ],
)
def test_arguments_that_cannot_be_meant_are_refused(name: str, value: Any, message: str) -> None:
    with pytest.raises(InputError, match=f"VolumeStage, {message}"):
        VolumeStage(FEW, **{name: value})


def test_a_seed_set_later_is_checked_too() -> None:
    stage = VolumeStage(FEW)
    stage.seed = "7"  # type: ignore[assignment]
    with pytest.raises(InputError, match="seed: found '7'"):
        stage(volume(), networks())


def slice_stage(num_samples: int = 1) -> SliceWiseInferer:
    return SliceWiseInferer(NoisePredictionInferer(FEW, num_samples=num_samples), axis=0, batch_size=4)


def test_a_chain_is_its_stages_one_after_another() -> None:
    image, network, stages = volume(), networks(), (slice_stage(), VolumeStage(FEW))
    expected = stages[1](stages[0](image, network), network)
    assert torch.equal(Chain(stages)(image, network), expected)


def test_a_picture_goes_through_the_slice_stage_alone() -> None:
    pictures, network = volume(2, 1, 9, 10), networks()
    found = Chain([slice_stage(), VolumeStage(FEW)])(pictures, network)
    assert torch.equal(found, slice_stage()(pictures, network))


def test_the_volume_stage_gets_the_mean_of_several_slices_alone() -> None:
    image, network = volume(), networks()
    mean = slice_stage(num_samples=3)(image, network)[:, :1]
    found = Chain([slice_stage(num_samples=3), VolumeStage(FEW)])(image, network)
    assert torch.equal(found, VolumeStage(FEW)(mean, network))


def test_the_deviation_of_a_chain_is_that_of_its_last_stage() -> None:
    image, network = volume(), networks()
    found = Chain([slice_stage(num_samples=2), VolumeStage(FRESH, num_samples=2)])(image, network)
    mean = slice_stage(num_samples=2)(image, network)[:, :1]
    assert torch.equal(found, VolumeStage(FRESH, num_samples=2)(mean, network))
    assert found.shape == (1, 2, 9, 14, 11)


def test_metadata_of_the_source_survive_the_chain() -> None:
    image = MetaTensor(volume(2, 1, 8, 8, 8), affine=2 * torch.eye(4))
    found = Chain([slice_stage(num_samples=2), VolumeStage(FEW)])(image, networks())
    assert isinstance(found, MetaTensor)
    assert torch.equal(found.affine, image.affine)


def test_deploy_calls_a_chain_by_keyword_with_tensors_that_are_no_concern() -> None:
    image, network, chain = volume(), networks(), Chain([slice_stage(), VolumeStage(FEW)])
    found = chain(inputs=image, network=network, body_image=image > 0)
    assert torch.equal(found, chain(image, network))


def test_an_empty_chain_is_refused() -> None:
    with pytest.raises(InputError, match="Chain, stages: found an empty list"):
        Chain([])


@pytest.mark.parametrize("slab", [None, 1, 3])
def test_the_reconstruction_is_the_autoencoders(slab: int | None) -> None:
    image, autoencoder = volume(), networks().autoencoder
    expected, _, _ = autoencoder(image)
    torch.testing.assert_close(Reconstruction(slab)(image, autoencoder), expected.detach(), rtol=0, atol=1e-6)


def test_a_slab_of_the_reconstruction_that_is_no_number_is_refused() -> None:
    with pytest.raises(InputError, match="Reconstruction, slab: found '4'"):
        Reconstruction("4")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "stage",
    [
        VolumeStage(FEW),
        VolumeStage(LEGACY, num_samples=2, channel_batch=2),
        VolumeStage(FEW, num_samples=2, latent_window=[2, 2, 3]),
        VolumeStage(FEW, latent_window=[2, 9, 9], channel_batch=2),
        VolumeStage(FEW, latent_window=[9, 9, 9]),
        Chain([SliceWiseInferer(NoisePredictionInferer(FEW), axis=0, batch_size=4), VolumeStage(FEW)]),
    ],
    ids=["stage", "samples", "windows", "one axis", "window of all", "chain"],
)
@jointly
def test_the_calls_of_the_network_are_known_beforehand(stage: VolumeStage | Chain, joint: bool) -> None:
    told: list[tuple[int, int]] = []
    ProgressInferer(stage, lambda made, total: told.append((made, total)))(volume(2, 1, 9, 14, 11), networks(joint))
    total = told[0][1]
    assert told == [(made, total) for made in range(total + 1)]


def test_of_a_picture_only_the_calls_of_the_slice_stage_are_told() -> None:
    told: list[tuple[int, int]] = []
    chain = Chain([SliceWiseInferer(NoisePredictionInferer(FEW)), VolumeStage(FEW)])
    ProgressInferer(chain, lambda made, total: told.append((made, total)))(volume(2, 1, 8, 8), networks())
    assert told[-1] == (3, 3)
