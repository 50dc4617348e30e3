"""From a logit to a probability and an answer, and weights that know what they were trained for."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from transmodal.errors import InputError
from transmodal.networks.nets import Decision, FindingClassifier


def classifier(**settings: float | str) -> FindingClassifier:
    return FindingClassifier(nn.Sequential(nn.Flatten(), nn.Linear(4, 1)), **settings)  # type: ignore[arg-type]


def test_its_output_is_the_logit_of_its_classifier() -> None:
    network, image = classifier(), torch.rand(3, 1, 2, 2)
    torch.testing.assert_close(network(image), network.classifier(image))


def test_a_probability_is_that_of_the_logit_less_the_offset_over_the_temperature() -> None:
    decision = Decision(offset=math.log(3), temperature=2.0)
    probability = decision(torch.tensor([[math.log(3)], [math.log(3) + 2.0]]))
    assert probability.tolist() == pytest.approx([0.5, 1 / (1 + math.exp(-1.0))])


def test_a_weight_on_positive_cases_is_taken_off_again() -> None:
    """With weight w the best logit of a case with odds o is log(w o), by the derivative of the loss."""
    share, weight = 0.2, 4.0
    logit = torch.tensor([math.log(weight * share / (1 - share))])
    assert float(Decision(offset=math.log(weight))(logit)) == pytest.approx(share)


def test_sure_cases_keep_their_order() -> None:
    low, high = Decision()(torch.tensor([[24.0], [25.0]]))
    assert low < high


def test_the_score_of_a_yes_stands_behind_the_probability() -> None:
    scores = classifier(threshold=0.3).scores(torch.zeros(2, 1))
    torch.testing.assert_close(scores, torch.tensor([[0.5, 0.3], [0.5, 0.3]]).double(), rtol=0, atol=1e-7)


def test_the_decision_travels_with_the_weights() -> None:
    network, other = classifier(), classifier()
    network.decision.fix(offset=0.5, temperature=1.5, threshold=0.25)
    other.load_state_dict(network.state_dict())
    assert str(other.decision) == "Decision(offset=0.5, temperature=1.5, threshold=0.25)"


def test_a_case_whose_probability_is_the_threshold_is_a_yes() -> None:
    logits = torch.linspace(-4, 4, 50)
    network = classifier()
    for logit in logits:
        network.decision.fix(math.log(3.3), 1.37, threshold=0.5)
        network.decision.fix(math.log(3.3), 1.37, threshold=float(network.decision(logit[None])))
        ((probability, threshold),) = network.scores(logit[None]).tolist()
        assert probability >= threshold


def test_a_decision_in_single_precision_is_loaded() -> None:
    """As weights of before have it."""
    network, state = classifier(), classifier(threshold=0.25).state_dict()
    network.load_state_dict({key: value.float() if "decision" in key else value for key, value in state.items()})
    assert float(network.decision.threshold) == 0.25


def test_weights_of_another_task_are_refused() -> None:
    network = classifier(task="embolism in xray")
    with pytest.raises(InputError, match="found a network for embolism in ct; wanted one for embolism in xray"):
        network.load_state_dict(classifier(task="embolism in ct").state_dict())


def test_only_the_classifier_is_trained() -> None:
    assert [name for name, _ in classifier().named_parameters()] == ["classifier.1.weight", "classifier.1.bias"]
