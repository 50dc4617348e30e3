"""Scores of a classifier that may abstain, against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from transmodal.metrics import (
    area_under_curve,
    bootstrap_interval,
    classification_scores,
    fit_temperature,
    fit_threshold,
    log_loss,
)

CLASSES = ("ct", "mr")
# of four CT two are right, one is called MR and one not answered; of two MR both are right; one of neither is called CT
ANSWERS, LABELS = [0, 0, 1, -1, 1, 1, 0], [0, 0, 0, 0, 1, 1, 2]


def test_accuracy_counts_abstentions_as_wrong_and_answered_accuracy_leaves_them_out() -> None:
    scores = classification_scores(ANSWERS, LABELS, CLASSES)
    assert scores["n"] == 7
    assert scores["accuracy"] == pytest.approx(4 / 7)
    assert scores["abstention_rate"] == pytest.approx(1 / 7)
    assert scores["answered_accuracy"] == pytest.approx(4 / 6)


def test_each_class_is_measured_against_all_others() -> None:
    ct = classification_scores(ANSWERS, LABELS, CLASSES)["classes"]["ct"]
    assert ct == {
        "n": 4,
        "sensitivity": pytest.approx(2 / 4),
        "specificity": pytest.approx(2 / 3),
        "positive_predictive_value": pytest.approx(2 / 3),
        "negative_predictive_value": pytest.approx(2 / 4),
        "abstention_rate": pytest.approx(1 / 4),
    }


def test_no_answer_is_right_for_what_is_of_no_class() -> None:
    scores = classification_scores([-1, 0], [2, 2], CLASSES)
    assert scores["accuracy"] == 0.5
    assert scores["none_of_these"] == {"n": 2, "abstention_rate": 0.5}


def test_a_class_without_cases_has_no_sensitivity() -> None:
    mr = classification_scores([0], [0], CLASSES)["classes"]["mr"]
    assert (mr["n"], mr["sensitivity"], mr["positive_predictive_value"]) == (0, None, None)
    assert mr["specificity"] == 1.0


def test_without_a_case_or_an_answer_nothing_is_claimed() -> None:
    assert classification_scores([], [], CLASSES)["accuracy"] is None
    assert classification_scores([-1], [0], CLASSES)["answered_accuracy"] is None


def test_answers_and_labels_are_of_equal_number() -> None:
    with pytest.raises(ValueError, match="zip"):
        classification_scores([0], [0, 1], CLASSES)


def test_the_area_is_the_share_of_pairs_in_order_with_ties_as_halves() -> None:
    scores, positive = torch.tensor([0.1, 0.4, 0.4, 0.8]), torch.tensor([0, 0, 1, 1])
    assert area_under_curve(scores, positive) == pytest.approx((1 + 0.5 + 1 + 1) / 4)
    assert area_under_curve(-scores, positive) == pytest.approx(1 - 3.5 / 4)


def test_the_area_needs_both_kinds_of_cases() -> None:
    assert area_under_curve(torch.rand(3), torch.ones(3)) is None
    assert area_under_curve(torch.rand(3), torch.zeros(3)) is None
    assert bootstrap_interval(torch.rand(3), torch.ones(3)) is None


def test_the_interval_holds_the_area_and_is_the_same_again() -> None:
    generator = torch.Generator().manual_seed(0)
    positive = torch.arange(60) % 2
    scores = torch.randn(60, generator=generator) + positive
    low, high = bootstrap_interval(scores, positive, draws=300) or (math.nan, math.nan)
    assert 0.5 < low < (area_under_curve(scores, positive) or 0) < high < 1
    assert bootstrap_interval(scores, positive, draws=300) == (low, high)


def test_the_interval_narrows_with_more_cases() -> None:
    def width(count: int) -> float:
        positive = torch.arange(count) % 2
        scores = torch.randn(count, generator=torch.Generator().manual_seed(1)) + positive
        low, high = bootstrap_interval(scores, positive, draws=200) or (0.0, 0.0)
        return high - low

    assert width(400) < 0.6 * width(40)


def test_the_log_loss_is_the_weighted_mean() -> None:
    logits, labels = torch.tensor([[0.0, 0.0], [0.0, 100.0]]), torch.tensor([0, 1])
    assert log_loss(logits, labels) == pytest.approx(math.log(2) / 2)
    assert log_loss(logits, labels, weights=torch.tensor([3.0, 1.0])) == pytest.approx(0.75 * math.log(2))


def test_the_temperature_undoes_the_factor_by_which_logits_are_too_sure() -> None:
    generator = torch.Generator().manual_seed(0)
    honest = torch.randn(4000, 2, generator=generator)
    labels = torch.multinomial(honest.softmax(dim=1), 1, generator=generator)[:, 0]
    assert fit_temperature(4 * honest, labels) == pytest.approx(4.0, rel=0.1)


def test_the_temperature_never_makes_surer() -> None:
    logits = torch.tensor([[0.5, -0.5], [-0.5, 0.5]])
    assert fit_temperature(logits, torch.tensor([0, 1])) == 1.0


def test_the_threshold_is_the_smallest_with_the_accuracy_that_is_wanted() -> None:
    confident = torch.tensor([0.99, 0.97, 0.95, 0.85])
    probabilities, labels = torch.stack([confident, 1 - confident], dim=1), torch.tensor([0, 0, 0, 1])
    assert fit_threshold(probabilities, labels) == pytest.approx(0.851)
    assert fit_threshold(probabilities, labels, wanted=0.7) == pytest.approx(0.8)


def test_an_answer_to_what_is_of_no_class_is_wrong_for_the_threshold() -> None:
    probabilities, labels = torch.tensor([[0.98, 0.02], [0.9, 0.1]]), torch.tensor([0, 2])
    assert fit_threshold(probabilities, labels) == pytest.approx(0.901)


def test_where_nothing_is_good_enough_the_threshold_is_the_highest() -> None:
    assert fit_threshold(torch.tensor([[1.0, 0.0]]), torch.tensor([1])) == 0.99


def test_groups_that_are_single_cases_change_no_draw() -> None:
    scores, positive = torch.rand(30), torch.arange(30) % 3 == 0
    alone = bootstrap_interval(scores, positive, draws=50)
    assert bootstrap_interval(scores, positive, draws=50, groups=[str(number) for number in range(30)]) == alone


def test_cases_of_a_group_are_drawn_together() -> None:
    """Each case four times tells no more than once, and only groups know it."""
    scores, positive = torch.rand(30), torch.arange(30) % 3 == 0
    scores = scores + 0.5 * positive
    once = bootstrap_interval(scores, positive, draws=400)
    repeated, truths = scores.repeat(4), positive.repeat(4)
    narrow = bootstrap_interval(repeated, truths, draws=400)
    wide = bootstrap_interval(repeated, truths, draws=400, groups=[str(number % 30) for number in range(120)])
    assert once is not None
    assert narrow is not None
    assert wide is not None
    assert wide[1] - wide[0] == pytest.approx(once[1] - once[0], rel=0.1)
    assert narrow[1] - narrow[0] < 0.7 * (wide[1] - wide[0])


def test_a_sample_of_groups_without_a_negative_case_is_left_out() -> None:
    scores, positive = torch.tensor([0.9, 0.1, 0.8, 0.7]), torch.tensor([1, 0, 1, 1])
    assert bootstrap_interval(scores, positive, draws=50, groups=["a", "a", "b", "c"]) == (1.0, 1.0)
