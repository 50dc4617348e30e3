"""Sampling by the reverse chain: its steps, its noise, its statistics over samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from transmodal.errors import InputError
from transmodal.inferers import DDGANInferer, SliceWiseInferer
from transmodal.schedulers.ddgan import DDGANScheduler

LATENT = 3


class Denoiser(nn.Module):
    """A function of every argument, pixel by pixel or through a convolution; remembers what it was called with."""

    def __init__(self, convolves: bool = False, out_channels: int = 1) -> None:
        super().__init__()
        self.mixing = nn.Conv2d(1, 1, 3, padding=1) if convolves else nn.Identity()
        self.out_channels = out_channels
        self.calls: list[dict[str, Any]] = []
        self.predictions: list[Tensor] = []

    def forward(self, image: Tensor, noisy: Tensor, timesteps: Tensor, latent: Tensor, target: str = "ct") -> Tensor:
        self.calls.append({"noisy": noisy, "timesteps": timesteps, "latent": latent, "target": target})
        shift = (0.1 * timesteps + latent.mean(dim=1))[:, None, None, None]
        sign = 1 if target == "ct" else -1
        x0_pred = torch.tanh(sign * (self.mixing(image[:, :1]) + 0.5 * noisy + shift)).expand(
            -1, self.out_channels, -1, -1
        )
        self.predictions.append(x0_pred)
        return x0_pred


class Recorded:
    """Noise that was drawn before, handed out in order."""

    def __init__(self, draws: Sequence[Tensor]) -> None:
        self.draws = list(draws)

    def normal(self, *shape: int) -> Tensor:
        draw = self.draws.pop(0)
        assert draw.shape[1:] == shape
        return draw


class RecordedInferer(DDGANInferer):
    """The inferer with noise of the test's choosing."""

    draws: Sequence[Tensor] = ()

    def noise(self, sample: int, numbers: Sequence[int], device: torch.device) -> Recorded:
        return Recorded(self.draws)


def inferer(**arguments: Any) -> DDGANInferer:
    return DDGANInferer(DDGANScheduler(), target="ct", latent_dim=LATENT, **arguments)


def test_the_chain_is_the_published_one() -> None:
    scheduler, network, source = DDGANScheduler(), Denoiser(), torch.rand(2, 1, 4, 5) * 2 - 1
    shapes = [(2, 1, 4, 5), *[(2, LATENT), (2, 1, 4, 5)] * 4]
    draws = [torch.randn(shape) for shape in shapes]
    chain = RecordedInferer(scheduler, target="ct", latent_dim=LATENT)
    chain.draws = draws
    result = chain(source, network)

    x, *rest = draws
    for step, z, noise in zip((3, 2, 1, 0), rest[::2], rest[1::2], strict=True):
        t = torch.full((2,), step)
        x = scheduler.posterior_sample(network(source, x, t, z), x, t, noise)
    torch.testing.assert_close(result, x, rtol=0, atol=0)


def test_steps_count_down_to_zero_for_every_slice() -> None:
    network = Denoiser()
    DDGANInferer(DDGANScheduler(num_timesteps=3), target="ct", latent_dim=LATENT)(torch.zeros(2, 1, 4, 4), network)
    assert [call["timesteps"].tolist() for call in network.calls] == [[2, 2], [1, 1], [0, 0]]


def test_the_translation_is_the_last_prediction() -> None:
    network = Denoiser()
    result = inferer()(torch.rand(2, 1, 4, 4), network)
    torch.testing.assert_close(result, network.predictions[-1])  # the posterior of the last step is its mean


def test_latent_and_noise_are_fresh_at_each_step() -> None:
    network = Denoiser()
    inferer()(torch.zeros(1, 1, 4, 4), network)
    assert len({tuple(call["latent"][0].tolist()) for call in network.calls}) == 4
    assert len({tuple(call["noisy"].flatten().tolist()) for call in network.calls}) == 4


