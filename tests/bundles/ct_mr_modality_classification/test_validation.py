"""The validation's loss, and the temperature and threshold that it hands to the network."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from ignite.exceptions import NotComputableError
from modality_bundle.validation import KeepCalibration, ValidationLogLoss

from transmodal.metrics import fit_temperature, log_loss
from transmodal.networks.nets import CalibratedClassifier, SliceClassifier


def sample(name: str, label: int, *logits: list[float]) -> dict[str, Any]:
    return {"case": "a", "name": name, "label": torch.tensor(label), "pred": torch.tensor(logits).reshape(-1, 2)}


CT = sample("ct", 0, [2.0, 0.0], [4.0, 0.0], [-1.0, 0.0])
MR = sample("mr", 1, [0.0, 3.0])


def test_every_image_counts_alike() -> None:
    loss = ValidationLogLoss()
    loss.update([CT, MR])
    logits, labels = torch.cat([CT["pred"], MR["pred"]]), torch.tensor([0, 0, 0, 1])
    weights = torch.tensor([1 / 3, 1 / 3, 1 / 3, 1.0])
    temperature = fit_temperature(logits, labels, weights)
    assert loss.compute() == pytest.approx(log_loss(logits, labels, temperature, weights))
    assert loss.temperature == temperature


def test_an_image_that_is_seen_twice_counts_once() -> None:
    once, twice = ValidationLogLoss(), ValidationLogLoss()
    once.update([CT, MR])
    twice.update([CT, MR, CT])
    assert twice.compute() == once.compute()


def test_images_of_neither_class_move_the_threshold_alone() -> None:
    sure, without = ValidationLogLoss(), ValidationLogLoss()
    without.update([sample("ct", 0, [9.0, 0.0]), MR])
    sure.update([sample("ct", 0, [9.0, 0.0]), MR, sample("xray", 2, [2.5, 0.0])])
    assert sure.compute() == without.compute()
    assert sure.threshold > without.threshold == 0.8


def test_logits_that_are_not_finite_make_the_loss_infinite() -> None:
    loss = ValidationLogLoss()
    loss.update([CT, sample("mr", 1, [float("nan"), 0.0])])
    assert loss.compute() == float("inf")


def test_images_that_show_nothing_are_passed_over_and_nothing_at_all_is_an_error() -> None:
    loss = ValidationLogLoss()
    loss.update([sample("ct", 0)])
    with pytest.raises(NotComputableError, match="no slice"):
        loss.compute()
    loss.update([MR])
    assert loss.compute() > 0


def test_a_reset_forgets_all_images() -> None:
    loss = ValidationLogLoss()
    loss.update([CT])
    loss.reset()
    with pytest.raises(NotComputableError):
        loss.compute()


def test_the_network_is_given_temperature_and_threshold() -> None:
    network, loss = CalibratedClassifier(SliceClassifier(channels=(8,), blocks=(0,))), ValidationLogLoss()
    loss.temperature, loss.threshold = 2.5, 0.91
    KeepCalibration(network, loss)(SimpleNamespace())  # type: ignore[arg-type]
    assert (float(network.temperature), float(network.threshold)) == pytest.approx((2.5, 0.91))
