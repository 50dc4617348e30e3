"""Published DeepLabs, told apart by their tensors, and everything else refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser
from segmentation_bundle.published import deeplab_names, recognise
from torch import Tensor
from torch.testing import assert_close

from transmodal.checkpoints import match, read_checkpoint
from transmodal.errors import InputError
from transmodal.networks.nets import DeepLabV3, DeepLabV3Plus

SMALL: dict[str, Any] = {"layers": [1, 2, 1, 1], "widths": [4, 5, 6, 7], "block": "bottleneck", "aspp_channels": 8}


def published(network: DeepLabV3 | DeepLabV3Plus) -> dict[str, Tensor]:
    """The tensors of our network under the published names."""
    ours = {name: key for key, name in deeplab_names(isinstance(network, DeepLabV3Plus)).items()}
    state = {}
    for key, value in network.state_dict().items():
        module, _, tensor = key.rpartition(".")
        state["backbone" + key.removeprefix("backbone") if module not in ours else f"{ours[module]}.{tensor}"] = value
    return state


def test_v3_plus_is_recognised_with_the_output_stride_of_the_config() -> None:
    found = recognise(published(DeepLabV3Plus(5, 1, low_level_channels=3, **SMALL)), where="best.pth")
    assert found.definition == {
        "_target_": "transmodal.networks.nets.DeepLabV3Plus",
        "num_classes": 5,
        "in_channels": 1,
        "output_stride": "@output_stride",
        "low_level_channels": 3,
        "dropout": 0.1,
        **SMALL,
    }
    assert found.title == (
        "DeepLabV3+ on ResNet-17 (bottleneck blocks [1, 2, 1, 1], widths [4, 5, 6, 7]) for 1 channel, 5 classes"
    )


def test_v3_is_recognised_with_the_output_stride_of_torchvision() -> None:
    found = recognise(published(DeepLabV3(21, 1, **SMALL)), where="deeplabv3.pth")
    assert found.definition == {
        "_target_": "transmodal.networks.nets.DeepLabV3",
        "num_classes": 21,
        "in_channels": 1,
        "output_stride": 8,
        "dropout": 0.5,
        **SMALL,
    }


def test_basic_blocks_are_told_from_bottlenecks() -> None:
    basic = {**SMALL, "block": "basic"}
    assert recognise(published(DeepLabV3Plus(2, 1, **basic)), where="x").definition["block"] == "basic"


@pytest.mark.parametrize("network", [DeepLabV3, DeepLabV3Plus])
@torch.no_grad()
def test_a_colour_network_is_imported_behind_the_normalisation_of_imagenet(network: Any) -> None:
    original = network(2, 3, **SMALL).eval()
    state = published(original)
    found = recognise(state, where="x")
    ours = ConfigParser({"output_stride": 16, "network": found.definition}).get_parsed_content("network").eval()
    ours.load_state_dict(match(state, ours.state_dict(), found.key_map, where="x")[0])
    colours = torch.randn(1, 3, 32, 40)
    assert_close(ours.network(colours), original(colours), rtol=0, atol=0)
    assert found.definition["_target_"] == "segmentation_bundle.networks.ImageNetGrey"


def test_the_auxiliary_head_of_torchvision_is_dropped_with_a_reason() -> None:
    original = DeepLabV3(2, 1, **SMALL)
    state = published(original) | {"aux_classifier.0.weight": torch.zeros(2, 24, 3, 3)}
    report = match(state, original.state_dict(), recognise(state, where="x").key_map, where="x")[1]
    assert "1 dropped, because the auxiliary head adds a loss in training alone" in str(report)


def test_a_whole_training_of_v3_plus_is_read(tmp_path: Path) -> None:
    """The file of the published training: the weights beside optimizer, counters and a score that NumPy computed."""
    state = published(DeepLabV3Plus(2, 1, **SMALL))
    training = {"cur_itrs": 10, "model_state": state, "optimizer_state": {}, "best_score": np.float64(0.7)}
    torch.save(training, tmp_path / "best.pth")
    assert list(read_checkpoint(tmp_path / "best.pth")) == list(state)


@pytest.mark.parametrize(
    ("key", "what"),
    [
        ("layer1.0.conv1.weight", "a ResNet alone(.|\n)*start from a ResNet of ImageNet by --pretrained FILE"),
        ("backbone.low_level_features.0.0.weight", "a DeepLab on MobileNet"),
        ("backbone.0.0.weight", "a DeepLab on MobileNet"),
        ("backbone.stage2.0.weight", "a DeepLab on HRNet"),
        ("backbone.block1.rep.0.weight", "a DeepLab on Xception"),
        ("classifier.aspp.convs.1.0.body.0.weight", "separable convolutions"),
        ("classifier.classifier.0.convs.0.0.weight", "without the decoder"),
        ("classifier.0.weight", "FCN"),
        ("model.1.weight", r"keys such as model\.1\.weight"),
    ],
)
def test_another_network_is_refused_by_name(key: str, what: str) -> None:
    with pytest.raises(InputError, match=rf"net.pth: found (.|\n)*{what}") as refused:
        recognise({key: torch.zeros(2, 2, 1, 1)}, where="net.pth")
    assert "wanted a DeepLabV3+ of the VainF collection or a DeepLabV3 of torchvision, on a ResNet" in str(
        refused.value
    )


@pytest.mark.parametrize("missing", ["backbone.conv1.weight", "backbone.layer3.0.conv1.weight", "classifier.4.weight"])
def test_a_deeplab_that_lacks_what_tells_its_layout_is_refused(missing: str) -> None:
    state = published(DeepLabV3(2, 1, **SMALL))
    del state[missing]
    with pytest.raises(InputError, match="keys such as"):
        recognise(state, where="x")


def test_a_network_for_neither_grey_nor_colour_images_is_refused() -> None:
    with pytest.raises(InputError, match="a DeepLab for images of 4 channels"):
        recognise(published(DeepLabV3(2, 4, **SMALL)), where="x")
