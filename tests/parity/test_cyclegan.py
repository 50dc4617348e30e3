"""CycleGAN against the published networks: same outputs from the same deterministic weights, through the key maps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cyclegan_bundle.networks import GreyImages
from cyclegan_bundle.published import recognise
from monai.bundle import ConfigParser
from monai.networks.nets import PatchDiscriminator
from torch import Tensor, nn
from torch.testing import assert_close

from tests.parity.fill import fill, fill_keys
from transmodal.checkpoints import KeyMap, match
from transmodal.errors import InputError
from transmodal.networks.nets import PixelDiscriminator, ResNetGenerator
from transmodal.published import patch_discriminator_names, resnet_generator_names

GENERATORS = ("resnet9", "resnet9_gray", "resnet9_batchnorm", "resnet9_legacy_runningstats")
CHANNELS = {"resnet9_gray": 1}
PATCH_DISCRIMINATOR = KeyMap(patch_discriminator_names())


def published_state(shared: Path, name: str, width: int, channels: int = 3) -> dict[str, Tensor]:
    """The published keys of the full-size network at ``width`` and ``channels``, with the deterministic values."""
    keys = json.loads((shared / "goldens/gan" / f"{name}_keys.json").read_text())
    shapes = [_narrowed(key, shape, width, channels) for key, shape, _ in keys]
    return fill_keys([(key, shape, dtype) for (key, _, dtype), shape in zip(keys, shapes, strict=True)])


def golden(shared: Path, name: str) -> dict[str, Tensor]:
    arrays = np.load(shared / "goldens/gan" / f"{name}_golden.npz")
    return {key: torch.from_numpy(arrays[key]) for key in arrays.files}


def imported(state: dict[str, Tensor]) -> nn.Module:
    """The recognised network with the published weights, in the mode of inference."""
    published = recognise(state, where="published")
    network = ConfigParser({"network": dict(published.definition)}).get_parsed_content("network")
    network.load_state_dict(match(state, network.state_dict(), published.key_map, where="published")[0])
    return network.eval()


def colours(network: nn.Module) -> nn.Module:
    """A colour network itself, without the wrapper for grey images."""
    return network.network if isinstance(network, GreyImages) else network


@pytest.mark.parametrize("variant", GENERATORS)
@torch.no_grad()
def test_a_generator_translates_as_published(shared: Path, variant: str) -> None:
    expected = golden(shared, f"cyclegan_g_{variant}")
    keys = variant.removesuffix("_gray")
    network = colours(imported(published_state(shared, f"cyclegan_g_{keys}", 8, CHANNELS.get(variant, 3))))
    assert_close(network(expected["x"]), expected["out"], rtol=0, atol=1e-5)
    if "x_nonsquare" in expected:
        assert_close(network(expected["x_nonsquare"]), expected["out_nonsquare"], rtol=0, atol=1e-5)


@torch.no_grad()
def test_dropped_running_statistics_avoid_the_wrong_evaluation_mode(shared: Path) -> None:
    """The published code in evaluation mode uses the running statistics, and its result is far off."""
    expected = golden(shared, "cyclegan_g_resnet9_legacy_runningstats")
    network = colours(imported(published_state(shared, "cyclegan_g_resnet9_legacy_runningstats", 8)))
    assert (network(expected["x"]) - expected["out_evalmode"]).abs().max() > 0.1


@torch.no_grad()
def test_biases_before_instance_norm_may_be_absent(shared: Path) -> None:
    expected = golden(shared, "cyclegan_g_resnet9")
    state = published_state(shared, "cyclegan_g_resnet9", 8)
    unbiased = {key: value for key, value in state.items() if key.endswith("weight") or key == "model.26.bias"}
    assert len(unbiased) == 25
    assert_close(colours(imported(unbiased))(expected["x"]), expected["out"], rtol=0, atol=1e-5)


@torch.no_grad()
def test_counts_that_older_files_of_batch_norm_lack_may_be_absent(shared: Path) -> None:
    expected = golden(shared, "cyclegan_g_resnet9_batchnorm")
    state = published_state(shared, "cyclegan_g_resnet9_batchnorm", 8)
    uncounted = {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}
    assert len(uncounted) < len(state)
    assert_close(colours(imported(uncounted))(expected["x"]), expected["out"], rtol=0, atol=1e-5)


@torch.no_grad()
def test_grey_images_pass_a_colour_network_as_the_mean_of_what_it_makes_of_three_equal_channels(shared: Path) -> None:
    network = imported(published_state(shared, "cyclegan_g_resnet9", 8))
    grey = golden(shared, "cyclegan_g_resnet9_gray")["x"]
    colourful = network.network(grey.repeat(1, 3, 1, 1))
    assert_close(network(grey), colourful.mean(dim=1, keepdim=True))


@pytest.mark.parametrize(
    ("variant", "arguments"),
    [
        ("resnet9", {}),
        ("resnet9_dropout", {"dropout": 0.5}),
        ("resnet9_batchnorm", {"norm": "BATCH"}),
        ("resnet6", {"num_blocks": 6}),
    ],
)
def test_keys_and_shapes_are_those_of_the_published_full_size(
    shared: Path, variant: str, arguments: dict[str, Any]
) -> None:
    keys = json.loads((shared / "goldens/gan" / f"cyclegan_g_{variant}_keys.json").read_text())
    with torch.device("meta"):
        network = ResNetGenerator(in_channels=3, out_channels=3, **arguments)
    key_map = KeyMap(resnet_generator_names(arguments.get("num_blocks", 9), dropout="dropout" in arguments))
    assert {key_map.name(key): tuple(shape) for key, shape, _ in keys} == {
        key: tuple(value.shape) for key, value in network.state_dict().items()
    }


@pytest.mark.parametrize(
    ("variant", "arguments"),
    [
        ("resnet9", {"num_blocks": 9, "dropout": 0.0, "norm": ["INSTANCE", {"affine": False}]}),
        ("resnet9_dropout", {"num_blocks": 9, "dropout": 0.5, "norm": ["INSTANCE", {"affine": False}]}),
        ("resnet9_batchnorm", {"num_blocks": 9, "dropout": 0.0, "norm": "BATCH"}),
        ("resnet9_legacy_runningstats", {"num_blocks": 9, "dropout": 0.0, "norm": ["INSTANCE", {"affine": False}]}),
        ("resnet6", {"num_blocks": 6, "dropout": 0.0, "norm": ["INSTANCE", {"affine": False}]}),
    ],
)
def test_a_generator_is_recognised_by_its_tensors(shared: Path, variant: str, arguments: dict[str, Any]) -> None:
    definition = recognise(published_state(shared, f"cyclegan_g_{variant}", 16, channels=1), where="x").definition
    assert definition == {
        "_target_": "transmodal.networks.nets.ResNetGenerator",
        "spatial_dims": 2,
        "in_channels": 1,
        "out_channels": 1,
        "channels": 16,
        **arguments,
    }


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("cyclegan_g_unet256", "U-Net generator"),
        ("cyclegan_d_patch70", "PatchGAN discriminator"),
        ("cyclegan_d_pixel", "pixel discriminator"),
        ("stargan_g", "keys such as main.0.weight"),
    ],
)
def test_another_published_network_is_refused_by_name(shared: Path, name: str, what: str) -> None:
    keys = json.loads((shared / "goldens/gan" / f"{name}_keys.json").read_text())
    state = {key: torch.empty(shape, device="meta") for key, shape, _ in keys}
    with pytest.raises(InputError, match=rf"latest_net.pth: found .*{what}.*wanted a ResNet generator"):
        recognise(state, where="latest_net.pth")


@pytest.mark.parametrize(("name", "channels"), [("cyclegan_d_patch70", 3), ("cyclegan_d_patch70_gray", 1)])
@torch.no_grad()
def test_the_patch_discriminator_of_monai_judges_as_published(shared: Path, name: str, channels: int) -> None:
    expected = golden(shared, name)
    network = patch_discriminator(channels=8, in_channels=channels)
    state = fill({published: network.state_dict()[ours] for published, ours in _inverse(network).items()})
    network.load_state_dict(match(state, network.state_dict(), PATCH_DISCRIMINATOR, where=name)[0])
    assert_close(network(expected["x"])[-1], expected["out"], rtol=0, atol=1e-5)


def test_keys_and_shapes_of_the_patch_discriminator_are_the_published_ones(shared: Path) -> None:
    keys = json.loads((shared / "goldens/gan/cyclegan_d_patch70_keys.json").read_text())
    assert {PATCH_DISCRIMINATOR.name(key): tuple(shape) for key, shape, _ in keys} == {
        key: tuple(value.shape) for key, value in patch_discriminator(channels=64, in_channels=3).state_dict().items()
    }


PIXEL_DISCRIMINATOR = KeyMap({"net.0": "initial.conv", "net.2": "middle.conv", "net.5": "head"})


@torch.no_grad()
def test_the_pixel_discriminator_judges_as_published(shared: Path) -> None:
    expected = golden(shared, "cyclegan_d_pixel")
    keys = json.loads((shared / "goldens/gan/cyclegan_d_pixel_keys.json").read_text())
    width = {64: 8, 128: 16}
    narrow = fill_keys([(key, [width.get(size, size) for size in shape], dtype) for key, shape, dtype in keys])
    network = PixelDiscriminator(channels=8, in_channels=3)
    network.load_state_dict(match(narrow, network.state_dict(), PIXEL_DISCRIMINATOR, where="pixel")[0])
    assert_close(network(expected["x"])[-1], expected["out"], rtol=0, atol=1e-5)


def patch_discriminator(channels: int, in_channels: int) -> PatchDiscriminator:
    """The 70 × 70 PatchGAN; its last output is the map of logits."""
    norm = ("INSTANCE", {"affine": False})
    return PatchDiscriminator(2, channels=channels, in_channels=in_channels, num_layers_d=3, norm=norm, bias=True)


def _inverse(network: nn.Module) -> dict[str, str]:
    ours = {name: published for published, name in PATCH_DISCRIMINATOR.names.items()}
    return {KeyMap(ours).name(key) or "": key for key in network.state_dict()}


def _narrowed(key: str, shape: list[int], width: int, channels: int) -> list[int]:
    """The shape of a published tensor when 64 wide becomes ``width`` and colour becomes ``channels``."""
    return [
        channels if size == 3 and axis < 2 else size * width // 64 if size >= 64 else size
        for axis, size in enumerate(shape)
    ]
