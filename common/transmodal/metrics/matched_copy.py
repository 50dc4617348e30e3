"""A trivial translator for sources of several contrasts: one of them, with the target's histogram."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from transmodal.errors import InputError
from transmodal.metrics.baselines import finite_pairs, require_fitted
from transmodal.metrics.similarity import normalised_cross_correlation

__all__ = ["MatchedCopy"]


class MatchedCopy:
    """The source channel that is most like the target, given the target's histogram: what copying alone can reach.

    Fitting averages over the training cases, each counting alike, every channel's Pearson correlation with the target
    inside the body, and the target's quantile function there. Of a new case the channel with the largest absolute
    correlation is taken, and each of its values in the mask becomes the target's quantile of the same rank, or of the
    opposite rank where the correlation is negative. Equal values share their mean rank.

    Args:
        outside: value outside the body, in the target's physical units; 0 is the background of MR.
        channels: names of the channels in their order, for :meth:`choice`.
        quantiles: equidistant quantiles that describe the target, its extremes included.
    Raises:
        ValueError: if there are fewer than two quantiles.
    """

    name = "matched copy"

    def __init__(self, outside: float = 0.0, channels: Sequence[str] = (), quantiles: int = 256) -> None:
        if quantiles < 2:
            raise ValueError(f"wanted quantiles >= 2, got {quantiles}")
        self.outside, self.channels, self.cases = float(outside), tuple(channels), 0
        self._correlations = [0.0] * len(self.channels)
        self._quantiles = torch.zeros(quantiles, dtype=torch.float64)

    @property
    def fitted(self) -> bool:
        """Whether a training case has been taken in."""
        return self.cases > 0

    @property
    def correlations(self) -> list[float]:
        """Mean correlation of each channel with the target, signed, in [-1, 1]."""
        require_fitted(self)
        return [total / self.cases for total in self._correlations]

    @property
    def channel(self) -> int:
        """Index of the channel that is copied."""
        strengths = [abs(correlation) for correlation in self.correlations]
        return strengths.index(max(strengths))

    def choice(self) -> dict[str, object]:
        """Name of the channel that ``copies`` are made of, and the ``correlations`` of all by name."""
        names = self.channels or [f"channel {number}" for number in range(len(self._correlations))]
        return {"copies": names[self.channel], "correlations": dict(zip(names, self.correlations, strict=True))}

    def fit(self, source: Tensor, target: Tensor, mask: Tensor) -> None:
        """Take in one training case; values that are not finite are left out.

        Raises:
            InputError: if the source has other channels than are named, or than the cases before had.
        """
        values, _ = finite_pairs(target, target, mask)
        if not len(values):
            return
        pairs = [finite_pairs(channel[None], target, mask) for channel in source]
        found = [normalised_cross_correlation(x, y, torch.ones_like(x)) if len(x) else 0.0 for x, y in pairs]
        before = self._correlations or [0.0] * len(found)
        if len(before) != len(found):
            raise InputError(
                "matched copy, source",
                found=f"{len(found)} channel(s)",
                wanted=f"{len(before)}" + (f": {', '.join(self.channels)}" if self.channels else " as before"),
                remedy="load the same contrasts for every case",
            )
        self._correlations = [total + correlation for total, correlation in zip(before, found, strict=True)]
        levels = torch.linspace(0, len(values) - 1, len(self._quantiles), dtype=torch.float64)
        self._quantiles += _between(values.sort().values, levels)
        self.cases += 1

    def predict(self, source: Tensor, mask: Tensor) -> Tensor:
        """The chosen channel with the target's histogram inside the mask, float32."""
        body = mask.as_subclass(Tensor) > 0
        values = source[self.channel][None].as_subclass(Tensor).nan_to_num()[body]
        ranks = _mean_ranks(values) / max(len(values) - 1, 1)
        ranks = 1 - ranks if self.correlations[self.channel] < 0 else ranks
        target = self._quantiles / self.cases
        prediction = torch.full(mask.shape, self.outside)
        prediction[body] = _between(target, ranks * (len(target) - 1)).float()
        return prediction


def _mean_ranks(values: Tensor) -> Tensor:
    """Rank of each value from 0, float64; equal values have the mean of theirs."""
    _, group, counts = torch.unique(values, return_inverse=True, return_counts=True)
    ranks: Tensor = counts.cumsum(0) - (counts + 1).double() / 2
    return ranks[group]


def _between(table: Tensor, positions: Tensor) -> Tensor:
    """Values at fractional positions of a table, linear between its entries."""
    below = positions.floor().long().clamp(0, len(table) - 1)
    return torch.lerp(table[below], table[(below + 1).clamp(max=len(table) - 1)], positions - below)
