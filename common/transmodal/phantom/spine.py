"""The spinal column: vertebrae with cortex and spongy bone, discs, arches with their processes, the canal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from transmodal.phantom.anatomy import Layers
from transmodal.phantom.grid import Array
from transmodal.phantom.noise import smooth_noise
from transmodal.phantom.shapes import Tubes, coverage, smooth_intersection, smooth_union, tube_distance
from transmodal.phantom.tissues import Tissue


@dataclass(frozen=True)
class Spine:
    """Measures of one patient's spine in mm.

    Args:
        period: height of a vertebra with its disc.
        disc: height of a disc.
        radii: half width and half depth of a vertebral body.
        canal: radius of the canal.
        spinous: length of the spinous processes, and how far their tips lie below their roots.
        transverse: half span of the transverse processes.
    """

    period: float
    disc: float
    radii: tuple[float, float]
    canal: float
    spinous: tuple[float, float]
    transverse: float

    def paint(self, layers: Layers, x: Array, y: Array, z: Array, within: Array, rng: Generator) -> None:
        """Paint the column around the z axis of the coordinates given, bodies centred on x = y = 0, arches behind.

        Bone stays where the signed distance ``within`` is negative.
        """
        grid = layers.grid
        rough = 0.7 * smooth_noise(rng, 12, grid)
        phase = rng.uniform(0, self.period)
        local = (z + phase) % self.period - self.period / 2
        body = self._body(x, y, local) + rough
        disc = np.hypot(x / self.radii[0], y / self.radii[1]) * min(self.radii) - min(self.radii) + 0 * local + rough
        layers.paint(Tissue.CARTILAGE, coverage(disc))
        bone = smooth_union(body, self._arch(x, y, local) + rough, 2.0)
        # The arches of neighbours reach over the boundary of their period.
        for shift in (-self.period, self.period):
            bone = np.minimum(bone, self._arch(x, y, local + shift) + rough)
        bone = np.maximum(bone, within)
        layers.paint(Tissue.CORTICAL_BONE, 0.8 * coverage(bone))
        layers.paint(Tissue.TRABECULAR_BONE, coverage(bone + rng.uniform(1.6, 2.2)))
        self._paint_canal(layers, x, y)

    def _body(self, x: Array, y: Array, local: Array) -> Array:
        waist = 1 - 0.08 * np.cos(local * (2 * np.pi / self.period))
        flat = y + 0.35 * self.radii[1] * np.exp(-((x / 9) ** 2)) * (y < 0)
        around = (np.hypot(x / self.radii[0] / waist, flat / self.radii[1]) - 1) * min(self.radii)
        return smooth_intersection(around, np.abs(local) - (self.period - self.disc) / 2, 3.0)

    def _arch(self, x: Array, y: Array, local: Array) -> Array:
        """Pedicles, laminae and processes of one vertebra, symmetric in x."""
        depth = self.radii[1]
        back = -depth - self.canal
        side = np.abs(x)
        length, drop = self.spinous
        pieces = (
            Tubes.along(
                [(self.canal + 5, -depth * 0.7, 5), (self.canal + 5.5, back, 3), (0, back - self.canal - 4, -5)], 4.0
            ),
            Tubes.along([(self.canal + 5, back + 2, 2), (self.transverse, back - 5, 4)], 4.2),
            Tubes.along([(self.canal + 6, back - 3, -13), (self.canal + 7, back - 4, 10)], 5.0),
        )
        arch = tube_distance(pieces[0], side, y, local)
        for piece in pieces[1:]:
            arch = smooth_union(arch, tube_distance(piece, side, y, local), 2.0)
        root = back - self.canal - 4
        z_tall = local * 0.4  # spinous processes are blades, tall and thin
        spinous = tube_distance(Tubes.along([(0, root, -2), (0, root - length, -2 - drop * 0.4)], 3.2), x, y, z_tall)
        return smooth_union(arch, spinous, 2.0)

    def _paint_canal(self, layers: Layers, x: Array, y: Array) -> None:
        distance = np.hypot(x / 1.15, y + self.radii[1] + self.canal) + np.zeros(layers.grid.shape, dtype=np.float32)
        layers.paint(Tissue.FAT, coverage(distance - self.canal))
        layers.paint(Tissue.CSF, coverage(distance - self.canal + 1.6))
        layers.paint(Tissue.NERVE, 0.85 * coverage(distance - 0.45 * self.canal))
