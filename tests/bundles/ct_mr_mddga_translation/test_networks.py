"""The network of MD-DGA's inference: which net predicts, what it is shown, parts from files."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import pytest
import torch
from mddga_bundle.networks import MDDGA
from mddga_bundle.sunet import SUNet
from mddga_bundle.vqvae import VQVAE
from torch import Tensor, nn
from torch.testing import assert_close

from transmodal.checkpoints import save_weights
from transmodal.errors import InputError
from transmodal.stages import with_parts


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
