"""The variance of an area under the ROC curve, and whether two scores of the same cases differ in it.

Source: E. R. DeLong, D. M. DeLong, D. L. Clarke-Pearson, Comparing the areas under two or more correlated receiver
operating characteristic curves: a nonparametric approach, Biometrics 44 (1988) 837-845, section 2.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from transmodal.metrics.roc import normal_quantile

__all__ = ["AreaDifference", "delong_interval", "delong_test"]


class AreaDifference(NamedTuple):
    """Area of the first score minus that of the second, on the same cases.

    ``interval`` is of the difference; ``z`` is None where the difference has no variance, as of two perfect scores.
    ``p`` is two-sided.
    """

    difference: float
    standard_error: float
    z: float | None
    p: float
    interval: tuple[float, float]


def delong_interval(scores: Tensor, positive: Tensor, level: float = 0.95) -> tuple[float, float] | None:
    """The normal interval of the area with DeLong's variance, cut at 0 and 1.

    Cases count as independent. Of perfectly separated cases the variance is 0 and the interval (1, 1).

    Args:
        scores: (N,), larger where the finding is likelier.
        positive: (N,), true or 1 for the cases that have it.
        level: of confidence.
    Returns:
        Lower and upper bound; None unless there are two cases of each kind.
    """
    if not _enough(positive):
        return None
    areas, covariance = _areas(scores[None], positive)
    half = normal_quantile((1 + level) / 2) * math.sqrt(float(covariance[0, 0]))
    return max(0.0, float(areas[0]) - half), min(1.0, float(areas[0]) + half)


def delong_test(first: Tensor, second: Tensor, positive: Tensor, level: float = 0.95) -> AreaDifference | None:
    """Whether the areas of two scores of the same cases differ.

    Args:
        first, second: (N,), scores of the same cases in the same order.
        positive: (N,), true or 1 for the cases that have the finding.
        level: of confidence of the interval of the difference.
    Returns:
        The difference and its test; None unless there are two cases of each kind.
    """
    if not _enough(positive):
        return None
    areas, covariance = _areas(torch.stack([first, second]), positive)
    difference = float(areas[0] - areas[1])
    variance = float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    error = math.sqrt(variance) if variance > 1e-15 else 0.0  # rounding leaves a little of nothing
    half = normal_quantile((1 + level) / 2) * error
    interval = (difference - half, difference + half)
    if error == 0.0:
        return AreaDifference(difference, 0.0, None, 1.0 if abs(difference) < 1e-12 else 0.0, interval)
    z = difference / error
    return AreaDifference(difference, error, z, math.erfc(abs(z) / math.sqrt(2)), interval)


def _enough(positive: Tensor) -> bool:
    number = int(positive.bool().sum())
    return min(number, len(positive) - number) >= 2


def _areas(scores: Tensor, positive: Tensor) -> tuple[Tensor, Tensor]:
    """Areas (K,) of K scores (K, N) and their covariance (K, K), from the components of each case."""
    chosen = positive.bool()
    high, low = scores[:, chosen].double(), scores[:, ~chosen].double()
    of_positives = torch.stack([_share_below(h, n) for h, n in zip(high, low, strict=True)])  # V10
    of_negatives = torch.stack([1 - _share_below(n, h) for h, n in zip(high, low, strict=True)])  # V01
    shape = (len(scores), len(scores))
    parts = [torch.cov(each).reshape(shape) / each.shape[1] for each in (of_positives, of_negatives)]
    return of_positives.mean(dim=1), parts[0] + parts[1]


def _share_below(values: Tensor, others: Tensor) -> Tensor:
    """Of each value, the share of the others that are smaller, equal ones counted as a half."""
    ordered = others.sort().values
    below, up_to = (torch.searchsorted(ordered, values, side=side) for side in ("left", "right"))
    return (below + up_to).double() / (2 * len(others))
