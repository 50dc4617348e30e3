"""Training that starts from a published ResNet: the right one whole, or none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from monai.networks.nets.resnet import ResNet
from segmentation_bundle.backbone import ResNetLayout, with_pretrained_backbone
from segmentation_bundle.networks import BodySegmenter, ImageNetGrey
from torch import Tensor, nn
from torch.testing import assert_close

from transmodal.errors import InputError
from transmodal.networks.nets import DeepLabV3Plus
from transmodal.networks.nets.deeplab import DilatedResNet

LAYERS, WIDTHS = [1, 2, 1, 1], [4, 5, 6, 7]


def classifier(block: str = "bottleneck", layers: list[int] = LAYERS, channels: int = 3) -> dict[str, Tensor]:
    """The weights of a small ResNet as torchvision publishes those of large ones, with running statistics."""
    arguments: dict[str, Any] = {"conv1_t_stride": 2, "bias_downsample": False, "num_classes": 10}
    state = ResNet(block, layers, WIDTHS, spatial_dims=2, n_input_channels=channels, **arguments).state_dict()
    return {key: torch.rand_like(value) if "running" in key else value for key, value in state.items()}


def segmenter(channels: int = 1, block: str = "bottleneck") -> DeepLabV3Plus:
    return DeepLabV3Plus(in_channels=channels, layers=LAYERS, widths=WIDTHS, block=block, aspp_channels=4)


def backbone(network: nn.Module) -> DilatedResNet:
    return next(module for module in network.modules() if isinstance(module, DilatedResNet))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "resnet.pth"


@pytest.mark.parametrize("block", ["basic", "bottleneck"])
def test_the_weights_of_the_file_become_those_of_the_backbone(file: Path, block: str) -> None:
    state = classifier(block)
    torch.save(state, file)
    network = with_pretrained_backbone(BodySegmenter(ImageNetGrey(segmenter(3, block))), file)
    kept = {key: value for key, value in state.items() if not key.startswith("fc.")}
    assert_close(dict(backbone(network).state_dict()), kept, rtol=0, atol=0)


def test_without_a_file_the_network_stays_as_it_is() -> None:
    network = segmenter()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    assert with_pretrained_backbone(network) is network
    assert_close(dict(network.state_dict()), before, rtol=0, atol=0)


@torch.no_grad()
def test_a_grey_network_sees_with_colour_weights_what_normalised_photographs_show(file: Path) -> None:
    """The stem reaches 3 pixels over the border, where ImageNet's mean colour is filled in instead of grey."""
    torch.save(classifier(), file)
    grey, colour = segmenter(), ImageNetGrey(segmenter(3))
    for network in (grey, colour):
        with_pretrained_backbone(network, file).eval()
    seen: list[Tensor] = []
    for network in (grey, colour):
        backbone(network).bn1.register_forward_hook(lambda *given: seen.append(given[2]))
    image = torch.rand(1, 1, 32, 32) * 2 - 1
    for network in (grey, colour):
        network(image)
    assert_close(seen[0][..., 2:-2, 2:-2], seen[1][..., 2:-2, 2:-2], rtol=1e-4, atol=1e-4)
    assert not torch.allclose(seen[0], seen[1], atol=1e-2)


def test_grey_weights_fit_a_grey_network_as_they_are(file: Path) -> None:
    state = classifier(channels=1)
    torch.save(state, file)
    assert_close(backbone(with_pretrained_backbone(segmenter(), file)).conv1.weight.data, state["conv1.weight"])


def test_counts_that_older_files_lack_may_be_absent(file: Path) -> None:
    torch.save({key: value for key, value in classifier().items() if not key.endswith("num_batches_tracked")}, file)
    assert backbone(with_pretrained_backbone(segmenter(3), file)).bn1.num_batches_tracked == 0


@pytest.mark.parametrize(
    ("state", "found"),
    [
        (
            lambda: classifier("basic"),
            r"ResNet-12 \(basic blocks \[1, 2, 1, 1\], widths \[4, 5, 6, 7\]\) for 3 channels",
        ),
        (lambda: classifier(layers=[1, 2, 3, 1]), r"ResNet-23 \(bottleneck blocks \[1, 2, 3, 1\]"),
        (lambda: classifier(channels=2), "for 2 channels"),
    ],
)
def test_another_resnet_is_refused_with_both_layouts(file: Path, state: Any, found: str) -> None:
    torch.save(state(), file)
    wanted = r"wanted ResNet-17 \(bottleneck blocks \[1, 2, 1, 1\].*(.|\n)*--block, --layers and --widths"
    with pytest.raises(InputError, match=rf"resnet.pth: found .*{found}.*{wanted}"):
        with_pretrained_backbone(segmenter(), file)


def test_a_resnet_that_lacks_a_tensor_is_refused_and_nothing_is_loaded(file: Path) -> None:
    state = classifier()
    del state["layer2.1.bn2.bias"]
    torch.save(state, file)
    network = segmenter(3)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with pytest.raises(InputError, match=r"1 missing \(layer2.1.bn2.bias\)"):
        with_pretrained_backbone(network, file)
    assert_close(dict(network.state_dict()), before, rtol=0, atol=0)


def test_a_grey_network_refuses_colour_weights_that_lack_a_tensor_alike(file: Path) -> None:
    state = classifier()
    del state["bn1.running_mean"]
    torch.save(state, file)
    with pytest.raises(InputError, match=r"1 missing \(bn1.running_mean\)"):
        with_pretrained_backbone(segmenter(), file)


@pytest.mark.parametrize(
    ("state", "found", "remedy"),
    [
        ({"features.0.weight": torch.zeros(1)}, "keys such as features.0.weight", "give a ResNet of torchvision"),
        (
            {f"backbone.{key}": value for key, value in classifier().items()},
            "a whole segmentation network",
            "tools/import_weights.py",
        ),
    ],
)
def test_a_file_that_is_no_resnet_is_refused(file: Path, state: dict[str, Tensor], found: str, remedy: str) -> None:
    torch.save(state, file)
    with pytest.raises(InputError, match=rf"resnet.pth: found {found}.*a ResNet alone(.|\n)*{remedy}"):
        with_pretrained_backbone(segmenter(), file)


def test_the_layout_of_a_resnet_is_read_from_its_tensors() -> None:
    layout = ResNetLayout.of(classifier("basic", [2, 1, 3, 4]))
    assert layout == ResNetLayout("basic", (2, 1, 3, 4), (4, 5, 6, 7), 3)
    assert layout.definition == {"in_channels": 3, "layers": [2, 1, 3, 4], "widths": WIDTHS, "block": "basic"}
