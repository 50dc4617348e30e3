"""The network is found again from its weights alone, and other weights are refused."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import torch
from monai.data import MetaTensor

from transmodal.checkpoints import save_weights
from transmodal.errors import InputError
from transmodal.modality import ModalityClassifier, decide
from transmodal.networks.nets import CalibratedClassifier, SliceClassifier


@pytest.fixture
def network() -> CalibratedClassifier:
    return CalibratedClassifier(
        SliceClassifier(channels=(8, 24, 16), blocks=(0, 2, 1)), temperature=1.5, threshold=0.5
    ).eval()


@pytest.fixture
def weights(network: CalibratedClassifier, tmp_path: Path) -> Path:
    save_weights(network.state_dict(), tmp_path / "model.pt")
    return tmp_path / "model.pt"


def test_weights_alone_make_the_same_network(network: CalibratedClassifier, weights: Path) -> None:
    image = torch.rand((1, 30, 20, 4))
    loaded = ModalityClassifier.load(weights)
    torch.testing.assert_close(loaded.scores(image), ModalityClassifier(network).scores(image))
    assert float(loaded.network.threshold) == 0.5


def test_the_verdict_is_that_of_the_scores(weights: Path) -> None:
    classifier, image = ModalityClassifier.load(weights), torch.rand((1, 30, 20, 4))
    assert classifier(image) == decide(classifier.scores(image))
    assert classifier(image).by == "network"


def test_units_and_metadata_do_not_matter(weights: Path) -> None:
    classifier, image = ModalityClassifier.load(weights), torch.rand((1, 30, 20, 4))
    scaled = MetaTensor(5000 * image - 1024)
    torch.testing.assert_close(classifier.scores(scaled), classifier.scores(image), atol=1e-4, rtol=0)
    assert type(classifier.scores(scaled)) is torch.Tensor


def test_missing_weights_are_refused_with_what_makes_them(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="ct_mr_modality_classification"):
        ModalityClassifier.load(tmp_path / "model.pt")


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    torch.save({"ct.head.weight": torch.zeros(3)}, tmp_path / "model.pt")
    with pytest.raises(InputError, match=r"tensors such as ct\.head\.weight"):
        ModalityClassifier.load(tmp_path / "model.pt")


def test_incomplete_weights_are_refused(network: CalibratedClassifier, tmp_path: Path) -> None:
    state = network.state_dict()
    del state["threshold"]
    torch.save(state, tmp_path / "model.pt")
    with pytest.raises(InputError, match="threshold"):
        ModalityClassifier.load(tmp_path / "model.pt")


def test_a_large_volume_takes_a_second_or_two_of_one_thread() -> None:
    classifier = ModalityClassifier(CalibratedClassifier(SliceClassifier()))
    volume = torch.rand((1, 512, 512, 40))
    started = time.process_time()
    classifier(volume)
    assert time.process_time() - started < 2.0
