"""From a published file through tools/import_weights.py to the bundle's inference, with another number of classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser
from segmentation_bundle.networks import BodySegmenter
from segmentation_bundle.published import deeplab_names
from torch.testing import assert_close

from import_weights import import_weights
from transmodal.checkpoints import load_weights
from transmodal.errors import InputError
from transmodal.networks.nets import DeepLabV3Plus

BUNDLE = "ct_mr_body_segmentation"


@pytest.fixture
def colour() -> DeepLabV3Plus:
    """A small network of photographs for the 21 classes of Pascal VOC."""
    return DeepLabV3Plus(21, 3, layers=[1, 1, 1, 1], widths=[4, 4, 4, 4], output_stride=8, aspp_channels=4).eval()


@pytest.fixture
def file(tmp_path: Path, colour: DeepLabV3Plus) -> Path:
    """Its training as published."""
    ours = {name: key for key, name in deeplab_names(plus=True).items()}
    state = {}
    for key, value in colour.state_dict().items():
        module, _, tensor = key.rpartition(".")
        state[f"{ours[module]}.{tensor}" if module in ours else key] = value
    torch.save({"cur_itrs": 3, "model_state": state, "best_score": np.float64(0.7)}, tmp_path / "best.pth")
    return tmp_path / "best.pth"


@torch.no_grad()
def test_a_person_of_pascal_voc_becomes_the_body(root: Path, file: Path, colour: DeepLabV3Plus) -> None:
    weights = file.with_name("model.pt")
    report = import_weights(BUNDLE, {"segmenter": file}, weights, ids={"body_classes": [15], "output_stride": 8})
    assert "DeepLabV3+ on ResNet-14" in report
    assert "21 classes" in report
    config = ConfigParser()
    config.read_config([str(root / "bundles" / BUNDLE / "configs/inference.json"), str(weights.with_suffix(".json"))])
    network = load_weights(config.get_parsed_content("network_def"), weights).eval()
    image = torch.rand(1, 1, 40, 32)
    mean, std = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1), torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    person = colour(((image + 1) / 2 - mean) / std).softmax(dim=1)[:, 15]
    assert_close(network(image).softmax(dim=1)[:, 1], person)


def test_a_file_of_many_classes_is_not_imported_until_the_body_is_told(file: Path) -> None:
    weights = file.with_name("model.pt")
    with pytest.raises(InputError, match=r"for a network of 21 classes(.|\n)*--body_classes \"\[15\]\""):
        import_weights(BUNDLE, {"segmenter": file}, weights)
    assert not weights.exists()


def test_the_network_of_training_and_inference_is_one_body_segmenter(root: Path) -> None:
    for name in ("train", "inference"):
        config = ConfigParser()
        config.read_config(str(root / "bundles" / BUNDLE / f"configs/{name}.json"))
        with torch.device("meta"):
            network = config.get_parsed_content("network_def")
        assert isinstance(network, BodySegmenter)
        assert sum(parameter.numel() for parameter in network.segmenter.backbone.parameters()) == 23_501_760
