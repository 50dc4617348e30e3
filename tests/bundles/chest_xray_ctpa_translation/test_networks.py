"""The network of inference: who is asked what, what is left out, the latents' scale, parts from files."""

from __future__ import annotations

import logging
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close
from xray2ctpa_bundle.conditioning import Condition
from xray2ctpa_bundle.encoders import RadiographEncoder
from xray2ctpa_bundle.modern import CrossAttentionUNet
from xray2ctpa_bundle.networks import XRayToCT
from xray2ctpa_bundle.slice_autoencoder import SliceAutoencoder
from xray2ctpa_bundle.unet3d import FactorisedUNet

from transmodal.checkpoints import save_weights
from transmodal.errors import InputError
from transmodal.schedulers import CosineDiffusion, VelocityNet
from transmodal.stages import with_parts

GRID = (4, 16, 16)


class Denoiser(nn.Module):
    """Keeps what it was asked."""

    in_channels = out_channels = 4

    def forward(self, condition: Condition, noisy: Tensor, timesteps: Tensor, drop: Tensor | None = None) -> Tensor:
        self.asked = (condition, noisy, timesteps, drop)
        return noisy + 1


def autoencoder(latent_channels: int = 4) -> SliceAutoencoder:
    return SliceAutoencoder((4, 4, 4), 1, norm_groups=2, latent_channels=latent_channels, image_channels=1)


def encoder(**sizes: int) -> RadiographEncoder:
    parts = {"embedding_dim": 8, "token_dim": 8, "plane_channels": 2} | sizes
    return RadiographEncoder(channels=(4, 8), norm_groups=2, **parts)


def real(denoiser: nn.Module | None = None) -> XRayToCT:
    factorised = FactorisedUNet(dim=8, dim_mults=(1, 2), condition_dim=8, heads=2, head_dim=8, norm_groups=4)
    return XRayToCT(autoencoder(), encoder(), denoiser or factorised, grid=GRID)


def modern() -> CrossAttentionUNet:
    return CrossAttentionUNet(4, (8, 8), (False, True), 1, 4, token_dim=8, norm_groups=4, plane_channels=2)


@pytest.fixture
def network() -> XRayToCT:
    return real(Denoiser())


@pytest.fixture
def image() -> Tensor:
    return torch.rand(2, 1, 16, 16) * 2 - 1


def test_the_denoiser_gets_condition_noisy_latents_time_and_drop(network: XRayToCT, image: Tensor) -> None:
    noisy, timesteps, drop = torch.randn(2, 4, 4, 4, 4), torch.tensor([0, 3]), torch.tensor([True, False])
    assert_close(network(image, noisy, timesteps, drop), noisy + 1)
    condition, *rest = network.denoiser.asked
    assert all(shown is given for shown, given in zip(rest, (noisy, timesteps, drop), strict=True))
    for part, expected in zip(condition, network.encoder(image), strict=True):
        assert torch.equal(part, expected)


def test_a_condition_made_once_predicts_as_the_whole(network: XRayToCT, image: Tensor) -> None:
    noisy, timesteps = torch.randn(2, 4, 4, 4, 4), torch.tensor([5, 6])
    found = network.predict(network.condition(image), noisy, timesteps)
    assert torch.equal(found, network(image, noisy, timesteps))


def test_the_radiograph_alone_is_the_first_step_without_randomness(network: XRayToCT, image: Tensor) -> None:
    network(image)
    _, noisy, timesteps, drop = network.denoiser.asked
    assert torch.equal(noisy, torch.zeros(2, 4, 4, 4, 4))
    assert timesteps.tolist() == [999, 999]
    assert drop is None


def test_the_first_step_is_the_last_that_was_trained(image: Tensor) -> None:
    network = XRayToCT(autoencoder(), encoder(), Denoiser(), GRID, num_timesteps=20)
    network(image)
    assert network.denoiser.asked[2].tolist() == [19, 19]


@pytest.mark.parametrize("kind", ["factorised", "modern", "velocity"])
@torch.no_grad()
def test_every_denoiser_of_the_bundle_predicts_and_copies_predict_the_same(kind: str, image: Tensor) -> None:
    network = real(modern() if kind != "factorised" else None).eval()
    if kind == "velocity":
        network = real(VelocityNet(modern(), CosineDiffusion())).eval()
    found = network(image, torch.randn(2, 4, *network.latent_size))
    assert found.shape == (2, 4, 4, 4, 4)
    assert torch.equal(deepcopy(network)(image), network(image))


def test_the_size_of_the_latents_follows_from_the_grid() -> None:
    assert real().latent_size == (4, 4, 4)


def test_bounds_of_the_latents_may_be_given_with_the_network() -> None:
    network = XRayToCT(autoencoder(), encoder(), Denoiser(), GRID, latent_bounds=[-3.0, 1.0])
    assert_close(
        network.scale.restore(torch.tensor([-1.0, 0.0, 1.0]).expand(1, 4, 1, 1, 3))[0, 0, 0, 0],
        torch.tensor([-3.0, -1.0, 1.0]),
    )


def test_one_state_dict_holds_every_part_the_scale_and_the_task() -> None:
    children = {"autoencoder", "encoder", "denoiser", "scale", "task"}
    assert {key.partition(".")[0] for key in real().state_dict()} == children


TASK = {"HU": [-1000, 600], "mm": [320.0, 384.0, 384.0], "equalised": True}


def of_task(**changes: object) -> XRayToCT:
    return XRayToCT(autoencoder(), encoder(), Denoiser(), GRID, task=TASK | changes)