@pytest.mark.parametrize("shared_noise", [True, False])
def test_the_same_seed_gives_the_same_bytes(shared_noise: bool) -> None:
    source = torch.rand(3, 1, 8, 8)
    first, second = (inferer(seed=5, num_samples=2, shared_noise=shared_noise)(source, Denoiser()) for _ in range(2))
    assert first.numpy().tobytes() == second.numpy().tobytes()


@pytest.mark.parametrize("shared_noise", [True, False])
def test_another_seed_gives_another_translation(shared_noise: bool) -> None:
    source = torch.rand(3, 1, 8, 8)
    first, second = (inferer(seed=seed, shared_noise=shared_noise)(source, Denoiser()) for seed in (5, 6))
    assert not torch.isclose(first, second, atol=1e-3).any(dim=-1).all()


def test_the_state_of_the_global_generator_is_not_touched() -> None:
    sampler, source, before = inferer(), torch.zeros(1, 1, 4, 4), torch.get_rng_state()
    sampler(source, Denoiser())
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("shared_noise", [True, False])
def test_the_batch_size_changes_nothing(shared_noise: bool) -> None:
    volume, network = torch.rand(2, 1, 6, 5, 7), Denoiser(convolves=True)
    sampler = inferer(num_samples=2, shared_noise=shared_noise)
    one, *others = (SliceWiseInferer(sampler, batch_size=size)(volume, network) for size in (1, 4, 64))
    for other in others:
        torch.testing.assert_close(other, one, rtol=0, atol=1e-5)


@pytest.mark.parametrize("shared_noise", [True, False])
def test_the_batch_size_changes_no_bit_of_the_noise(shared_noise: bool) -> None:
    volume, latents, starts = torch.zeros(2, 1, 4, 4, 5), [], []
    for size in (1, 3, 64):
        network = Denoiser()
        SliceWiseInferer(inferer(shared_noise=shared_noise), batch_size=size)(volume, network)
        latents.append(torch.cat([call["latent"] for call in network.calls[::4]]))
        starts.append(torch.cat([call["noisy"] for call in network.calls[::4]]))
    assert all(torch.equal(latent, latents[0]) for latent in latents)
    assert all(torch.equal(start, starts[0]) for start in starts)


def test_shared_noise_is_one_field_and_one_latent_for_all_slices() -> None:
    network = Denoiser()
    result = inferer()(torch.zeros(4, 1, 4, 4), network, numbers=[0, 1, 7, 30])
    for call in network.calls:
        assert torch.equal(call["latent"], call["latent"][:1].expand(4, -1))
        assert torch.equal(call["noisy"], call["noisy"][:1].expand(4, -1, -1, -1))
    assert torch.equal(result, result[:1].expand(4, -1, -1, -1))  # of four slices that are alike


def test_independent_noise_differs_between_slices() -> None:
    network = Denoiser()
    inferer(shared_noise=False)(torch.zeros(3, 1, 4, 4), network)
    for call in network.calls:
        assert len({tuple(row.tolist()) for row in call["latent"]}) == 3
        assert len({tuple(row.flatten().tolist()) for row in call["noisy"]}) == 3


def test_independent_noise_belongs_to_the_slice_number() -> None:
    sampler = inferer(shared_noise=False)
    together = sampler(torch.zeros(3, 1, 4, 4), Denoiser(), numbers=[3, 7, 11])
    alone = sampler(torch.zeros(1, 1, 4, 4), Denoiser(), numbers=[7])
    assert torch.equal(together[1:2], alone)


def test_slices_are_numbered_anew_in_each_volume() -> None:
    volume = torch.rand(1, 1, 4, 4, 3)
    result = SliceWiseInferer(inferer(shared_noise=False), batch_size=2)(torch.cat([volume, volume]), Denoiser())
    assert torch.equal(result[0], result[1])


