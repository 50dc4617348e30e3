"""The network of MD-DGA's inference: which net predicts, what it is shown, its latents' scale, parts from files."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import pytest
import torch
from mddga_bundle.networks import MDDGA, LatentScale, with_parts
from mddga_bundle.sunet import SUNet
from mddga_bundle.vqvae import VQVAE
from torch import Tensor, nn
from torch.testing import assert_close

from transmodal.checkpoints import save_weights
from transmodal.errors import InputError

LATENTS = [torch.randn(2, 3, 4, 5) * 2 + 7, torch.randn(2, 2, 2, 2) - 3]


class Denoiser(nn.Module):
    """Keeps what it was shown and returns a constant."""

    def __init__(self, value: float, out_channels: int = 1) -> None:
        super().__init__()
        self.value, self.out_channels = value, out_channels

    def forward(self, image: Tensor, noisy: Tensor, timesteps: Tensor) -> Tensor:
        self.shown = (image, noisy, timesteps)
        return torch.full_like(image, self.value)


class Autoencoder(nn.Module):
    """Has two latent channels."""

    embedding_dim = 2


def real() -> MDDGA:
    """The three networks themselves, tiny."""
    small = {"channels": 8, "norm_groups": 4, "channel_mult": (1, 2), "attention": (False, True)}
    autoencoder = VQVAE(embedding_dim=2, num_embeddings=8, channels=(4, 8), num_res_blocks=1)
    return MDDGA(autoencoder, SUNet(**small), SUNet(spatial_dims=3, **small)).eval()


@pytest.fixture
def network() -> MDDGA:
    return MDDGA(Autoencoder(), Denoiser(0.1), Denoiser(0.2))


@pytest.mark.parametrize(("stage", "size", "value"), [("slices", (4, 6), 0.1), ("volume", (2, 4, 6), 0.2)])
def test_each_stage_is_predicted_by_its_own_net(
    network: MDDGA, stage: str, size: tuple[int, ...], value: float
) -> None:
    assert_close(network(torch.zeros(2, 1, *size), stage=stage), torch.full((2, 1, *size), value))


def test_the_net_sees_condition_noisy_image_and_time(network: MDDGA) -> None:
    image, noisy, timesteps = torch.rand(2, 1, 4, 4), torch.randn(2, 1, 4, 4), torch.tensor([0, 3])
    network(image, noisy, timesteps)
    assert all(shown is given for shown, given in zip(network.slices.shown, (image, noisy, timesteps), strict=True))


def test_the_image_alone_is_the_first_step_without_randomness(network: MDDGA) -> None:
    image = torch.rand(2, 1, 4, 4)
    network(image)
    _, noisy, timesteps = network.slices.shown
    assert_close(noisy, torch.zeros_like(image))
    assert timesteps.tolist() == [999, 999]


def test_the_first_step_is_the_last_that_was_trained() -> None:
    network = MDDGA(Autoencoder(), Denoiser(0.1), Denoiser(0.2), num_timesteps=20)
    network(torch.rand(1, 1, 4, 4))
    assert network.slices.shown[2].tolist() == [19]


def test_an_unknown_stage_is_refused(network: MDDGA) -> None:
    with pytest.raises(ValueError, match="found stage 'ct'; wanted 'slices' or 'volume'"):
        network(torch.zeros(1, 1, 4, 4), stage="ct")


@pytest.mark.parametrize(("out_channels", "joint"), [(1, False), (2, True)])
def test_the_volume_net_takes_one_latent_channel_or_all(out_channels: int, joint: bool) -> None:
    assert MDDGA(Autoencoder(), Denoiser(0.1), Denoiser(0.2, out_channels)).joint is joint


def test_any_other_number_of_channels_is_refused() -> None:
    with pytest.raises(InputError, match="found a network that predicts 3 channels; wanted 1 or all 2 channels"):
        MDDGA(Autoencoder(), Denoiser(0.1), Denoiser(0.2, out_channels=3))


@torch.no_grad()
def test_the_network_compiles_to_torchscript() -> None:
    network, image = real(), torch.rand(1, 1, 9, 12)
    assert_close(torch.jit.script(network)(image), network(image), rtol=0, atol=1e-6)


@torch.no_grad()
def test_a_copy_predicts_the_same() -> None:
    network, image = real(), torch.rand(1, 1, 9, 12)
    assert torch.equal(deepcopy(network)(image), network(image))


def test_one_state_dict_holds_every_network_and_the_scale() -> None:
    parts = {key.partition(".")[0] for key in real().state_dict()}
    assert parts == {"autoencoder", "slices", "volume", "scale"}


def test_as_made_the_scale_leaves_latents_as_they_are() -> None:
    scale = LatentScale(2)
    assert torch.equal(scale.apply_to(LATENTS[0]), LATENTS[0])
    assert torch.equal(scale.restore(LATENTS[0]), LATENTS[0])
    assert (scale.low.tolist(), scale.high.tolist()) == ([-1, -1], [1, 1])


def test_a_measured_scale_makes_each_channel_one_of_mean_0_and_deviation_1() -> None:
    scale = LatentScale(2)
    scale.measure_(iter(LATENTS))
    normalised = torch.cat([scale.apply_to(latent).flatten(1) for latent in LATENTS], dim=1)
    assert_close(normalised.mean(dim=1), torch.zeros(2), rtol=0, atol=1e-6)
    assert_close(normalised.std(dim=1, correction=0), torch.ones(2))


def test_the_bounds_are_those_of_the_normalised_latents() -> None:
    scale = LatentScale(2)
    scale.measure_(LATENTS)
    normalised = torch.cat([scale.apply_to(latent).flatten(1) for latent in LATENTS], dim=1)
    assert_close(scale.low, normalised.amin(dim=1))
    assert_close(scale.high, normalised.amax(dim=1))


def test_restoring_undoes_the_scale_of_one_volume_and_of_a_batch() -> None:
    scale = LatentScale(2)
    scale.measure_(LATENTS)
    batch = LATENTS[0][None].repeat(3, 1, 1, 1, 1)
    assert_close(scale.restore(scale.apply_to(LATENTS[0])), LATENTS[0])
    assert_close(scale.restore(scale.apply_to(batch)), batch)
    assert_close(scale.apply_to(batch)[1], scale.apply_to(LATENTS[0]))


def test_a_channel_that_never_changes_becomes_0() -> None:
    scale, latent = LatentScale(2), torch.randn(2, 3, 4, 5)
    latent[1] = 0.3
    scale.measure_([latent])
    assert_close(scale.apply_to(latent)[1], torch.zeros(3, 4, 5))
    assert scale.std[1] == 1


def test_latents_far_from_zero_keep_their_deviation() -> None:
    scale, latent = LatentScale(1), 1000 + 0.1 * torch.randn(1, 8, 8, 8)
    scale.measure_([latent])
    assert_close(scale.std, latent.double().std(correction=0).float()[None], rtol=1e-3, atol=0)


def test_volumes_of_other_sizes_and_levels_count_by_their_voxels() -> None:
    scale = LatentScale(2)
    scale.measure_(LATENTS)
    voxels = torch.cat([latent.flatten(1).double() for latent in LATENTS], dim=1)
    assert_close(scale.mean, voxels.mean(dim=1).float())
    assert_close(scale.std, voxels.std(dim=1, correction=0).float())


@pytest.mark.parametrize(
    "values",
    [
        torch.tensor([0.1, 0.1]).nextafter(torch.tensor([0.0, 1.0])),
        torch.tensor([-3.7e-9, 3.7e-9]),
        torch.tensor([1000.0, 1000.005]),
    ],
    ids=["0.1 and rounding", "dead", "1000 and rounding"],
)
def test_rounding_is_not_scaled_up(values: Tensor, caplog: pytest.LogCaptureFixture) -> None:
    scale, latent = LatentScale(2), torch.randn(2, 2, 4, 4)
    latent[1] = values.repeat(16).view(2, 4, 4)
    scale.measure_([latent])
    assert "of the 2 latent channels, number 1 (from 0) is the same everywhere" in caplog.text
    assert scale.std[1] == 1
    assert scale.std[0] < 1.5
    assert_close(scale.apply_to(latent)[1].abs().amax(), torch.tensor(0.0), rtol=0, atol=0.003)
    half = (values.double().max() - values.double().min()) / 2
    assert_close(scale.high[1].double(), half, rtol=1e-3, atol=1e-12)
    assert_close(scale.low[1].double(), -half, rtol=1e-3, atol=1e-12)


def test_a_small_channel_that_varies_is_scaled(caplog: pytest.LogCaptureFixture) -> None:
    scale, latent = LatentScale(1), 1e-6 * torch.randn(1, 4, 4, 4)
    scale.measure_([latent])
    assert_close(scale.apply_to(latent).std(correction=0), torch.tensor(1.0))
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("latents", "found"),
    [
        ([], "none of them"),
        ([torch.zeros(3, 2, 2, 2)], r"one of shape \[3, 2, 2, 2\]"),
        ([torch.zeros(1, 2, 2, 2, 2)], r"one of shape \[1, 2, 2, 2, 2\]"),
        ([torch.full((2, 2, 2, 2), torch.nan)], "one with values that are not finite"),
    ],
    ids=["none", "other channels", "a batch", "nan"],
)
def test_what_cannot_be_measured_is_refused_and_the_scale_stays(latents: list[Tensor], found: str) -> None:
    scale = LatentScale(2)
    with pytest.raises(InputError, match=rf"LatentScale, latents: found {found}; wanted latents .* \(2, D, H, W\)"):
        scale.measure_([*LATENTS[: len(latents)], *latents])
    assert scale.mean.tolist() == [0, 0]


@pytest.mark.parametrize("name", ["autoencoder", "slices"])
def test_a_part_comes_from_its_file_and_learns_no_more(tmp_path: Path, name: str) -> None:
    trained, network = real().get_submodule(name), real()
    save_weights(trained.state_dict(), tmp_path / "part.pt")
    assert with_parts(network, {name: tmp_path / "part.pt"}, device="cpu") is network
    for key, value in network.get_submodule(name).state_dict().items():
        assert torch.equal(value, trained.state_dict()[key]), key
    learning = {key.partition(".")[0] for key, value in network.named_parameters() if value.requires_grad}
    assert learning == {"autoencoder", "slices", "volume"} - {name}


@pytest.mark.parametrize("name", ["autoencoder", "slices"])
def test_a_part_whose_file_is_missing_is_refused_with_the_command_that_makes_it(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError) as caught:
        with_parts(real(), {name: tmp_path / "part.pt"})
    assert "found no such file; wanted trained weights" in str(caught.value)
    assert f"\"['configs/train.json','configs/train_{name}.json']\"" in caught.value.remedy


def test_a_file_of_another_part_is_refused(tmp_path: Path) -> None:
    save_weights(real().slices.state_dict(), tmp_path / "slices.pt")
    with pytest.raises(InputError, match="nothing was loaded"):
        with_parts(real(), {"autoencoder": tmp_path / "slices.pt"})


def test_a_part_that_no_earlier_stage_trains_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found a part 'volume'; wanted autoencoder or slices"):
        with_parts(real(), {"volume": tmp_path / "part.pt"})
