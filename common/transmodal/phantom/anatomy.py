"""What every body region has in common: tissue layers painted over one another, voxel by voxel."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from transmodal.errors import InputError
from transmodal.phantom.grid import Array, Grid
from transmodal.phantom.tissues import LESION_TISSUES, Tissue


@dataclass
class Layers:
    """Tissues painted from the back to the front; each hides what lies below in proportion to its coverage."""

    grid: Grid
    painted: list[tuple[Tissue, Array]] = field(default_factory=list)

    def paint(self, tissue: Tissue, covered: Array) -> None:
        """Lay ``tissue`` over everything painted so far; ``covered`` is its fraction of each voxel, in [0, 1]."""
        self.painted.append((tissue, covered))

    def fractions(self) -> dict[Tissue, Array]:
        """Fraction of each voxel that each tissue fills; they add up to one, air being what remains."""
        fractions: dict[Tissue, Array] = {}
        left = np.ones(self.grid.shape, dtype=np.float32)
        for tissue, covered in reversed(self.painted):
            part = left * covered
            left -= part
            if tissue in fractions:
                fractions[tissue] += part
            else:
                fractions[tissue] = part
        fractions[Tissue.AIR] = fractions.get(Tissue.AIR, 0) + left
        return dict(sorted(fractions.items()))


@dataclass(frozen=True)
class Anatomy:
    """One patient's region on a grid: ``fractions`` of each voxel by tissue, and the ``body`` contour's coverage."""

    grid: Grid
    fractions: dict[Tissue, Array]
    body: Array

    def labels(self) -> NDArray[np.uint8]:
        """The tissue that fills most of each voxel, as values of :class:`Tissue`."""
        labels = np.zeros(self.grid.shape, dtype=np.uint8)
        most = self.grid.zeros()
        for tissue, fraction in self.fractions.items():
            more = fraction > most
            labels[more] = tissue
            most = np.where(more, fraction, most)
        return labels

    def lesion(self) -> NDArray[np.uint8]:
        """1 where lesion tissues together fill at least half of a voxel."""
        together = self.grid.zeros()
        for tissue in LESION_TISSUES:
            together += self.fractions.get(tissue, np.float32(0))
        return (together >= 0.5).astype(np.uint8)

    def mask(self) -> NDArray[np.uint8]:
        """1 inside the body, gas and lungs included, the couch excluded."""
        return (self.body >= 0.5).astype(np.uint8)


def check_probability(name: str, value: float) -> None:
    """Refuse, with an InputError, what is not a number from 0 to 1."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise InputError(
            f"phantom {name}", found=repr(value), wanted="a number from 0 to 1", remedy=f"pass for example {name}=0.5"
        )


def check_flag(name: str, value: bool) -> None:
    """Refuse, with an InputError, what is neither True nor False."""
    if not isinstance(value, bool):
        raise InputError(
            f"phantom {name}", found=repr(value), wanted="True or False", remedy=f"pass for example {name}=True"
        )


class Region(ABC):
    """A part of the body that can be drawn at random on any grid."""

    #: Extent in mm along x, y and z that shows the whole region.
    field_of_view: tuple[float, float, float]
    #: Where the middle of the region may lie in the patient: largest distance from the origin along x, y and z, in mm.
    reach: tuple[float, float, float] = (40.0, 60.0, 800.0)
    #: Standard deviation of CT noise in the middle of the body, HU, and how much stronger its horizontal streaks are.
    ct_noise: float = 12.0
    ct_streaks: float = 0.0

    @property
    def cut_out(self) -> bool:
        """Whether MR is zero around the body, as after skull stripping, instead of holding the scanner's noise."""
        return False

    def centre(self, rng: Generator) -> tuple[float, float, float]:
        """Patient coordinates (RAS, mm) of the middle of the region, tenths of mm."""
        return tuple(round(rng.uniform(-r, r), 1) for r in self.reach)  # type: ignore[return-value]

    @abstractmethod
    def draw(self, grid: Grid, rng: Generator) -> Anatomy:
        """Draw one random patient; ``rng`` alone decides who, ``grid`` only where voxels lie."""
