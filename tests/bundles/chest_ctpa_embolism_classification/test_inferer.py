"""Logits for a validation, probability and threshold for everybody else."""

from __future__ import annotations

import pytest
import torch
from embolism_bundle.inferer import FindingInferer
from torch import nn

from transmodal.errors import InputError
from transmodal.networks.nets import FindingClassifier

NETWORK = FindingClassifier(nn.Sequential(nn.Flatten(), nn.Linear(4, 1)), threshold=0.3)
IMAGE = torch.rand(2, 1, 2, 2)


def test_a_validation_gets_logits() -> None:
    torch.testing.assert_close(FindingInferer(calibrated=False)(IMAGE, NETWORK), NETWORK(IMAGE))


def test_others_get_probability_and_threshold() -> None:
    torch.testing.assert_close(FindingInferer()(IMAGE, NETWORK), NETWORK.scores(NETWORK(IMAGE)))


def test_with_amp_the_decision_is_still_exact() -> None:
    scores = FindingInferer(amp=True)(IMAGE, NETWORK)
    assert scores.dtype == torch.float64
    torch.testing.assert_close(scores, NETWORK.scores(NETWORK(IMAGE)), rtol=0, atol=0.02)


@pytest.mark.parametrize("name", ["calibrated", "amp"])
def test_a_flag_that_is_a_string_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=f"FindingInferer, {name}: found 'true'"):
        FindingInferer(**{name: "true"})  # type: ignore[arg-type]
