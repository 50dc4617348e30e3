"""Perceptual distances with weights from local files."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close
from xray2ctpa_bundle.published_perceptual import VGG_LAYERS, lpips, lpips_names, radimagenet

from transmodal.errors import InputError
from transmodal.losses import LPIPS, FeatureDistance, ResNet50Features

PICTURES = (torch.linspace(-1, 1, 256).view(1, 1, 16, 16), torch.zeros(1, 1, 16, 16))


@pytest.fixture(scope="module")
def network() -> LPIPS:
    torch.manual_seed(0)
    return LPIPS()


def published(network: LPIPS, beginnings: tuple[str, ...]) -> dict[str, Tensor]:
    """Its weights under those of the published names that begin so."""
    theirs = {ours: name for name, ours in lpips_names().items() if name.startswith(beginnings)}
    modules = ((key.rpartition("."), value) for key, value in network.state_dict().items())
    return {f"{theirs[module]}.{kind}": value for (module, _, kind), value in modules if module in theirs}


def test_without_a_file_there_is_no_distance() -> None:
    assert lpips() is None
    assert radimagenet() is None


@pytest.mark.parametrize("prefix", ["", "perceptual_model."])
def test_lpips_is_read_alone_or_from_a_vqgan(network: LPIPS, tmp_path: Path, prefix: str) -> None:
    state = {f"{prefix}{key}": value for key, value in published(network, ("net.", "lin")).items()}
    state[f"{prefix}scaling_layer.shift"] = torch.zeros(1, 3, 1, 1)
    if prefix:
        state["encoder.conv_first.conv.bias"] = torch.zeros(1)
    torch.save(state, tmp_path / "lpips.pt")
    read = lpips(tmp_path / "lpips.pt")
    assert_close(read(*PICTURES), network(*PICTURES))


def test_heads_and_vgg_are_read_from_two_files(network: LPIPS, tmp_path: Path) -> None:
    torch.save(published(network, ("lin",)), tmp_path / "vgg.pth")
    convolutions = published(network, ("features.",)) | {"classifier.0.weight": torch.zeros(1)}
    torch.save(convolutions, tmp_path / "vgg16.pth")
    read = lpips(tmp_path / "vgg.pth", vgg_path=tmp_path / "vgg16.pth")
    assert_close(read(*PICTURES), network(*PICTURES))


def test_heads_alone_are_refused(network: LPIPS, tmp_path: Path) -> None:
    torch.save(published(network, ("lin",)), tmp_path / "vgg.pth")
    with pytest.raises(InputError, match=r"vgg.pth: found the heads of LPIPS alone; wanted the convolutions"):
        lpips(tmp_path / "vgg.pth")


def test_the_numbers_of_vgg_leave_room_for_activations_and_poolings() -> None:
    """A pooling lies between stages, an activation behind each convolution."""
    for before, after in pairwise(VGG_LAYERS):
        assert after[0] == before[-1] + 3


@pytest.mark.parametrize("layout", ["torchvision", "numbered"])
def test_radimagenet_is_read_in_both_layouts(tmp_path: Path, layout: str) -> None:
    network = FeatureDistance(ResNet50Features())
    state = {key.removeprefix("features.layers."): value for key, value in network.state_dict().items()}
    if layout == "numbered":
        numbers = {"conv1": 0, "bn1": 1, "layer1": 4, "layer2": 5, "layer3": 6, "layer4": 7}
        split = {key: key.partition(".") for key in state}
        state = {f"backbone.{numbers[first]}.{rest}": state[key] for key, (first, _, rest) in split.items()}
    state["fc.weight"] = torch.zeros(1)
    torch.save(state, tmp_path / "ResNet50.pt")
    read = radimagenet(tmp_path / "ResNet50.pt").state_dict()
    assert all(torch.equal(read[key], value) for key, value in network.state_dict().items())


def test_another_network_is_refused(tmp_path: Path) -> None:
    torch.save({"conv1_conv.weight": torch.zeros(64, 3, 7, 7)}, tmp_path / "keras.pt")
    with pytest.raises(InputError, match=r"keras.pt: found 1 unknown \(conv1_conv.weight\)"):
        radimagenet(tmp_path / "keras.pt")


def test_a_missing_radimagenet_says_where_it_comes_from(tmp_path: Path) -> None:
    wanted = r"ResNet50.pt: found no such file; wanted weights of RadImageNet(.|\n)*BMEII-AI/RadImageNet"
    with pytest.raises(InputError, match=rf"{wanted}(.|\n)*features_path"):
        radimagenet(tmp_path / "ResNet50.pt")
