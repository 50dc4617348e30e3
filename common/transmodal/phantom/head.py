"""The head above the skull base: scalp, skull with its spongy layer, meninges and brain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from transmodal.phantom.anatomy import Anatomy, Layers, Region, check_flag, check_probability
from transmodal.phantom.brain import Brain
from transmodal.phantom.grid import Array, Grid
from transmodal.phantom.noise import smooth_noise
from transmodal.phantom.shapes import Tubes, coverage, ellipsoid, smooth_step, tube_distance
from transmodal.phantom.tissues import Tissue

_LIFT = 28.0  # height in mm of the region's middle above the plane of the commissures


@dataclass(frozen=True)
class Head(Region):
    """A head from the roofs of the orbits to the vertex.

    Args:
        tumour_probability: how often a patient has a brain tumour; plaques of white matter are always there.
        skull_stripped: leave nothing but what lies inside the skull, as brain MR is often prepared.
    """

    tumour_probability: float = 0.5
    skull_stripped: bool = False

    field_of_view = (208.0, 208.0, 120.0)
    reach = (8.0, 40.0, 300.0)
    ct_noise = 4.0
    ct_streaks = 0.3

    def __post_init__(self) -> None:
        check_probability("tumour_probability", self.tumour_probability)
        check_flag("skull_stripped", self.skull_stripped)

    @property
    def cut_out(self) -> bool:
        """Whether scanners' noise around the body is set to zero."""
        return self.skull_stripped

    def draw(self, grid: Grid, rng: Generator) -> Anatomy:
        skull = _Skull(grid, rng)
        layers = Layers(grid)
        body = coverage(skull.skin)
        layers.paint(Tissue.COUCH, skull.rest())
        layers.paint(Tissue.SKIN, body)
        skull.paint(layers)
        Brain(grid, rng, skull.inner, skull.z, self.tumour_probability).paint(layers)
        skull.paint_base(layers)
        if self.skull_stripped:
            body = coverage(skull.inner)
            layers.paint(Tissue.AIR, 1 - body)
        return Anatomy(grid, layers.fractions(), body)


class _Skull:
    """One patient's skull and scalp as nested surfaces."""

    def __init__(self, grid: Grid, rng: Generator) -> None:
        self.grid, self.rng = grid, rng
        tilt = rng.uniform(-0.07, 0.07, 3)
        z = grid.z + _LIFT
        self.x = (
            grid.x + np.float32(tilt[0]) * grid.y + np.float32(tilt[1]) * grid.z + 1.2 * smooth_noise(rng, 60, grid)
        )
        self.y = (
            grid.y - np.float32(tilt[0]) * grid.x + np.float32(tilt[2]) * grid.z + 1.5 * smooth_noise(rng, 60, grid)
        )
        self.z = np.asarray(z - np.float32(tilt[1]) * grid.x - np.float32(tilt[2]) * grid.y)
        size = rng.uniform(0.95, 1.05)
        width, length, height = 67 * size * rng.uniform(0.96, 1.05), 84 * size, 70 * size
        x = self.x * (1 + 0.0016 * (self.y + 15))  # narrower in front
        upper = np.maximum(self.z - 4, 0) / height
        lower = np.maximum(4 - self.z, 0) / 95
        level = (np.hypot(x / width, self.y / length)) ** 2.2 + upper**2.2 + lower**2.2
        self.inner = (level ** np.float32(1 / 2.2) - 1) * 72
        thick = rng.uniform(5.4, 7.4) * (1 + 0.12 * smooth_noise(rng, 30, grid))
        temple = smooth_step(np.abs(self.x), 36, 64) * smooth_step(self.z, 40, 0)
        self.thick = thick * (1 - 0.45 * temple + 0.25 * smooth_step(np.abs(self.y), 60, 85))
        self.outer = self.inner - self.thick
        self.temporalis = 8 * temple * smooth_step(np.abs(self.y - 15), 60, 5)
        self.skin = self.outer - rng.uniform(4.5, 7.5) - self.temporalis

    def rest(self) -> Array:
        """The head rest, a shell behind the head."""
        shell = np.hypot(self.grid.x, self.grid.y + 10) - 106
        behind = smooth_step(self.grid.y, -40, -60)
        return np.asarray(behind * coverage(np.maximum(shell - 2, -shell) + np.zeros_like(self.x)), dtype=np.float32)

    def paint(self, layers: Layers) -> None:
        """Scalp fat, temporal muscle, outer table, diploe and inner table."""
        layers.paint(Tissue.FAT, coverage(self.skin + 2.0))
        layers.paint(Tissue.MUSCLE, coverage(self.outer - self.temporalis))
        layers.paint(Tissue.CONNECTIVE, coverage(self.outer - 0.7))
        layers.paint(Tissue.CORTICAL_BONE, coverage(self.outer))
        diploe = np.maximum(self.outer + 1.9, -self.inner + 1.6)
        layers.paint(Tissue.TRABECULAR_BONE, 0.8 * coverage(diploe))
        layers.paint(Tissue.CONNECTIVE, 0.6 * coverage(self.inner))

    def paint_base(self, layers: Layers) -> None:
        """What the lowest slices show: frontal sinus, orbits, petrous bones with air cells."""
        rng, grid = self.rng, self.grid
        side, rough = np.abs(self.x), 2.0 * smooth_noise(rng, 9, grid)
        orbit = np.maximum(ellipsoid(side, self.y, self.z, (30, 64, -34), (18, 27, 17)), self.skin + 6)
        layers.paint(Tissue.CORTICAL_BONE, coverage(np.maximum(orbit - 1.8, self.skin + 5)))
        layers.paint(Tissue.FAT, coverage(orbit))
        layers.paint(Tissue.FLUID, coverage(ellipsoid(side, self.y, self.z, (31, 72, -36), (12, 12, 12))))
        ridge = Tubes.along([(14, -8, -38), (34, -24, -31), (60, -38, -30)], (7.5, 11))
        petrous = np.maximum(tube_distance(ridge, side, self.y, self.z) + rough, self.outer)
        layers.paint(Tissue.CORTICAL_BONE, 0.75 * coverage(petrous))
        cells = smooth_step(smooth_noise(rng, 4, grid), -0.1, 0.6) * smooth_step(side, 42, 52)
        layers.paint(Tissue.GAS, cells * coverage(np.maximum(petrous, self.outer) + 4))
        sinus = ellipsoid(self.x, self.y, self.z, (3, 84, -16), (17, 9, 15)) + 2 * rough
        layers.paint(Tissue.GAS, coverage(np.maximum(sinus, np.maximum(self.outer + 2.2, 1.5 - self.inner))))
