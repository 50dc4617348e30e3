"""Published generators of SynDiff in the bundle: they translate as published, or nothing is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser
from torch import nn
from torch.testing import assert_close

from import_weights import import_weights
from tests.parity.syndiff_training import PublishedTraining, published_state
from transmodal.checkpoints import load_weights
from transmodal.errors import InputError

CONFIG = {
    "contrasts": ["ct", "mr"],
    "latent_dim": 24,
    "num_timesteps": 4,
    "generator_def": {
        "_target_": "transmodal.networks.nets.NCSNpp",
        "channels": 16,
        "channel_mult": [1, 2, 4],
        "attention": [False, False, True],
        "latent_dim": "@latent_dim",
        "style_dim": 32,
    },
    "network_def": {
        "_target_": "syndiff_bundle.networks.DiffusiveTranslators",
        "first": "%generator_def",
        "second": "%generator_def",
        "contrasts": "@contrasts",
        "num_timesteps": "@num_timesteps",
        "latent_dim": "@latent_dim",
    },
}


def small_bundle(root: Path, folder: Path, **ids: Any) -> Path:
    """A small SynDiff bundle with the package of the real one."""
    home = folder / "ct_mr_syndiff_translation"
    (home / "configs").mkdir(parents=True)
    (home / "configs" / "inference.json").write_text(json.dumps({**CONFIG, **ids}))
    package = root / "bundles/ct_mr_syndiff_translation/syndiff_bundle"
    (home / "syndiff_bundle").symlink_to(package, target_is_directory=True)
    return home


def network_of(bundle: Path, *overlays: Path) -> nn.Module:
    """The bundle's network with the imported weights."""
    parser = ConfigParser()
    parser.read_config([str(bundle / "configs/inference.json"), *map(str, overlays)])
    return load_weights(parser.get_parsed_content("network_def"), bundle / "models/model.pt").eval()


@pytest.fixture
def diffusive(tmp_path: Path, shared: Path) -> dict[str, Path]:
    """Published files of two diffusive generators, as they are saved from parallel training."""
    first, second = (published_state(shared, "ncsnpp_small_64x64", scale) for scale in (1.0, 0.5))
    return {
        "first": _saved({f"module.{key}": each for key, each in first.items()}, tmp_path / "gen_diffusive_1_500.pth"),
        "second": _saved({f"module.{key}": each for key, each in second.items()}, tmp_path / "gen_diffusive_2_500.pth"),
    }


@torch.no_grad()
def test_both_contrasts_are_made_as_published_in_the_first_step(
    root: Path, tmp_path: Path, diffusive: dict[str, Path], shared: Path
) -> None:
    home = small_bundle(root, tmp_path)
    import_weights(home, diffusive)
    network, arrays = network_of(home), np.load(shared / "goldens/syndiff/ncsnpp_small_64x64_golden.npz")
    x, t, z, y = (torch.from_numpy(arrays[name]) for name in ("x", "t", "z", "y"))
    made = network(x[:, 1:], noisy=x[:, :1], timesteps=t, latent=z, target="ct")
    assert_close(made, y[:, :1], rtol=0, atol=1e-5)
    other = network(x[:, 1:], noisy=x[:, :1], timesteps=t, latent=z, target="mr")
    assert (other - made).abs().max() > 0.01


def test_projections_are_reported_as_transposed(root: Path, tmp_path: Path, diffusive: dict[str, Path]) -> None:
    report = import_weights(small_bundle(root, tmp_path), diffusive)
    assert "first: NCSN++ of 3 levels (1 2 4 times 16 wide), 2 residual blocks each, attention at level 2" in report
    assert report.count("transposed, because a projection of every pixel is stored as [in, out]") == 2


def test_settings_that_follow_from_the_generators_go_into_the_overlay(
    root: Path, tmp_path: Path, diffusive: dict[str, Path]
) -> None:
    home = small_bundle(root, tmp_path, latent_dim=100)
    import_weights(home, diffusive)
    overlay = json.loads((home / "models/model.json").read_text())
    assert {key: overlay[key] for key in overlay if key != "_desc_"} == {"latent_dim": 24}
    assert network_of(home, home / "models/model.json").latent_dim == 24


def test_a_whole_training_serves_for_both_generators(root: Path, tmp_path: Path, training: PublishedTraining) -> None:
    home = small_bundle(root, tmp_path)
    file = training.save(tmp_path / "content.pth", num_timesteps=2, not_use_tanh=True)
    report = import_weights(home, {"first": file, "second": file})
    assert "gen_diffusive_1, averaged (EMA) weights after 2 epochs: 302 tensors" in report
    network, average = network_of(home, home / "models/model.json"), training.average("gen_diffusive_2")
    assert torch.equal(network.second.stem.weight, average["all_modules.2.weight"])
    assert (network.num_timesteps, network.first.tanh) == (2, False)


def test_generators_that_need_different_settings_are_refused(
    root: Path, tmp_path: Path, diffusive: dict[str, Path]
) -> None:
    state = torch.load(diffusive["second"], weights_only=True)
    _saved({**state, "module.z_transform.1.weight": torch.zeros(32, 7)}, diffusive["second"])
    home = small_bundle(root, tmp_path)
    with pytest.raises(InputError, match="found latent_dim 7; wanted 24, as the other checkpoint has it"):
        import_weights(home, diffusive)
    assert not (home / "models").exists()


def test_every_fault_of_a_diffusive_generator_is_listed_and_nothing_written(
    root: Path, tmp_path: Path, diffusive: dict[str, Path]
) -> None:
    state = torch.load(diffusive["second"], weights_only=True)
    del state["module.all_modules.4.Conv_1.bias"]
    state |= {"module.extra": torch.ones(1), "module.all_modules.16.NIN_1.W": torch.ones(64, 63)}
    _saved(state, diffusive["second"])
    home = small_bundle(root, tmp_path)
    faults = (
        r"1 unknown \(extra\); 1 missing \(trunk.down.0.blocks.1.conv2.bias\); "
        r"1 misshapen \(all_modules.16.NIN_1.W \(63, 64\) for \(64, 64\)\)"
    )
    with pytest.raises(InputError, match=rf"gen_diffusive_2_500.pth: found {faults}"):
        import_weights(home, diffusive)
    assert not (home / "models").exists()


def test_a_discriminator_in_the_place_of_a_generator_is_refused_by_name(
    root: Path, tmp_path: Path, diffusive: dict[str, Path], shared: Path
) -> None:
    critic = _saved(published_state(shared, "disc_diffusive_small"), tmp_path / "disc.pth")
    with pytest.raises(InputError, match=r"disc.pth: found a diffusive discriminator"):
        import_weights(small_bundle(root, tmp_path), {**diffusive, "first": critic})


def _saved(content: Any, path: Path) -> Path:
    torch.save(content, path)
    return path