@pytest.mark.parametrize("other", [{"HU": [-200, 500]}, {"mm": [320, 350, 350]}, {"equalised": False}])
def test_weights_for_another_task_are_refused(other: dict[str, object]) -> None:
    expected = (
        "found a network for xray to ct, HU -1000 600, mm 320 384 384, equalised True; wanted one for xray to ct, "
    )
    with pytest.raises(InputError, match=expected):
        of_task(**other).load_state_dict(of_task().state_dict())


def test_how_a_number_is_written_makes_no_other_task() -> None:
    given, network = of_task().state_dict(), of_task(HU=(-1000.0, 6e2), mm=[320, 384, 384])
    network.load_state_dict(given)
    assert network.state_dict().keys() == given.keys()
    assert all(torch.equal(value, given[key]) for key, value in network.state_dict().items())


def test_weights_that_tell_no_task_are_incomplete() -> None:
    state = {key: value for key, value in of_task().state_dict().items() if not key.startswith("task")}
    with pytest.raises(RuntimeError, match=r"Missing key\(s\) in state_dict: \"task.description\""):
        of_task().load_state_dict(state)


LATENTS = {"latents": 1.0, "grey": [0.114, 0.587, 0.299]}


@pytest.mark.parametrize("other", [{"latents": 0.5}, {"grey": None}])
def test_weights_for_latents_of_another_factor_or_grey_are_refused(other: dict[str, object]) -> None:
    expected = r"equalised True, latents 1, grey 0.114 0.587 0.299; wanted .*\n.*latent_factor, grey"
    with pytest.raises(InputError, match=expected):
        of_task(**LATENTS | other).load_state_dict(of_task(**LATENTS).state_dict())


def test_weights_that_tell_nothing_of_their_latents_are_taken_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    network, given = of_task(**LATENTS), of_task()
    with caplog.at_level(logging.WARNING, logger=XRayToCT.__module__):
        network.load_state_dict(given.state_dict())
    assert torch.equal(network.autoencoder.quant.weight, given.autoencoder.quant.weight)
    assert str(network.task).endswith("latents 1, grey 0.114 0.587 0.299")
    assert "latents and grey; taken is latents 1, grey 0.114 0.587 0.299, as configured" in caplog.text


def test_weights_that_tell_nothing_of_their_latents_are_still_refused_for_another_task() -> None:
    with pytest.raises(InputError, match="HU -200 500"):
        of_task(**LATENTS).load_state_dict(of_task(HU=[-200, 500]).state_dict())


def test_all_that_is_not_frozen_is_trained() -> None:
    network = real()
    network.autoencoder.requires_grad_(False)
    trained = {id(parameter) for parameter in network.trained_parameters()}
    assert trained == {id(p) for part in (network.encoder, network.denoiser) for p in part.parameters()}


def test_the_autoencoder_comes_from_the_file_of_its_stage_and_learns_no_more(tmp_path: Path) -> None:
    trained, network = autoencoder(), real()
    save_weights(trained.state_dict(), tmp_path / "autoencoder.pt")
    assert with_parts(network, {"autoencoder": tmp_path / "autoencoder.pt"}) is network
    for key, value in trained.state_dict().items():
        assert torch.equal(network.autoencoder.state_dict()[key], value)
    assert not any(parameter.requires_grad for parameter in network.autoencoder.parameters())


def test_a_denoiser_of_other_channels_is_refused() -> None:
    with pytest.raises(InputError, match="XRayToCT, denoiser: found a network from 4 to 4 channels; wanted 3 and 3"):
        XRayToCT(autoencoder(latent_channels=3), encoder(), Denoiser(), GRID)


@pytest.mark.parametrize(
    ("sizes", "found", "wanted"),
    [
        ({"token_dim": 4}, "token_dim 4", "8, the token_dim of the denoiser"),
        ({"plane_channels": 3}, "plane_channels 3", "2, the plane_channels of the denoiser"),
    ],
)
@pytest.mark.parametrize("wrapped", [False, True], ids=["noise", "velocity"])
def test_an_encoder_that_does_not_make_what_the_denoiser_takes_is_refused(
    sizes: dict[str, int], found: str, wanted: str, wrapped: bool
) -> None:
    denoiser = VelocityNet(modern(), CosineDiffusion()) if wrapped else modern()
    with pytest.raises(InputError, match=f"XRayToCT, encoder: found {found}; wanted {wanted}"):
        XRayToCT(autoencoder(), encoder(**sizes), denoiser, GRID)


def test_an_embedding_of_another_size_is_refused() -> None:
    factorised = FactorisedUNet(dim=8, dim_mults=(1, 2), condition_dim=16, heads=2, head_dim=8, norm_groups=4)
    with pytest.raises(InputError, match="XRayToCT, encoder: found embedding_dim 8; wanted 16, the condition_dim"):
        real(factorised)


def test_what_a_denoiser_does_not_take_may_have_any_size() -> None:
    network = XRayToCT(autoencoder(), encoder(embedding_dim=0), modern(), GRID).eval()
    with torch.no_grad():
        assert network(torch.zeros(1, 1, 32, 32)).shape[1] == network.autoencoder.latent_channels


def test_a_grid_that_the_autoencoder_cannot_halve_is_refused() -> None:
    with pytest.raises(
        InputError, match="found 4 × 18 × 16 voxels; wanted slices, height and width that are multiples"
    ):
        XRayToCT(autoencoder(), encoder(), Denoiser(), (4, 18, 16))
