"""The loss, against the definition."""

from __future__ import annotations

import math

import pytest
import torch
from embolism_bundle.objective import FindingObjective
from torch import nn


def loss_of(logits: list[float], labels: list[float], weight: float) -> float:
    objective = FindingObjective(nn.Identity(), weight)
    batch = {"image": torch.tensor(logits)[:, None], "label": torch.tensor(labels)[:, None]}
    return float(objective.terms(batch)["cross_entropy"])


def test_a_positive_case_weighs_as_many_times_as_it_is_told() -> None:
    present, absent = -math.log(1 / (1 + math.exp(-0.5))), -math.log(1 - 1 / (1 + math.exp(1.0)))
    assert loss_of([0.5, -1.0], [1, 0], weight=3.0) == pytest.approx((3 * present + absent) / 2)


def test_the_loss_is_least_where_the_logit_is_the_weighted_logarithm_of_the_odds() -> None:
    best, weight = math.log(2.0 * 1 / 3), 2.0  # one positive case, three negative ones
    losses = [loss_of([best + step] * 4, [1, 0, 0, 0], weight) for step in (-0.1, 0.0, 0.1)]
    assert losses[1] < min(losses[0], losses[2])
