"""How well a classifier that may abstain does, and how its temperature and threshold are chosen on validation data.

Sources: temperature scaling, Guo et al., ICML 2017 (arXiv:1706.04599); area under the ROC curve as the probability that
a positive case ranks above a negative one, Hanley and McNeil, Radiology 143 (1982); percentile bootstrap, Efron 1979.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from transmodal.metrics.roc import numbers

__all__ = [
    "area_under_curve",
    "bootstrap_interval",
    "classification_scores",
    "fit_temperature",
    "fit_threshold",
    "log_loss",
]

ABSTAINED = -1
"""An answer that is none."""


def classification_scores(answers: Sequence[int], labels: Sequence[int], classes: Sequence[str]) -> dict[str, Any]:
    """Accuracy and abstentions over all cases, and for each class sensitivity and specificity.

    A label outside the classes says that the case is of none of them; no answer is then the right one. A measure
    without a case to count is None, never 0 or 1.

    Args:
        answers: index of the class answered, or -1 for an abstention.
        labels: index of the true class; any other number for none of the classes.
        classes: their names.
    Returns:
        ``n``, ``accuracy`` (an abstention on a case of a class counts as wrong), ``abstention_rate``,
        ``answered_accuracy`` (among the cases that got an answer), and under ``classes`` of each ``n``,
        ``sensitivity``, ``specificity``, ``positive_predictive_value``, ``negative_predictive_value`` and
        ``abstention_rate``; under ``none_of_these`` ``n`` and ``abstention_rate`` of the cases of no class.
    """
    pairs = [(a, t if 0 <= t < len(classes) else ABSTAINED) for a, t in zip(answers, labels, strict=True)]
    answered = [(a, t) for a, t in pairs if a != ABSTAINED]
    strangers = [a for a, t in pairs if t == ABSTAINED]
    return {
        "n": len(pairs),
        "accuracy": _share([a == t for a, t in pairs]),
        "abstention_rate": _share([a == ABSTAINED for a, _ in pairs]),
        "answered_accuracy": _share([a == t for a, t in answered]),
        "classes": {name: _of_class(pairs, index) for index, name in enumerate(classes)},
        "none_of_these": {
            "n": len(strangers),
            "abstention_rate": _share([a == ABSTAINED for a in strangers]),
        },
    }


def _of_class(pairs: Sequence[tuple[int, int]], index: int) -> dict[str, Any]:
    """Measures of one class against all others; an abstention is no answer of this class."""
    positives, negatives = [a for a, t in pairs if t == index], [a for a, t in pairs if t != index]
    called, not_called = [t for a, t in pairs if a == index], [t for a, t in pairs if a != index]
    return {
        "n": len(positives),
        "sensitivity": _share([a == index for a in positives]),
        "specificity": _share([a != index for a in negatives]),
        "positive_predictive_value": _share([t == index for t in called]),
        "negative_predictive_value": _share([t != index for t in not_called]),
        "abstention_rate": _share([a == ABSTAINED for a in positives]),
    }


def _share(outcomes: Sequence[bool]) -> float | None:
    return sum(outcomes) / len(outcomes) if outcomes else None


def area_under_curve(scores: Tensor, positive: Tensor) -> float | None:
    """The probability that a positive case scores higher than a negative one, ties counted as a half.

    Args:
        scores: (N,).
        positive: (N,), true or 1 for the positive cases.
    Returns:
        From 0 to 1; None unless there are both positive and negative cases.
    Raises:
        InputError: if a score is not a number.
    """
    chosen, scores = positive.bool(), numbers(scores)
    high, low = scores[chosen], scores[~chosen]
    if len(high) == 0 or len(low) == 0:
        return None
    ordered = low.sort().values
    below = torch.searchsorted(ordered, high, side="left")
    up_to = torch.searchsorted(ordered, high, side="right")
    return float(((below + up_to).double() / 2).mean() / len(low))


def bootstrap_interval(
    scores: Tensor,
    positive: Tensor,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
    groups: Sequence[str] | None = None,
) -> tuple[float, float] | None:
    """The percentile bootstrap interval of :func:`area_under_curve`, cases drawn with replacement within each class.

    Drawing within the classes keeps both in every sample. Of perfectly separated cases the interval is (1, 1), which
    says nothing of how far it would be for others.

    Args:
        scores, positive: as for the area.
        level: of confidence.
        draws: number of samples.
        seed: of the draws.
        groups: (N,), whose case each is. Whole groups are then drawn, within those that have a positive case and those
            that have none; a sample without a negative case is left out. Without it each case is its own group.
    Returns:
        Lower and upper bound; None unless there are both positive and negative cases.
    Raises:
        InputError: if a score is not a number.
    """
    chosen, scores = positive.bool(), numbers(scores)
    if not bool(chosen.any()) or bool(chosen.all()):
        return None
    strata = _strata(chosen, range(len(chosen)) if groups is None else groups)
    generator = torch.Generator().manual_seed(seed)
    areas = []
    for _ in range(draws):
        picks = [
            group[number]
            for group in strata
            for number in torch.randint(len(group), (len(group),), generator=generator).tolist()
        ]
        sample = torch.cat(picks)
        areas.append(area_under_curve(scores[sample], chosen[sample]))
    ordered = torch.tensor([area for area in areas if area is not None], dtype=torch.float64)
    lower, upper = torch.quantile(ordered, torch.tensor([(1 - level) / 2, (1 + level) / 2], dtype=torch.float64))
    return float(lower), float(upper)


def _strata(positive: Tensor, groups: Sequence[object]) -> list[list[Tensor]]:
    """Indices of each group's cases: those of groups with a positive case, and those of the others, if any."""
    members: dict[object, list[int]] = {}
    for index, group in enumerate(groups):
        members.setdefault(group, []).append(index)
    cases = [torch.tensor(indices) for indices in members.values()]
    return [
        stratum
        for stratum in ([each for each in cases if bool(positive[each].any()) == kind] for kind in (True, False))
        if stratum
    ]


