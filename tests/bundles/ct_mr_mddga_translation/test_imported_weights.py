"""Published weights of MD-DGA in the bundle: all three networks at once, or what an earlier stage would have left."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import fire
import pytest
import torch
from mddga_bundle.networks import MDDGA
from mddga_bundle.sunet import SUNet
from mddga_bundle.vqvae import VQVAE
from monai.bundle import ConfigParser
from torch import nn
from torch.testing import assert_close

from import_weights import import_weights, main
from tests.bundles.ct_mr_mddga_translation.published_files import WIDE, checkpoint
from tests.parity import test_mddga_sunet, test_mddga_vqvae
from transmodal.checkpoints import load_weights
from transmodal.errors import InputError

BARE: dict[str, Any] = {"channel_mult": [1], "attention": [False]}
SMALL = {
    "embedding_dim": 2,
    "num_embeddings": 16,
    "autoencoder_channels": [8, 16],
    "volume_channels": 32,
    "joint": False,
    **BARE,
}
"""Networks of one level, in ids of the bundle."""


@pytest.fixture
def bundle(root: Path, tmp_path: Path) -> Path:
    """The bundle as it is, with small networks."""
    real, home = root / "bundles/ct_mr_mddga_translation", tmp_path / "ct_mr_mddga_translation"
    (home / "configs").mkdir(parents=True)
    for file in (real / "configs").glob("*.json"):
        content = json.loads(file.read_text())
        own = {key: value for key, value in SMALL.items() if key in content and "network_def" in content}
        (home / "configs" / file.name).write_text(json.dumps({**content, **own}))
    (home / "mddga_bundle").symlink_to(real / "mddga_bundle", target_is_directory=True)
    return home


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """``best.pth`` of networks as small as those of the bundle."""
    folder = tmp_path_factory.mktemp("published")
    return {
        "autoencoder": checkpoint(VQVAE(3, 2, 16, [8, 16]), folder / "vqvae.pth"),
        "slices": checkpoint(bare(1, spatial_dims=2), folder / "2d.pth", old=True),
        "volume": checkpoint(bare(1, spatial_dims=3), folder / "3d.pth"),
    }


def configured(bundle: Path, *overlays: str, id: str = "network_def") -> nn.Module:
    parser = ConfigParser()
    parser.read_config([str(bundle / name) for name in ("configs/inference.json", *overlays)])
    network: nn.Module = parser.get_parsed_content(id)
    return network


def network_of(bundle: Path, *overlays: str) -> MDDGA:
    """The bundle's network with the imported weights."""
    network = load_weights(configured(bundle, *overlays), bundle / "models/model.pt").eval()
    assert isinstance(network, MDDGA)
    return network


def bare(channels: int, spatial_dims: int, width: int = 32) -> SUNet:
    """A SUNet of one level."""
    return SUNet(spatial_dims, channels, channels, channels, channels=width, **BARE)


def command_of(report: str) -> list[str]:
    """Arguments of the command that uses the weights."""
    return shlex.split(next(line for line in report.splitlines() if "monai.bundle run" in line))[4:]


def written(overlay: Path) -> dict[str, Any]:
    return {key: value for key, value in json.loads(overlay.read_text()).items() if key != "_desc_"}


@torch.no_grad()
def test_all_three_networks_do_as_published(bundle: Path, files: dict[str, Path], tmp_path: Path, shared: Path) -> None:
    """Both SUNets are those of reference, of five levels; what the bundle has is said by ids."""
    five = {
        "slices": checkpoint(SUNet(2, **WIDE), tmp_path / "2d.pth", old=True),
        "volume": checkpoint(SUNet(3, **WIDE), tmp_path / "3d.pth"),
    }
    import_weights(bundle, {**files, **five}, ids={key: list(value) for key, value in WIDE.items()})
    assert list(written(bundle / "models/model.json")) == ["channel_mult", "attention"]
    network = network_of(bundle, "models/model.json")
    for stage, name in (("slices", "sunet2d_small"), ("volume", "sunet3d_small")):
        expected = test_mddga_sunet.golden(shared, name)
        noise = network(expected["c"][:1], expected["x"][:1], expected["t"][:1], stage=stage)
        assert_close(noise, expected["out_single0"], rtol=0, atol=2e-5)
    expected = test_mddga_vqvae.golden(shared, "vqvae3d_small", "16x20x12")
    assert_close(network.autoencoder(expected["in"])[0], expected["recon"], rtol=0, atol=2e-6)


