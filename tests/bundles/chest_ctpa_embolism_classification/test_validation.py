"""The validation's area, and the decision that it hands to the network."""

from __future__ import annotations

import logging
import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from embolism_bundle.validation import KeepDecision, ValidationArea
from ignite.exceptions import NotComputableError
from torch import nn

from transmodal.metrics import area_under_curve, fit_temperature, log_loss
from transmodal.networks.nets import FindingClassifier

LOGITS, LABELS = [2.0, 1.0, 0.5, -1.0, -2.0], [1, 0, 1, 0, 0]
LEAST = 0.5 / (2 * 3)


def samples(logits: list[float], labels: list[int]) -> list[dict[str, Any]]:
    told = enumerate(zip(logits, labels, strict=True))
    return [{"case": str(number), "pred": torch.tensor([logit]), "label": label} for number, (logit, label) in told]


def measured(logits: list[float], labels: list[int], weight: float = 1.0) -> tuple[float, ValidationArea]:
    area = ValidationArea(weight)
    area.update(samples(logits, labels))
    return area.compute(), area


def test_it_is_the_area_within_the_least_difference_of_two_areas() -> None:
    exact = area_under_curve(torch.tensor(LOGITS), torch.tensor(LABELS))
    value, _ = measured(LOGITS, LABELS)
    assert exact == pytest.approx(5 / 6)
    assert 5 / 6 - LEAST < value < 5 / 6


def test_of_equal_areas_that_of_the_smaller_loss_is_larger() -> None:
    sure, _ = measured([3.0, 2.0, -2.0, -3.0], [1, 1, 0, 0])
    unsure, _ = measured([0.3, 0.2, -0.2, -0.3], [1, 1, 0, 0])
    assert sure > unsure


def test_a_larger_area_counts_more_than_any_loss() -> None:
    """The better order is terribly calibrated; the other has one tie more."""
    better, _ = measured([900.0, 890.0, 889.0], [1, 0, 0])
    calibrated, _ = measured([1.0, 1.0, -1.0], [1, 0, 0])
    assert better > calibrated


def test_the_weight_of_positive_cases_is_taken_off_before_the_temperature_is_fitted() -> None:
    _, area = measured([2 * logit + math.log(3) for logit in LOGITS], LABELS, weight=3.0)
    shifted = torch.tensor(LOGITS).double() * 2
    pairs = torch.stack([torch.zeros(5), shifted], dim=1)
    assert area.offset == pytest.approx(math.log(3))
    assert area.temperature == pytest.approx(fit_temperature(pairs, torch.tensor(LABELS)), rel=1e-4)
    assert area.temperature > 1
    assert log_loss(pairs, torch.tensor(LABELS), area.temperature) < log_loss(pairs, torch.tensor(LABELS))


def test_the_threshold_parts_probabilities() -> None:
    """Midway between those of the logits 0.5 and -1.0, below which no case has the finding."""
    _, area = measured(LOGITS, LABELS)
    ends = torch.sigmoid(torch.tensor([0.5, -1.0]) / area.temperature)
    assert area.threshold == pytest.approx(float(ends.mean()))


def test_a_case_that_is_seen_twice_counts_once() -> None:
    area = ValidationArea()
    area.update(samples(LOGITS, LABELS) + samples(LOGITS[:1], LABELS[:1]))
    assert area.compute() == measured(LOGITS, LABELS)[0]


def test_cases_of_one_kind_are_ranked_by_their_loss_and_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        good, area = measured([-3.0, -3.0], [0, 0])
        bad, _ = measured([-1.0, -1.0], [0, 0])
    assert bad < good < 0
    assert area.threshold == 0.5
    assert "one kind" in caplog.text


def test_a_logit_that_is_no_number_is_never_best() -> None:
    assert measured([math.nan, 1.0], [1, 0])[0] == -math.inf


def test_no_case_is_an_error() -> None:
    with pytest.raises(NotComputableError, match="has seen no case"):
        ValidationArea().compute()


def test_the_network_keeps_the_decision() -> None:
    network = FindingClassifier(nn.Identity())
    fitted = SimpleNamespace(offset=0.5, temperature=2.0, threshold=0.25)
    KeepDecision(network, fitted)(None)  # type: ignore[arg-type]
    assert network.scores(torch.tensor([[0.5]])).tolist() == [[0.5, 0.25]]
