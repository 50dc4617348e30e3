"""Translation by a predictor of noise: what the network is asked, its noise, its statistics over samples."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from transmodal.errors import InputError
from transmodal.inferers import NoisePredictionInferer, SliceWiseInferer
from transmodal.schedulers import (
    ConditionStartSampler,
    DDIMSampler,
    GaussianDiffusion,
    ReverseSampler,
    SeededNoise,
    mixed,
)

DIFFUSION = GaussianDiffusion()
FEW, FRESH, WEAK = (DDIMSampler(DIFFUSION, 3, **kind) for kind in ({}, {"eta": 1}, {"strength": 0.5}))
LEGACY = ConditionStartSampler(DIFFUSION, [999, 500, 100])

samplers = pytest.mark.parametrize("sampler", [FEW, FRESH, WEAK, LEGACY], ids=["ddim", "fresh", "weak", "legacy"])
sharing = pytest.mark.parametrize("shared_noise", [True, False])


class Denoiser(nn.Module):
    """A function of every argument, pixel by pixel or through a convolution; remembers what it was called with."""

    def __init__(self, convolves: bool = False, channels: int = 1) -> None:
        super().__init__()
        self.mixing = nn.Conv2d(1, 1, 3, padding=1) if convolves else nn.Identity()
        self.channels = channels
        self.calls: list[dict[str, Tensor]] = []

    def forward(self, image: Tensor, noisy: Tensor, timesteps: Tensor) -> Tensor:
        self.calls.append({"image": image, "noisy": noisy, "timesteps": timesteps})
        time = (timesteps / 1000).reshape(-1, *[1] * (noisy.ndim - 1))
        return torch.tanh(noisy - (1 - time) * self.mixing(image[:, :1]).expand(-1, self.channels, *image.shape[2:]))


@samplers
def test_the_result_is_that_of_the_sampler(sampler: ReverseSampler) -> None:
    source, network = torch.rand(2, 1, 4, 5) * 2 - 1, Denoiser()
    found = NoisePredictionInferer(sampler, seed=3)(source, network)
    noise = SeededNoise([mixed(3, 0)])
    expected = sampler(lambda x_t, t: network(source, x_t, t), source, noise)
    assert torch.equal(found, expected)


def test_the_network_gets_the_source_in_each_step() -> None:
    source, network = torch.rand(2, 1, 4, 5), Denoiser()
    NoisePredictionInferer(FEW)(source, network)
    assert [call["timesteps"].tolist() for call in network.calls] == [[999, 999], [666, 666], [333, 333]]
    assert all(torch.equal(call["image"], source) for call in network.calls)


@samplers
@sharing
def test_the_same_seed_gives_the_same_bytes(sampler: ReverseSampler, shared_noise: bool) -> None:
    source = torch.rand(3, 1, 8, 8)
    first, second = (
        NoisePredictionInferer(sampler, seed=5, num_samples=2, shared_noise=shared_noise)(source, Denoiser())
        for _ in range(2)
    )
    assert first.numpy().tobytes() == second.numpy().tobytes()


@samplers
@sharing
def test_another_seed_gives_another_translation(sampler: ReverseSampler, shared_noise: bool) -> None:
    source = torch.rand(3, 1, 8, 8)
    first, second = (
        NoisePredictionInferer(sampler, seed=seed, shared_noise=shared_noise)(source, Denoiser()) for seed in (5, 6)
    )
    assert not torch.allclose(first, second, atol=1e-2)


def test_the_state_of_the_global_generator_is_not_touched() -> None:
    before = torch.get_rng_state()
    NoisePredictionInferer(FRESH)(torch.zeros(1, 1, 4, 4), Denoiser())
    assert torch.equal(torch.get_rng_state(), before)


@samplers
@sharing
def test_the_batch_size_changes_nothing(sampler: ReverseSampler, shared_noise: bool) -> None:
    volume, network = torch.rand(2, 1, 6, 5, 7), Denoiser(convolves=True)
    inferer = NoisePredictionInferer(sampler, num_samples=2, shared_noise=shared_noise)
    one, *others = (SliceWiseInferer(inferer, axis=0, batch_size=size)(volume, network) for size in (1, 4, 64))
    for other in others:
        torch.testing.assert_close(other, one, rtol=0, atol=1e-5)


@pytest.mark.parametrize("sampler", [FEW, FRESH], ids=["ddim", "fresh"])
def test_neighbouring_slices_share_their_noise(sampler: ReverseSampler) -> None:
    network = Denoiser()
    found = NoisePredictionInferer(sampler)(torch.zeros(4, 1, 6, 6), network, numbers=[0, 1, 7, 30])
    for call in network.calls:
        assert torch.equal(call["noisy"], call["noisy"][:1].expand(4, -1, -1, -1))
    assert torch.equal(found, found[:1].expand(4, -1, -1, -1))  # of four slices that are alike


def test_independent_noise_differs_between_slices() -> None:
    network = Denoiser()
    NoisePredictionInferer(FEW, shared_noise=False)(torch.zeros(3, 1, 4, 4), network)
    assert len({tuple(row.flatten().tolist()) for row in network.calls[0]["noisy"]}) == 3


def test_independent_noise_belongs_to_the_slice_number() -> None:
    inferer = NoisePredictionInferer(FRESH, shared_noise=False)
    together = inferer(torch.zeros(3, 1, 4, 4), Denoiser(), numbers=[3, 7, 11])
    alone = inferer(torch.zeros(1, 1, 4, 4), Denoiser(), numbers=[7])
    torch.testing.assert_close(together[1:2], alone, rtol=0, atol=1e-6)


@pytest.mark.parametrize("num_samples", [2, 5])
def test_several_samples_give_their_mean_and_standard_deviation(num_samples: int) -> None:
    source, network = torch.rand(2, 1, 6, 6), Denoiser()
    found = NoisePredictionInferer(FEW, seed=3, num_samples=num_samples)(source, network)
    noises = [SeededNoise([mixed(3, sample)]) for sample in range(num_samples)]
    samples = torch.stack([FEW(lambda x_t, t: network(source, x_t, t), source, noise) for noise in noises])
    torch.testing.assert_close(found, torch.cat([samples.mean(dim=0), samples.std(dim=0)], dim=1))


@sharing
def test_each_sample_has_noise_of_its_own(shared_noise: bool) -> None:
    found = NoisePredictionInferer(FEW, num_samples=2, shared_noise=shared_noise)(torch.zeros(2, 1, 6, 6), Denoiser())
    assert found[:, 1].mean() > 0.01


def test_several_channels_may_be_made_of_any_number() -> None:
    network = Denoiser(channels=3)
    assert NoisePredictionInferer(FEW, channels=3)(torch.rand(2, 1, 4, 4), network).shape == (2, 3, 4, 4)
    assert NoisePredictionInferer(FEW, channels=3)(torch.rand(2, 5, 4, 4), network).shape == (2, 3, 4, 4)


@pytest.mark.parametrize("sampler", [WEAK, LEGACY], ids=["weak", "legacy"])
def test_a_start_from_a_source_of_other_channels_is_refused(sampler: ReverseSampler) -> None:
    with pytest.raises(InputError, match="which starts from the source: found a source of 2 channels; wanted 1"):
        NoisePredictionInferer(sampler)(torch.rand(1, 2, 4, 4), Denoiser())


def test_volumes_are_translated_whole() -> None:
    assert NoisePredictionInferer(FEW)(torch.rand(2, 1, 4, 5, 6), Denoiser()).shape == (2, 1, 4, 5, 6)


def test_the_chain_stays_in_float32_under_autocast() -> None:
    class Coarse(Denoiser):
        def forward(self, image: Tensor, noisy: Tensor, timesteps: Tensor) -> Tensor:
            assert noisy.dtype == torch.float32
            return super().forward(image, noisy, timesteps).bfloat16()

    source = torch.rand(1, 1, 8, 8, 2)
    plain, mixed_precision = (
        SliceWiseInferer(NoisePredictionInferer(FRESH), amp=amp)(source, Coarse()) for amp in (False, True)
    )
    assert mixed_precision.dtype == torch.float32
    assert torch.equal(mixed_precision, plain)


def test_no_gradient_is_kept() -> None:
    found = NoisePredictionInferer(FEW)(torch.rand(1, 1, 4, 4), Denoiser(convolves=True))
    assert not found.requires_grad


def test_seed_and_number_of_samples_are_read_at_each_call() -> None:
    source, inferer = torch.rand(1, 1, 4, 4), NoisePredictionInferer(FEW)
    inferer.seed, inferer.num_samples = 9, 2
    expected = NoisePredictionInferer(FEW, seed=9, num_samples=2)(source, Denoiser())
    assert torch.equal(inferer(source, Denoiser()), expected)


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("seed", "0", "an integer of 0 or more"),
        ("num_samples", 0, "an integer of 1 or more"),
        ("channels", 1.0, "an integer of 1 or more"),
        ("shared_noise", "true", "true or false in JSON, True or False on the command line"),
    ],
)
def test_arguments_that_cannot_be_meant_are_refused(name: str, value: Any, wanted: str) -> None:
    with pytest.raises(InputError, match=f"NoisePredictionInferer, {name}: found {value!r}; wanted {wanted}"):
        NoisePredictionInferer(FEW, **{name: value})


def test_a_seed_set_later_is_checked_too() -> None:
    inferer = NoisePredictionInferer(FEW)
    inferer.seed = "7"  # type: ignore[assignment]
    with pytest.raises(InputError, match="seed: found '7'"):
        inferer(torch.zeros(1, 1, 4, 4), Denoiser())
