"""A soft-tissue mass: lobulated, heterogeneous, pushing its neighbours aside."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from transmodal.phantom.anatomy import Layers
from transmodal.phantom.grid import Array, Grid
from transmodal.phantom.noise import smooth_noise
from transmodal.phantom.shapes import Point, coverage, smooth_step
from transmodal.phantom.tissues import Tissue


@dataclass(frozen=True)
class Mass:
    """Signed distance to a mass in mm, and how far it has pushed each voxel's tissue in the axial plane, in mm."""

    distance: Array
    push: tuple[Array, Array]

    @staticmethod
    def grow(grid: Grid, rng: Generator, coordinates: tuple[Array, Array], centre: Point, size: float) -> Mass:
        """Grow a mass of radius ``size`` mm around ``centre``, in displaced in-plane coordinates and the grid's z."""
        du, dv = coordinates[0] - centre[0], coordinates[1] - centre[1]
        dz = (grid.z - centre[2]) / rng.uniform(1.0, 1.6)
        distance = np.sqrt(du**2 + dv**2 + dz**2)
        lobes = 0.16 * smooth_noise(rng, 22, grid) + 0.06 * smooth_noise(rng, 9, grid)
        pushed = 0.5 * np.exp(-0.7 * (distance / size) ** 2)
        return Mass(distance - size * (1 + lobes), (pushed * du, pushed * dv))

    def paint(self, layers: Layers, rng: Generator) -> None:
        """Capsule, tumour, often a necrotic middle, sometimes fat within."""
        layers.paint(Tissue.CONNECTIVE, 0.7 * coverage(self.distance - 0.6))
        layers.paint(Tissue.LESION, coverage(self.distance + 0.6))
        core = self.distance + rng.uniform(6, 16) + 5 * smooth_noise(rng, 11, layers.grid)
        layers.paint(Tissue.NECROSIS, 0.9 * coverage(core))
        fatty = smooth_step(smooth_noise(rng, 8, layers.grid), 0.6, 1.8) * rng.uniform(0, 0.5)
        layers.paint(Tissue.FAT, fatty * coverage(self.distance + 3))