def log_loss(logits: Tensor, labels: Tensor, temperature: float = 1.0, weights: Tensor | None = None) -> float:
    """Mean negative logarithm of the probability of the true class.

    Args:
        logits: (N, K), at least one.
        labels: (N,), indices of classes.
        temperature: the logits are divided by it.
        weights: (N,) of the cases; equal if None.
    """
    losses = functional.cross_entropy(logits.double() / temperature, labels.long(), reduction="none")
    weights = torch.ones_like(losses) if weights is None else weights.double()
    return float((losses * weights).sum() / weights.sum())


def fit_temperature(
    logits: Tensor, labels: Tensor, weights: Tensor | None = None, lowest: float = 1.0, highest: float = 20.0
) -> float:
    """The temperature with the smallest log loss, by golden-section search over its logarithm.

    Args:
        logits, labels, weights: of :func:`log_loss`.
        lowest: 1 by default, so that calibration only ever takes confidence away: of validation data without an error
            the smallest loss lies at temperature 0, which would make the network sure of anything.
        highest: upper end of the search.
    """
    ratio = (math.sqrt(5) - 1) / 2
    low, high = math.log(lowest), math.log(highest)
    while high - low > 1e-4:
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        if log_loss(logits, labels, math.exp(left), weights) <= log_loss(logits, labels, math.exp(right), weights):
            high = right
        else:
            low = left
    return math.exp((low + high) / 2) if low > math.log(lowest) else lowest


def fit_threshold(
    probabilities: Tensor, labels: Tensor, wanted: float = 0.99, lowest: float = 0.8, highest: float = 0.99
) -> float:
    """The smallest threshold above which answers are right as often as wanted.

    Args:
        probabilities: (N, K), calibrated.
        labels: (N,), indices of classes; any other number for none of them, of which every answer is wrong.
        wanted: accuracy among the cases that are answered.
        lowest, highest: bounds of the threshold; ``highest`` also where nothing reaches what is wanted.
    """
    confidence, answer = probabilities.max(dim=1)
    right = answer == labels
    for step in range(round(lowest * 1000), round(highest * 1000) + 1):
        answered = confidence >= step / 1000
        if not bool(answered.any()) or float(right[answered].float().mean()) >= wanted:
            return step / 1000
    return highest
