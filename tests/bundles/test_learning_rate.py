"""The learning rate of a finished training that is extended: it goes on low, and does not rise to where it began."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from monai.bundle import ConfigParser

CLASSIFIERS = ("chest_ctpa_embolism_classification", "ct_mr_modality_classification")


def scheduler(bundle: Path, max_epochs: int) -> Any:
    """What ``configs/train.json`` makes for a network of one number, at a rate of 1."""
    config = json.loads((bundle / "configs" / "train.json").read_text(encoding="utf-8"))
    config["classifier_optimizer"] = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    return ConfigParser(config | {"max_epochs": max_epochs}).get_parsed_content("scheduler")


def step(schedule: Any, epochs: int) -> list[float]:
    """The rate after each of further epochs."""
    rates = []
    for _ in range(epochs):
        schedule.optimizer.step()
        schedule.step()
        rates.append(schedule.optimizer.param_groups[0]["lr"])
    return rates


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_an_extended_training_does_not_rise_to_its_first_rate(name: str, root: Path) -> None:
    finished, extended = (scheduler(root / "bundles" / name, epochs) for epochs in (4, 8))
    step(finished, 4)
    extended.load_state_dict(finished.state_dict())
    rates = step(extended, 4)
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] == pytest.approx(0, abs=1e-6)
