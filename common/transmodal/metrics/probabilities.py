"""Whether the probability of a finding is what it says: of cases given 0.3, three in ten should have it.

Sources: G. W. Brier, Monthly Weather Review 78 (1950) 1-3; reliability by bins of equal count and the expected
calibration error, A. Niculescu-Mizil, R. Caruana, ICML 2005, and M. P. Naeini et al., AAAI 2015.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["ProbabilityBin", "brier_score", "expected_calibration_error", "probability_bins"]


class ProbabilityBin(NamedTuple):
    """Cases of similar probability: how many, their mean probability, and the share that has the finding."""

    cases: int
    probability: float
    share: float


def brier_score(probabilities: Tensor, positive: Tensor) -> float | None:
    """Mean squared difference of the probability, (N,), from the truth, (N,) of 0 and 1; None of no case."""
    differences = probabilities.double() - positive.bool().double()
    return float(differences.square().mean()) if len(differences) else None


def probability_bins(probabilities: Tensor, positive: Tensor, bins: int = 10) -> list[ProbabilityBin]:
    """Bins of as equal a number of cases as possible, by probability, the lowest first.

    Args:
        probabilities: (N,) in [0, 1].
        positive: (N,), true or 1 for the cases that have the finding.
        bins: their number; fewer where there are fewer cases.
    """
    order = torch.argsort(probabilities.double(), stable=True)
    parts = [part for part in order.tensor_split(min(bins, max(1, len(order)))) if len(part)]
    return [
        ProbabilityBin(
            len(part), float(probabilities[part].double().mean()), float(positive[part].bool().double().mean())
        )
        for part in parts
    ]


def expected_calibration_error(bins: list[ProbabilityBin]) -> float | None:
    """Mean distance of probability and share over all cases of the bins; None of no case."""
    cases = sum(each.cases for each in bins)
    return sum(each.cases * abs(each.probability - each.share) for each in bins) / cases if cases else None
