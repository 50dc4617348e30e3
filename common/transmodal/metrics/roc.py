"""How well a score tells cases with a finding from those without: the ROC curve, a threshold, and rates at it.

Sources: the index of a threshold, W. J. Youden, Cancer 3 (1950) 32-35; intervals of proportions, E. B. Wilson, JASA 22
(1927) 209-212, as recommended by Brown, Cai and DasGupta, Statistical Science 16 (2001) 101-133.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from transmodal.errors import InputError

__all__ = ["Confusion", "Rate", "RocCurve", "confusion", "rates", "roc_curve", "wilson_interval", "youden_threshold"]


class RocCurve(NamedTuple):
    """What a yes from each threshold on would mean, from the strictest threshold to the laxest.

    ``thresholds`` begins with infinity (nobody is called positive) and then has each distinct score once, (K + 1,);
    ``sensitivity`` and ``false_positive_rate``, (K + 1,), rise from 0 to 1. All in double precision.
    """

    thresholds: Tensor
    sensitivity: Tensor
    false_positive_rate: Tensor


class Confusion(NamedTuple):
    """Numbers of cases by answer and truth."""

    true_positive: int
    false_positive: int
    true_negative: int
    false_negative: int


class Rate(NamedTuple):
    """A proportion as ``value``, with the numbers it comes from and its Wilson interval; None of no case at all."""

    value: float | None
    successes: int
    trials: int
    interval: tuple[float, float] | None


def roc_curve(scores: Tensor, positive: Tensor) -> RocCurve | None:
    """The receiver operating characteristic, one point for each distinct score; its area counts ties as a half.

    Args:
        scores: (N,), larger where the finding is likelier.
        positive: (N,), true or 1 for the cases that have it.
    Returns:
        The curve; None unless there are both positive and negative cases.
    Raises:
        InputError: if a score is not a number.
    """
    chosen, scores = positive.bool(), numbers(scores)
    if not bool(chosen.any()) or bool(chosen.all()):
        return None
    distinct, place = torch.unique(scores, sorted=True, return_inverse=True)
    counts = [torch.bincount(place[group], minlength=len(distinct)).flip(0).cumsum(0) for group in (chosen, ~chosen)]
    start = torch.zeros(1, dtype=torch.float64)
    sensitivity, false_positive = (torch.cat([start, count.double() / count[-1]]) for count in counts)
    return RocCurve(torch.cat([start + math.inf, distinct.flip(0)]), sensitivity, false_positive)


def numbers(scores: Tensor) -> Tensor:
    """The scores in double precision.

    Raises:
        InputError: if one is not a number: it is neither above nor below another, so that there is no order of cases.
    """
    faulty = int(scores.isnan().sum())
    if faulty:
        raise InputError(
            "scores of cases",
            found=f"{faulty} of {scores.numel()} that are not a number",
            wanted="a number for each case",
            remedy="check the weights and the images: NaN comes of a training that diverged, or of values not finite",
        )
    return scores.double()


def youden_threshold(scores: Tensor, positive: Tensor) -> float | None:
    """The threshold of the largest Youden index, sensitivity + specificity - 1.

    It lies midway between the lowest score that is called positive and the highest that is not, so that it does not
    depend on which of the two a new case resembles. Of several best ones the lowest is taken, which misses fewest.

    Args:
        scores, positive: as for :func:`roc_curve`; of validation cases, never of those to be tested on.
    Returns:
        The threshold, from which on (inclusively) the answer is yes; None unless there are both kinds of cases.
    Raises:
        InputError: if a score is not a number.
    """
    curve = roc_curve(scores, positive)
    if curve is None:
        return None
    index = curve.sensitivity - curve.false_positive_rate
    best = int(torch.nonzero(index >= index.max() - 1e-12).flatten()[-1])
    lowest_called = curve.thresholds[max(best, 1)]  # 0 only where the score tells nothing: then the strictest there is
    below = curve.thresholds[best + 1] if 1 <= best < len(index) - 1 else lowest_called
    return float((lowest_called + below) / 2)


def confusion(answers: Tensor, positive: Tensor) -> Confusion:
    """Count answers, (N,) true or 1 for a yes, by the truth, (N,)."""
    yes, truth = answers.bool(), positive.bool()
    pairs = ((yes & truth), (yes & ~truth), (~yes & ~truth), (~yes & truth))
    return Confusion(*(int(each.sum()) for each in pairs))


def rates(counts: Confusion, level: float = 0.95) -> dict[str, Rate]:
    """Accuracy, sensitivity, specificity, and the predictive values of a yes and of a no.

    The predictive values hold for the share of positive cases among those counted, and for no other.

    Args:
        counts: answers by truth.
        level: of confidence.
    """
    tp, fp, tn, fn = counts
    proportions = {
        "accuracy": (tp + tn, tp + fp + tn + fn),
        "sensitivity": (tp, tp + fn),
        "specificity": (tn, tn + fp),
        "positive_predictive_value": (tp, tp + fp),
        "negative_predictive_value": (tn, tn + fn),
    }
    return {
        name: Rate(right / of if of else None, right, of, wilson_interval(right, of, level))
        for name, (right, of) in proportions.items()
    }


def wilson_interval(successes: int, trials: int, level: float = 0.95) -> tuple[float, float] | None:
    """Wilson's score interval of a proportion, without correction for continuity; None of no trials."""
    if trials == 0:
        return None
    z, share = normal_quantile((1 + level) / 2), successes / trials
    centre = (share + z**2 / (2 * trials)) / (1 + z**2 / trials)
    half = z / (1 + z**2 / trials) * math.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2))
    low = 0.0 if successes == 0 else centre - half  # exact, where rounding would leave 1e-17
    high = 1.0 if successes == trials else centre + half
    return low, high


def normal_quantile(probability: float) -> float:
    """The value below which a standard normal variable falls with this probability."""
    return float(torch.special.ndtri(torch.tensor(probability, dtype=torch.float64)))
