"""The embolism classifier on latents against the published 3D DenseNet-121, and its checkpoint as one of the bundle."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from embolism_bundle.published import recognise
from torch import Tensor

from tests.parity.fill import fill_keys
from transmodal.checkpoints import match
from transmodal.networks.nets import VolumeDenseNet121


@pytest.fixture(scope="module")
def goldens(shared: Path) -> Path:
    return shared / "goldens" / "xray2ctpa"


@pytest.fixture(scope="module")
def state(goldens: Path) -> dict[str, Tensor]:
    return fill_keys(json.loads((goldens / "pe_classifier_keys.json").read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def network(state: dict[str, Tensor]) -> VolumeDenseNet121:
    network = VolumeDenseNet121(in_channels=4, first_stride=(1, 2, 2), dropout=0.2).eval()
    published = recognise(state, "classification_model_256.pth.tar")
    network.load_state_dict(match(state, network.state_dict(), published.key_map, where="golden")[0])
    return network


@torch.no_grad()
def test_features_and_logit_are_those_of_the_published_network(goldens: Path, network: VolumeDenseNet121) -> None:
    golden = np.load(goldens / "pe_classifier_golden.npz")
    values = np.random.RandomState(1006).standard_normal((1, 4, 64, 32, 32)).astype(np.float32)
    features = network.features(torch.from_numpy(values))
    torch.testing.assert_close(features, torch.from_numpy(golden["features"]), rtol=1e-4, atol=2e-5)
    torch.testing.assert_close(network.class_layers(features), torch.from_numpy(golden["logit"]), rtol=1e-4, atol=2e-5)


def test_the_network_has_as_many_weights_as_the_published_one(network: VolumeDenseNet121) -> None:
    assert sum(parameter.numel() for parameter in network.parameters()) == 11_309_505


def test_every_published_tensor_has_its_place_and_none_is_left_over(
    state: dict[str, Tensor], network: VolumeDenseNet121
) -> None:
    published = recognise(state, "golden")
    _, report = match(state, network.state_dict(), published.key_map, where="golden")
    assert (len(report.loaded), dict(report.dropped), dict(report.zeroed)) == (len(state), {}, {})
