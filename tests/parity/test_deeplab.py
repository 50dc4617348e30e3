"""DeepLab against the published networks: same outputs from the same deterministic weights, through the key maps.

The reference networks are as wide as published, so each is built once for all tests of this module.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser
from segmentation_bundle.backbone import ResNetLayout
from segmentation_bundle.networks import ImageNetGrey
from segmentation_bundle.published import recognise
from torch import Tensor, nn
from torch.testing import assert_close

from tests.parity.fill import fill_keys
from transmodal.checkpoints import match
from transmodal.networks.nets.deeplab import DilatedResNet

PLUS, PLAIN = "deeplabv3plus_resnet50_vainf", "torchvision_deeplabv3_resnet50"


def published_keys(shared: Path, name: str) -> list[tuple[str, list[int], str]]:
    keys: list[tuple[str, list[int], str]] = json.loads((shared / "goldens/gan" / f"{name}_keys.json").read_text())
    return keys


def published_shapes(shared: Path, name: str) -> dict[str, Tensor]:
    return {key: torch.empty(shape, device="meta") for key, shape, _ in published_keys(shared, name)}


def golden(shared: Path, name: str) -> dict[str, Tensor]:
    arrays = np.load(shared / "goldens/gan" / f"{name}_golden.npz")
    return {key: torch.from_numpy(arrays[key]) for key in arrays.files}


def built(state: dict[str, Tensor], device: str) -> nn.Module:
    """The network that the published tensors are recognised as."""
    config = ConfigParser({"output_stride": 16, "network": dict(recognise(state, where="published").definition)})
    with torch.device(device):
        network: nn.Module = config.get_parsed_content("network")
    return network


def imported(state: dict[str, Tensor]) -> ImageNetGrey:
    """The recognised network with the published weights, in the mode of inference."""
    network = built(state, "cpu")
    assert isinstance(network, ImageNetGrey)
    weights, _ = match(state, network.state_dict(), recognise(state, where="published").key_map, where="published")
    network.load_state_dict(weights)
    return network.eval()


@pytest.fixture(scope="module")
def plus(shared: Path) -> ImageNetGrey:
    """V3+ of the reference numbers, whose head has two classes."""
    keys = published_keys(shared, PLUS)
    return imported(
        fill_keys([(key, [2 if size == 21 else size for size in shape], dtype) for key, shape, dtype in keys])
    )


@pytest.fixture(scope="module")
def plain(shared: Path) -> ImageNetGrey:
    return imported(fill_keys(published_keys(shared, PLAIN)))


@torch.no_grad()
def test_v3_plus_classifies_as_published(shared: Path, plus: ImageNetGrey) -> None:
    expected = golden(shared, "deeplabv3plus_resnet50_os16")
    assert_close(plus.network(expected["x"]), expected["out"], rtol=0, atol=1e-5)


@torch.no_grad()
def test_the_dilated_backbone_sees_as_published(shared: Path, plus: ImageNetGrey) -> None:
    expected = golden(shared, "deeplabv3plus_resnet50_os16")
    fine, coarse = plus.network.backbone(expected["x"])
    assert_close(fine.mean(dim=(2, 3)), expected["low_level_chmean"], rtol=0, atol=1e-5)
    assert_close(coarse.mean(dim=(2, 3)), expected["high_chmean"], rtol=0, atol=1e-5)


@torch.no_grad()
def test_v3_classifies_as_torchvision_does(shared: Path, plain: ImageNetGrey) -> None:
    expected = golden(shared, PLAIN)
    assert_close(plain.network(expected["x"]), expected["out"], rtol=0, atol=1e-5)


@torch.no_grad()
def test_grey_images_pass_as_normalised_photographs(plus: ImageNetGrey) -> None:
    """Black and white photographs in [0, 1], normalised by ImageNet's mean and standard deviation."""
    photograph = torch.rand(1, 1, 48, 48)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    normalised = (photograph.repeat(1, 3, 1, 1) - mean.view(1, 3, 1, 1)) / std.view(1, 3, 1, 1)
    assert_close(plus(2 * photograph - 1), plus.network(normalised), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        (PLUS, 39_761_845),
        ("deeplabv3plus_resnet101_vainf", 58_753_973),
        (PLAIN, 42_004_074),
        ("torchvision_deeplabv3_resnet101", 60_996_202),
    ],
)
def test_keys_and_shapes_are_those_of_the_published_full_size(shared: Path, name: str, parameters: int) -> None:
    """Also their number: that of V3 with torchvision's auxiliary head, which is dropped."""
    state = published_shapes(shared, name)
    network = built(state, "meta")
    weights, report = match(_finite(state), network.state_dict(), recognise(state, where=name).key_map, where=name)
    assert list(weights) == list(network.state_dict())
    assert not report.zeroed
    assert sorted(report.dropped) == [key for key in sorted(state) if key.startswith("aux_classifier.")]
    ours = sum(parameter.numel() for parameter in network.parameters())
    auxiliary = sum(state[key].numel() for key in report.dropped if key.endswith(("weight", "bias")))
    assert ours + auxiliary == parameters


def test_the_backbone_has_the_keys_and_shapes_of_the_published_resnet(shared: Path) -> None:
    state = published_shapes(shared, "torchvision_resnet50")
    with torch.device("meta"):
        backbone = DilatedResNet(**ResNetLayout.of(state).definition, spatial_dims=2, output_stride=16)
    shapes = {key: tuple(value.shape) for key, value in state.items() if not key.startswith("fc.")}
    assert {key: tuple(value.shape) for key, value in backbone.state_dict().items()} == shapes


def _finite(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Zeros of these shapes that take up no memory; tensors on ``meta`` have no values to look at."""
    return {key: torch.zeros(()).expand(value.shape) for key, value in state.items()}
