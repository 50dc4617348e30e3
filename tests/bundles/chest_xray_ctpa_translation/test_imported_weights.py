"""Published weights of X-ray2CTPA in the bundle: a whole training, or what its stages would have left."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from monai.bundle import ConfigParser
from torch.testing import assert_close
from xray2ctpa_bundle.networks import XRayToCT
from xray2ctpa_bundle.slice_autoencoder import SliceAutoencoder
from xray2ctpa_bundle.unet3d import FactorisedUNet
from xray2ctpa_bundle.vit import BiomedCLIP

from import_weights import import_weights, main
from tests.bundles.chest_xray_ctpa_translation.published_files import (
    published_autoencoder,
    published_denoiser,
    published_tower,
    training,
)
from tests.parity.test_xray2ctpa_unet3d import condition, golden
from transmodal.checkpoints import load_weights
from transmodal.errors import InputError

ROLES = ("autoencoder", "encoder", "denoiser")
BOUNDS = {"latent_bounds": [-12.911299, 9.596558]}


@pytest.fixture
def bundle(root: Path, tmp_path: Path) -> Path:
    """The bundle's inference config and code, without weights."""
    real, home = root / "bundles/chest_xray_ctpa_translation", tmp_path / "chest_xray_ctpa_translation"
    (home / "configs").mkdir(parents=True)
    for name in ("inference.json", "train.json", "legacy.json"):
        (home / "configs" / name).write_text((real / "configs" / name).read_text())
    (home / "xray2ctpa_bundle").symlink_to(real / "xray2ctpa_bundle", target_is_directory=True)
    return home


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training of small networks; the denoiser is that of reference."""
    denoiser = published_denoiser(FactorisedUNet(dim=16, dim_mults=(1, 2, 4), condition_dim=24))
    tower = published_tower(BiomedCLIP(image_size=32, width=64, depth=1, heads=1, embedding_dim=24))
    autoencoder = published_autoencoder(SliceAutoencoder((32, 32), 1), num_levels=2, num_res_blocks=1)
    visual = {f"visual.{key}": value for key, value in tower.items()}
    file = tmp_path_factory.mktemp("published") / "model-81.pt"
    return training(file, denoiser, vae=autoencoder, xray_encoder=visual)


def network_of(bundle: Path, *overlays: str, weights: str = "models/model.pt") -> XRayToCT:
    """The bundle's network with the imported weights."""
    parser = ConfigParser()
    parser.read_config([str(bundle / name) for name in ("configs/inference.json", *overlays)])
    network = load_weights(parser.get_parsed_content("network_def"), bundle / weights).eval()
    assert isinstance(network, XRayToCT)
    return network


def written(overlay: Path) -> dict[str, Any]:
    return {key: value for key, value in json.loads(overlay.read_text()).items() if key != "_desc_"}


@torch.no_grad()
def test_one_file_of_a_training_gives_all_three_networks(bundle: Path, whole: Path, shared: Path) -> None:
    report = import_weights(bundle, dict.fromkeys(ROLES, whole), ids=BOUNDS)
    assert report.count("loaded, none left over") == 3
    network = network_of(bundle, "models/model.json")
    expected = golden(shared, "unet3d_small")
    given = condition(expected["cond"]), expected["x"], expected["t"]
    assert_close(network.predict(*given), expected["y"], rtol=0, atol=1e-5)
    assert network.condition(torch.zeros(1, 1, 32, 32)).embedding.shape == (1, 24)


def test_what_differs_from_the_bundle_goes_into_an_overlay(bundle: Path, whole: Path) -> None:
    import_weights(bundle, dict.fromkeys(ROLES, whole), ids=BOUNDS)
    overlay = written(bundle / "models/model.json")
    targets = {key: value["_target_"] for key, value in overlay.items() if isinstance(value, dict)}
    assert targets["denoiser_def"] == "xray2ctpa_bundle.unet3d.FactorisedUNet"
    assert targets["encoder_def"] == "xray2ctpa_bundle.vit.BiomedCLIP"
    assert (overlay["denoiser_channels"], overlay["channel_mult"], overlay["embedding_dim"]) == (16, [1, 2, 4], 24)


def test_an_autoencoder_alone_serves_the_last_stage(bundle: Path, whole: Path) -> None:
    report = import_weights(bundle, {"autoencoder": whole})
    assert (bundle / "models/autoencoder.pt").is_file()
    assert "--autoencoder_path models/autoencoder.pt" in report


def test_a_condition_of_another_length_is_refused(bundle: Path, whole: Path, tmp_path: Path) -> None:
    other = published_denoiser(FactorisedUNet(dim=16, dim_mults=(1, 2, 4), condition_dim=513))
    files = {**dict.fromkeys(ROLES, whole), "denoiser": training(tmp_path / "model-1.pt", other)}
    with pytest.raises(InputError, match="found embedding_dim 513; wanted 24, as the other checkpoint has it"):
        import_weights(bundle, files)
    assert not (bundle / "models").exists()


def test_the_command_in_the_help_gives_latents_the_published_scale(bundle: Path, whole: Path) -> None:
    said = " ".join((main.__doc__ or "").split())
    assert "encoder=model-9.pt denoiser=model-9.pt --config configs/legacy.json" in said
    import_weights(bundle, dict.fromkeys(ROLES, whole), config=["configs/legacy.json"])
    scale = network_of(bundle, "configs/legacy.json", "models/model.json").scale
    ends = torch.tensor(BOUNDS["latent_bounds"]).reshape(2, 1, 1, 1).expand(2, 4, 1, 1)[..., None]
    expected = torch.tensor([-1.0, 1.0]).reshape(2, 1, 1, 1, 1).expand_as(ends)
    assert_close(scale.apply_to(ends), expected, rtol=0, atol=1e-6)


def test_weights_without_bounds_of_latents_are_refused(bundle: Path, whole: Path) -> None:
    with pytest.raises(InputError, match=r"'latent_bounds': found none(.|\n)*--config configs/legacy\.json"):
        import_weights(bundle, dict.fromkeys(ROLES, whole))
    assert not (bundle / "models").exists()


@pytest.mark.parametrize("roles", [["denoiser"], ["encoder"], ["autoencoder", "denoiser"]])
def test_other_selections_are_refused(bundle: Path, whole: Path, roles: list[str]) -> None:
    with pytest.raises(InputError, match="wanted one file for each of autoencoder, encoder, denoiser, or one alone"):
        import_weights(bundle, dict.fromkeys(roles, whole))