@pytest.mark.parametrize("num_samples", [2, 5])
def test_several_samples_give_their_mean_and_standard_deviation(num_samples: int) -> None:
    network = Denoiser()
    result = inferer(num_samples=num_samples)(torch.rand(2, 1, 6, 6), network)
    samples = torch.stack(network.predictions[3::4])  # what the last step of each chain predicts
    assert len(samples) == num_samples
    torch.testing.assert_close(result, torch.cat([samples.mean(dim=0), samples.std(dim=0)], dim=1))


def test_one_sample_is_the_first_of_several() -> None:
    source, network = torch.rand(2, 1, 6, 6), Denoiser()
    inferer(num_samples=3)(source, network)
    torch.testing.assert_close(inferer()(source, Denoiser()), network.predictions[3])


def test_samples_of_a_volume_come_back_as_channels() -> None:
    result = SliceWiseInferer(inferer(num_samples=2), axis=0, batch_size=2)(torch.rand(1, 1, 5, 4, 6), Denoiser())
    assert result.shape == (1, 2, 5, 4, 6)
    assert result[:, 1].min() > 0


def test_several_source_channels_make_an_image_of_its_own_channels() -> None:
    source = torch.rand(2, 3, 4, 4)
    assert inferer()(source, Denoiser()).shape == (2, 1, 4, 4)
    assert inferer(channels=2, num_samples=2)(source, Denoiser(out_channels=2)).shape == (2, 4, 4, 4)


def test_target_and_seed_are_read_at_each_call() -> None:
    sampler, network, source = inferer(), Denoiser(), torch.rand(1, 1, 4, 4)
    sampler.target, sampler.seed = "mr", 9
    changed = sampler(source, network)
    assert {call["target"] for call in network.calls} == {"mr"}
    expected = DDGANInferer(DDGANScheduler(), target="mr", latent_dim=LATENT, seed=9)(source, Denoiser())
    assert torch.equal(changed, expected)


def test_the_chain_stays_in_float32_under_autocast() -> None:
    class Coarse(Denoiser):
        def forward(self, *args: Any, **kwargs: Any) -> Tensor:
            assert kwargs["noisy"].dtype == torch.float32
            return super().forward(*args, **kwargs).bfloat16()

    source = torch.rand(2, 1, 8, 8)
    plain = inferer()(source, Coarse())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = inferer()(source, Coarse())
    assert mixed.dtype == torch.float32
    assert torch.equal(mixed, plain)


def test_no_gradient_is_kept() -> None:
    assert not inferer()(torch.rand(1, 1, 4, 4), Denoiser(convolves=True)).requires_grad


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("seed", "0", "an integer of 0 or more"),
        ("seed", -1, "an integer of 0 or more"),
        ("seed", True, "an integer of 0 or more"),
        ("seed", 2**64, r"an integer of 0 or more, below 2\*\*64"),
        ("num_samples", 0, "an integer of 1 or more"),
        ("num_samples", "2", "an integer of 1 or more"),
        ("num_samples", True, "an integer of 1 or more"),
        ("latent_dim", 0, "an integer of 1 or more"),
        ("channels", 1.0, "an integer of 1 or more"),
        ("shared_noise", "true", "true or false in JSON, True or False on the command line"),
        ("shared_noise", 1, "true or false in JSON, True or False on the command line"),
    ],
)
def test_arguments_that_cannot_be_meant_are_refused(name: str, value: object, wanted: str) -> None:
    with pytest.raises(InputError, match=f"DDGANInferer, {name}: found {value!r}; wanted {wanted}"):
        DDGANInferer(DDGANScheduler(), **{"target": "ct", name: value})


def test_a_seed_set_later_is_checked_too() -> None:
    sampler = inferer()
    sampler.seed = "7"  # type: ignore[assignment]
    with pytest.raises(InputError, match="seed: found '7'"):
        sampler(torch.zeros(1, 1, 4, 4), Denoiser())