def test_networks_as_the_bundles_own_need_no_overlay(bundle: Path, files: dict[str, Path]) -> None:
    report = import_weights(bundle, files)
    assert [path.name for path in (bundle / "models").iterdir()] == ["model.pt"]
    assert command_of(report) == ["--config_file", "configs/inference.json", "--ckpt_path", "models/model.pt"]
    network_of(bundle)


def test_latents_are_taken_raw_as_published(bundle: Path, files: dict[str, Path]) -> None:
    report = import_weights(bundle, files)
    scale = network_of(bundle).scale
    assert [buffer.unique().item() for buffer in (scale.mean, scale.std, scale.low, scale.high)] == [0, 1, -1, 1]
    assert "scale: LatentScale(), as configured; the files do not tell.\n" in report


def test_the_report_tells_each_network(bundle: Path, files: dict[str, Path]) -> None:
    report = import_weights(bundle, files)
    assert "autoencoder: VQ-VAE of volumes with 16 codes of 2 numbers, 8 and 16 wide" in report
    assert "slices: SUNet v1 of slices, 1 channel, 1 level (1 times 32 wide)" in report
    assert "volume: SUNet v1 of volumes, 1 channel, 1 level" in report
    assert report.count("loaded, none left over") == 3


def test_what_differs_from_the_bundle_is_written_as_its_ids(
    bundle: Path, files: dict[str, Path], tmp_path: Path
) -> None:
    wide = {**files, "autoencoder": checkpoint(VQVAE(3, 4, 7, [8, 8, 4], 1), tmp_path / "four.pth")}
    import_weights(bundle, wide)
    assert written(bundle / "models/model.json") == {
        "embedding_dim": 4,
        "num_embeddings": 7,
        "autoencoder_channels": [8, 8, 4],
        "autoencoder_blocks": 1,
    }
    network = network_of(bundle, "models/model.json")
    assert (network.scale.mean.shape, network.joint) == ((4,), False)


def test_channels_denoised_together_are_told_by_the_volume_net(
    bundle: Path, files: dict[str, Path], tmp_path: Path
) -> None:
    import_weights(bundle, {**files, "volume": checkpoint(bare(2, spatial_dims=3), tmp_path / "joint.pth")})
    assert written(bundle / "models/model.json") == {"joint": True}
    assert network_of(bundle, "models/model.json").joint


def test_levels_that_the_nets_do_not_share_are_written_as_the_definition_of_one(
    bundle: Path, files: dict[str, Path], tmp_path: Path
) -> None:
    two = {"channel_mult": [2, 1], "attention": [False, True]}
    import_weights(bundle, {**files, "slices": checkpoint(SUNet(2, channels=64, **two), tmp_path / "two.pth")})
    overlay = written(bundle / "models/model.json")
    assert list(overlay) == ["slice_channels", "slices_def"]
    assert overlay["slices_def"] == overlay["slices_def"] | two
    network = network_of(bundle, "models/model.json")
    assert (len(network.slices.up), len(network.volume.up)) == (2, 1)


def test_latents_that_do_not_fit_the_autoencoder_are_refused(
    bundle: Path, files: dict[str, Path], tmp_path: Path
) -> None:
    three = {**files, "volume": checkpoint(bare(3, spatial_dims=3), tmp_path / "three.pth")}
    with pytest.raises(InputError, match="found a network that predicts 3 channels; wanted 1 or all 2 channels"):
        import_weights(bundle, three)
    assert not (bundle / "models").exists()


def test_swapped_files_are_refused(bundle: Path, files: dict[str, Path]) -> None:
    swapped = {**files, "slices": files["volume"], "volume": files["slices"]}
    with pytest.raises(InputError, match=r"3d.pth: found SUNet v1 of volumes(.|\n)*give this file as volume=FILE"):
        import_weights(bundle, swapped)
    assert not (bundle / "models").exists()


