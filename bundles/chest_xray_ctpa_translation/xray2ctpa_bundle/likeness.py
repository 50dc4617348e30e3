"""How alike two CTs are: by what makes them individual, wherever they lie by some millimetres.

A copy need not lie where its original does: a CT is compared as it lies and moved, along each axis by half a voxel
of the coarse grid and by a whole one (10 and 20 mm along the slices, 6 and 12 mm across), and all this with right and
left exchanged as well; the largest correlation counts. What was turned, deformed, enlarged or moved further is not
recognised: of a copy enlarged by a twentieth the ratio of distances may be like that of strangers. A CT of which the
mean explains all but little, as it lies or moved, is like nobody, in proportion: the direction of what is left means
nothing. Little is less than a fifth of what is left, by the median, of the training CTs. Limit: the mean itself, moved
by a quarter of a voxel, is no longer little.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["Likeness", "Neighbours", "moved_signatures", "signature"]

STEPS = 2
"""Halves of a voxel of the coarse grid by which CTs are moved, to either side."""
FAINT = 0.2
"""Residuals shorter than this, relative to those of training CTs, are those of the mean and noise."""


def signature(volume: Tensor, window: Sequence[float], size: Sequence[int]) -> Tensor:
    """What stays of a CT: means in the window on a coarse grid without its outermost voxels.

    Args:
        volume: in HU, (1, F, H, W).
        window: lowest and highest HU that count.
        size: of the coarse grid along F, H and W, three voxels or more each.
    Returns:
        A vector, float32, of V = the product of ``size - 2``.
    """
    return _cut(_halves(volume, window, size), size, (STEPS, STEPS, STEPS))


def moved_signatures(volume: Tensor, window: Sequence[float], size: Sequence[int]) -> Tensor:
    """Signatures of a CT as it lies and moved by halves of a voxel of the coarse grid up to a whole one.

    Args:
        volume, window, size: as for :func:`signature`; W runs from the patient's right to his left or back.
    Returns:
        One in each row, (250, V), float32; the second half is of the mirrored CT.
    """
    halves = _halves(volume, window, size)
    starts = list(product(range(2 * STEPS + 1), repeat=3))
    return torch.stack([_cut(each, size, start) for each in (halves, halves.flip(-1)) for start in starts])


def _halves(volume: Tensor, window: Sequence[float], size: Sequence[int]) -> Tensor:
    """Means of all voxels of the coarse grid at every half of a voxel, (2F - 1, 2H - 1, 2W - 1)."""
    clipped = volume.detach().as_subclass(Tensor).cpu().float().clamp(float(window[0]), float(window[1]))
    frames, rows, columns = (2 * side for side in size)
    return F.avg_pool3d(F.adaptive_avg_pool3d(clipped, (frames, rows, columns)), 2, stride=1)[0]


def _cut(halves: Tensor, size: Sequence[int], start: Sequence[int]) -> Tensor:
    """Every second mean from ``start`` on, as many as a signature has."""
    frames, rows, columns = (slice(first, first + 2 * (side - 2), 2) for first, side in zip(start, size, strict=True))
    return halves[frames, rows, columns].flatten()


class Neighbours(NamedTuple):
    """How near a CT is to training CTs: the name of the nearest one, its distance, and that of the second nearest."""

    nearest: str
    distance: float
    second: float

    @property
    def ratio(self) -> float:
        """Of the distances to the nearest and the second nearest, in [0, 1]; 1 where both are 0."""
        return self.distance / self.second if self.second > 0 else 1.0


class Likeness:
    """Finds the nearest training CTs by the correlation of what their mean does not explain.

    Args:
        signatures: of the training CTs, by case.
    """

    def __init__(self, signatures: Mapping[str, Tensor]) -> None:
        self.names = list(signatures)
        stacked = torch.stack([*signatures.values()])
        self.mean = stacked.mean(dim=0)
        self.common = F.normalize(self.mean - self.mean.mean(), dim=0, eps=1.0)
        lengths = self._residuals(stacked).norm(dim=-1)
        self.faint = (FAINT * lengths.median()).clamp(min=1.0)
        self.directions = torch.cat([self._directions(each) for each in stacked])

    def distance(self, first: Tensor, second: Tensor) -> float:
        """Between any two CTs, in [0, 2].

        Args:
            first: signature, or several of one CT as it lies and moved, in rows; the nearest one counts.
            second: signature.
        """
        return float(1 - (self._directions(first) @ self._directions(second).T).max())

    def neighbours(self, signatures: Tensor, own: str) -> Neighbours:
        """The nearest training CTs, without that of the case itself.

        Args:
            signatures: of a CT; several of it as it lies and moved, in rows, are compared each.
            own: case it belongs to.
        """
        distances = 1 - (self._directions(signatures) @ self.directions.T).amax(dim=0)
        distances = distances.clamp(min=0)
        if own in self.names:
            distances[self.names.index(own)] = torch.inf
        (first, second), (number, _) = (part.tolist() for part in distances.topk(2, largest=False))
        return Neighbours(self.names[number], first, second)

    def _residuals(self, signatures: Tensor) -> Tensor:
        """What brightness and contrast of the mean do not explain."""
        centred = signatures - signatures.mean(dim=-1, keepdim=True)
        return centred - (centred @ self.common)[..., None] * self.common

    def _directions(self, signatures: Tensor) -> Tensor:
        """Of the residuals of one CT, in rows of length 1; shorter if the shortest of them is faint."""
        residuals = self._residuals(torch.atleast_2d(signatures))
        shortest = residuals.norm(dim=-1).min()
        return F.normalize(residuals, dim=-1) * (shortest / self.faint).clamp(max=1)