def test_the_overlay_of_published_sampling_goes_into_the_command(bundle: Path, files: dict[str, Path]) -> None:
    report = import_weights(bundle, files, config=["configs/legacy.json"])
    assert command_of(report)[1] == "['configs/inference.json','configs/legacy.json']"
    parser = ConfigParser()
    parser.read_config([str(bundle / name) for name in ("configs/inference.json", "configs/legacy.json")])
    assert "ConditionStart" in parser["sampler"]["_target_"]


@torch.no_grad()
def test_published_networks_replace_those_of_an_overlay_that_predict_velocity(
    bundle: Path, files: dict[str, Path]
) -> None:
    import_weights(bundle, files, config=["configs/small.json"])
    assert {"slices_def", "volume_def"} <= written(bundle / "models/model.json").keys()
    network = network_of(bundle, "configs/small.json", "models/model.json")
    assert isinstance(network.slices, SUNet)
    assert isinstance(network.volume, SUNet)
    assert torch.isfinite(network(torch.zeros(1, 1, 8, 8))).all()


@pytest.mark.parametrize("width", [32, 64])
def test_the_slice_net_alone_serves_the_second_stage(bundle: Path, tmp_path: Path, width: int) -> None:
    net = bare(1, spatial_dims=2, width=width)
    report = import_weights(bundle, {"slices": checkpoint(net, tmp_path / "2d.pth")})
    overlays = [] if width == 32 else ["models/slices.json"]
    configs = "','".join(["configs/inference.json", "configs/inference_slices.json", *overlays])
    assert command_of(report) == ["--config_file", f"['{configs}']", "--ckpt_path", "models/slices.pt"]
    assert (
        sorted(path.name for path in (bundle / "models").iterdir())
        == ["slices.json", "slices.pt"][-1 - len(overlays) :]
    )
    network = configured(bundle, "configs/inference_slices.json", *overlays, id="slices_def")
    state = load_weights(network, bundle / "models/slices.pt").state_dict()
    assert {key: value.shape for key, value in state.items()} == {
        key: value.shape for key, value in net.state_dict().items()
    }


def test_the_autoencoder_alone_serves_the_last_stage(bundle: Path, tmp_path: Path) -> None:
    report = import_weights(bundle, {"autoencoder": checkpoint(VQVAE(3, 4, 16, [8, 16]), tmp_path / "best.pth")})
    assert command_of(report) == [
        "--config_file", "['configs/train.json','models/autoencoder.json']",
        "--autoencoder_path", "models/autoencoder.pt",
    ]  # fmt: skip
    assert written(bundle / "models/autoencoder.json") == {"embedding_dim": 4}
    assert "scale" not in report
    assert "MONAI Label" not in report  # which has no use for a part
    network = configured(bundle, "models/autoencoder.json", id="autoencoder_def")
    load_weights(network, bundle / "models/autoencoder.pt")


def test_a_part_goes_where_it_is_asked_to(bundle: Path, files: dict[str, Path], tmp_path: Path) -> None:
    import_weights(bundle, {"slices": files["slices"]}, output=tmp_path / "own.pt")
    assert (tmp_path / "own.pt").is_file()
    assert not (bundle / "models").exists()


@pytest.mark.parametrize("roles", [["volume"], ["autoencoder", "slices"], ["scale"], []])
def test_other_selections_are_refused(bundle: Path, files: dict[str, Path], roles: list[str]) -> None:
    wanted = "wanted one file for each of autoencoder, slices, volume, or one alone for autoencoder or slices"
    with pytest.raises(InputError, match=wanted):
        import_weights(bundle, {role: files.get(role, files["volume"]) for role in roles})


def test_the_command_line_imports_a_part(
    bundle: Path, files: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    fire.Fire(main, [str(bundle), f"slices={files['slices']}"])
    assert "wrote" in capsys.readouterr().out
    assert (bundle / "models/slices.pt").is_file()


def test_the_help_says_how_the_three_networks_are_given() -> None:
    said = main.__doc__ or ""
    assert "ct_mr_mddga_translation autoencoder=VQVAE/best.pth slices=2D/best.pth volume=3D/best.pth" in said
    assert "ct_mr_mddga_translation slices=2D/best.pth\n" in said
