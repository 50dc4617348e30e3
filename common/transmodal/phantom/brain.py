"""The brain: folded cortex on white matter, deep grey matter, ventricles, cerebellum, plaques and tumours."""

from __future__ import annotations

import math

import numpy as np
from numpy.random import Generator

from transmodal.phantom.anatomy import Layers
from transmodal.phantom.grid import Array, Grid
from transmodal.phantom.noise import FoldNoise, smooth_noise
from transmodal.phantom.shapes import (
    Tubes,
    coverage,
    ellipsoid,
    sheet_coverage,
    smooth_step,
    smooth_union,
    tube_distance,
)
from transmodal.phantom.tissues import Tissue

_CORTEX = 3.1  # thickness in mm
_FOLD = 23.0  # wavelength of the folds in mm: a sulcus every 11 mm
# Course of the lateral ventricle on the positive side, region mm, with its radius: frontal horn to occipital horn.
_VENTRICLE = ((11, 36, 8), (8, 26, 13), (7, 4, 21), (12, -18, 22), (24, -36, 12), (26, -52, 8))
_VENTRICLE_RADII = (3.8, 4.6, 4.4, 4.8, 5.0)
_TEMPORAL_HORN = ((24, -36, 12), (33, -22, -8), (35, -2, -18))
_DEEP_GREY = (
    ((14, 20, 9), (5.5, 11, 9)),  # head of the caudate nucleus
    ((15, 0, 21), (3.5, 14, 4)),  # its body
    ((27, 5, 5), (5.5, 17, 11)),  # putamen
    ((12, -10, 8), (9.5, 14, 9)),  # thalamus
)


class Brain:
    """One patient's brain.

    Args:
        grid: where the voxels lie.
        rng: who the patient is.
        skull: signed distance to the inner table in mm, negative inside.
        z: height above the plane of the commissures in mm.
        tumour_probability: how often there is a tumour.
    """

    def __init__(self, grid: Grid, rng: Generator, skull: Array, z: Array, tumour_probability: float) -> None:
        self.grid, self.rng, self.skull = grid, rng, skull
        self.atrophy = rng.uniform(0.0, 1.0)
        self.x = grid.x + 1.5 * smooth_noise(rng, 50, grid)
        self.y = grid.y + 2.5 * smooth_noise(rng, 50, grid)
        self.z = z + 2.0 * smooth_noise(rng, 50, grid)
        self.tumour: Array | None = None
        if rng.uniform() < tumour_probability:
            self._grow_tumour()
        self.pia = skull + 1.4 + 2.0 * self.atrophy

    def _grow_tumour(self) -> None:
        """A tumour in the white matter that pushes ventricles and midline away."""
        rng = self.rng
        centre = (float(rng.choice((-1.0, 1.0))) * rng.uniform(26, 38), rng.uniform(-45, 40), rng.uniform(8, 45))
        d = [p - c for p, c in zip((self.x, self.y, self.z), centre, strict=True)]
        distance = np.sqrt(d[0] ** 2 + d[1] ** 2 + d[2] ** 2)
        size = rng.uniform(8, 18)
        self.tumour = distance - size * (1 + 0.2 * smooth_noise(rng, 14, self.grid))
        push = 0.45 * np.exp(-0.45 * (distance / size) ** 2)
        self.x, self.y, self.z = self.x - push * d[0], self.y - push * d[1], self.z - push * d[2]

    def paint(self, layers: Layers) -> None:
        """Paint everything inside the inner table."""
        layers.paint(Tissue.CSF, coverage(self.skull))
        self._paint_hemispheres(layers)
        self._paint_cerebellum(layers)
        self._paint_falx(layers)
        self._paint_deep(layers)
        self._paint_plaques(layers)
        self._paint_tumour(layers)

    def _fissure(self) -> Array:
        """Signed distance to the gap between the hemispheres, which ends at the corpus callosum."""
        height = np.maximum(self.z - 6, 0) / 25 + np.minimum(self.z - 6, 0) / 70
        core = (np.hypot((self.y + 2) / 42, height) - 1) * 25
        gap: Array = np.maximum(np.abs(self.x) - 0.8 - 0.8 * self.atrophy, -core)
        return gap

    def _paint_hemispheres(self, layers: Layers) -> None:
        rng, grid = self.rng, self.grid
        hemisphere = np.maximum(self.pia, -self._fissure())
        depth = -hemisphere
        sulcus, width = self._sulci(depth)
        fluid = np.minimum(depth, np.minimum(sulcus - width, self._sylvian()))
        cortex = _CORTEX * (1 + 0.12 * smooth_noise(rng, 25, grid))
        inside = coverage(hemisphere)
        self.white = inside * coverage(cortex - fluid)
        layers.paint(Tissue.GREY_MATTER, inside)
        layers.paint(Tissue.WHITE_MATTER, self.white)
        groove = coverage(fluid) * coverage(hemisphere + 0.2)
        layers.paint(Tissue.CSF, groove)
        layers.paint(Tissue.BLOOD, 0.6 * groove * smooth_step(smooth_noise(rng, 4, grid), 0.9, 1.8))

    def _sulci(self, depth: Array) -> tuple[Array, Array]:
        """Distance in mm to the nearest sulcus' middle, and half the width of the sulcus there."""
        rng, grid = self.rng, self.grid
        side = np.where(self.x < 0, np.float32(-1), np.float32(1))
        u, v, w = self.x - 20 * side, self.y, self.z - 8
        radius = np.sqrt(u**2 + (0.75 * v) ** 2 + w**2) + 1
        q = [(55 + 5.0 * smooth_noise(rng, 16, grid)) * p / radius for p in (u, v, w)]
        folds = FoldNoise(rng, _FOLD).at(q[0] + 61 * side, q[1], q[2])
        distance = np.abs(folds) * (_FOLD / (2 * math.pi)) * np.clip(radius / 55, 0.35, 1.2)
        medial = smooth_step(np.abs(self.x), 20, 6)
        deep = np.clip(17 + 5 * smooth_noise(rng, 20, grid), 7, 28) * (1 - 0.5 * medial)
        core = ellipsoid(np.abs(self.x), v, self.z, (24, -6, 14), (17, 52, 22)) + 3 * smooth_noise(rng, 16, grid)
        distance = np.hypot(distance, np.maximum(np.maximum(depth - deep, 4 - core), 0))
        width = (0.3 + 0.7 * self.atrophy) * (1 + 0.4 * smooth_noise(rng, 16, grid))
        return distance, width * (1 + 1.1 * np.exp(-np.maximum(depth, 0) / 3) - 0.6 * np.clip(depth / deep, 0, 1))

    def _sylvian(self) -> Array:
        """Signed distance to the lateral fissure and the insular cistern under it."""
        rng, grid = self.rng, self.grid
        side = np.abs(self.x) + 2.0 * smooth_noise(rng, 16, grid)
        level = self.z - 2 + 0.42 * self.y + 0.35 * (side - 48) + 2.5 * smooth_noise(rng, 14, grid)
        ends = np.maximum(np.abs(self.y - 2) - 18, 0) / 1.5
        insula = side - 39 + 0.006 * (self.y - 4) ** 2
        lateral = np.hypot(np.hypot(level, np.maximum(-insula, 0)), ends)
        insular = np.hypot(np.hypot(insula, np.maximum(np.abs(level) - 10, 0)), ends)
        width = (0.5 + 1.1 * self.atrophy) * (1 + 0.5 * smooth_noise(rng, 12, grid))
        nearest: Array = np.minimum(lateral, insular)
        return nearest - width

    def _paint_falx(self, layers: Layers) -> None:
        """Falx, the superior sagittal sinus above it."""
        inside = coverage(np.maximum(self._fissure() - 0.8, self.skull))
        layers.paint(Tissue.CONNECTIVE, inside * sheet_coverage(np.abs(self.x), 0.9, self.grid))
        above = smooth_step(self.z - 0.3 * self.y, -5, 10)
        sinus = np.maximum(np.abs(self.x) * 1.2 - 6 - 0.9 * self.skull, self.skull + 0.2)
        layers.paint(Tissue.BLOOD, above * coverage(np.maximum(sinus, -self.skull - 7)))

    def _paint_deep(self, layers: Layers) -> None:
        """Ventricles, basal ganglia, thalami, choroid plexus and the calcified pineal gland."""
        rng, grid = self.rng, self.grid
        side, wide = np.abs(self.x), rng.uniform(0.75, 1.0) + 0.55 * self.atrophy
        inner = ellipsoid(self.x, self.y, self.z, (0, -2, 4), (36, 38, 19))
        layers.paint(Tissue.WHITE_MATTER, smooth_step(inner + 3 * smooth_noise(rng, 14, grid), -2, -13))
        lateral = tube_distance(Tubes.along(_VENTRICLE, [r * wide for r in _VENTRICLE_RADII]), side, self.y, self.z)
        horn = tube_distance(Tubes.along(_TEMPORAL_HORN, (2.6 * wide, 2.0 * wide)), side, self.y, self.z)
        self.ventricle = smooth_union(lateral, horn, 3) + 0.5 * smooth_noise(rng, 10, grid)
        septum = coverage(np.maximum(self.ventricle, 0.7 - side))
        layers.paint(Tissue.CSF, septum)
        for centre, radii in _DEEP_GREY:
            nucleus = ellipsoid(side, self.y, self.z, centre, radii) + 0.5 * smooth_noise(rng, 9, grid)
            layers.paint(Tissue.GREY_MATTER, 0.85 * coverage(nucleus))
        pallidum = ellipsoid(side, self.y, self.z, (20, 2, 3), (4.5, 9, 7))
        layers.paint(Tissue.GREY_MATTER, 0.45 * coverage(pallidum))
        third = ellipsoid(self.x, self.y, self.z, (0, -2, -2), (1.6 + 1.8 * self.atrophy, 15, 11))
        layers.paint(Tissue.CSF, coverage(third))
        plexus = ellipsoid(side, self.y, self.z, (24, -37, 11), (3.2, 6, 4)) + 0.8 * smooth_noise(rng, 5, grid)
        layers.paint(Tissue.BLOOD, 0.5 * coverage(plexus))
        lime = rng.uniform(0, 0.7)
        layers.paint(Tissue.CALCIFICATION, lime * coverage(plexus + 1.8))
        pineal = ellipsoid(self.x, self.y, self.z, (0, -27, 4), (2.6, 3.2, 2.6))
        layers.paint(Tissue.CALCIFICATION, lime * coverage(pineal))

    def _paint_cerebellum(self, layers: Layers) -> None:
        """Cerebellum with its leaves under the tentorium, and the brain stem in its cistern."""
        rng, grid = self.rng, self.grid
        tent = self.z + 6 + 0.25 * np.abs(self.x) + 0.15 * (self.y + 50) + 1.5 * smooth_noise(rng, 15, grid)
        bulk = ellipsoid(self.x, self.y, self.z, (0, -52, -34), (56, 40, 36)) + 1.5 * smooth_noise(rng, 12, grid)
        below = np.maximum(np.maximum(tent, self.skull + 2), bulk)
        layers.paint(Tissue.CSF, coverage(below - 1.2))
        layers.paint(Tissue.GREY_MATTER, coverage(below))
        leaves = smooth_step(np.abs(smooth_noise(rng, (14, 5, 4), grid)), 0.4, 0.0)
        layers.paint(Tissue.CSF, 0.25 * leaves * coverage(below + 1))
        layers.paint(Tissue.WHITE_MATTER, 0.9 * smooth_step(below + 5 * smooth_noise(rng, 6, grid), -9, -14))
        axis, low = self.y + 16 + 0.25 * self.z, np.maximum(self.z + 8, 0)
        peduncles = np.sqrt((np.abs(self.x) - 8) ** 2 + (axis - 4) ** 2 + low**2) - 8
        stem = smooth_union(peduncles, np.sqrt(self.x**2 + (axis + 4) ** 2 + low**2) - 12, 5)
        stem = stem + 0.8 * smooth_noise(rng, 10, grid)
        cistern = stem - np.clip(2.2 + 2.0 * smooth_noise(rng, 12, grid), 0.5, 6)
        layers.paint(Tissue.CSF, coverage(np.maximum(cistern, self.skull)))
        star = np.hypot(self.x * 0.8, self.y - 8) - 11 - 3 * smooth_noise(rng, 8, grid)
        layers.paint(Tissue.CSF, coverage(np.maximum(star, self.z + 14)))
        layers.paint(Tissue.WHITE_MATTER, coverage(stem))
        layers.paint(Tissue.GREY_MATTER, 0.4 * coverage(stem + 4))
        fourth = ellipsoid(self.x, self.y, self.z, (0, -36, -28), (6, 5, 12))
        layers.paint(Tissue.CSF, coverage(fourth))

    def _paint_plaques(self, layers: Layers) -> None:
        """Demyelinated plaques beside the ventricles, a few of them active and enhancing."""
        rng = self.rng
        nodes = np.asarray(_VENTRICLE, dtype=np.float64)
        for _ in range(int(rng.integers(2, 12))):
            node = nodes[rng.integers(1, len(nodes))] + rng.normal(0, 4, 3)
            away = rng.uniform(6, 18) * np.array([0.9, rng.normal(0, 0.3), rng.normal(0.3, 0.4)])
            centre = (node + away) * np.array([rng.choice((-1.0, 1.0)), 1, 1])
            radii = rng.uniform(1.8, 5.0) * np.array([1.3, rng.uniform(0.7, 1.2), 1.0])
            plaque = ellipsoid(self.x, self.y, self.z, centre.tolist(), radii.tolist())
            active = rng.uniform() < 0.25
            outside = coverage(-self.ventricle)
            layers.paint(Tissue.LESION if active else Tissue.PLAQUE, 0.95 * self.white * outside * coverage(plaque))

    def _paint_tumour(self, layers: Layers) -> None:
        """Enhancing rim, necrotic middle, oedema that spreads in the white matter only."""
        if self.tumour is None:
            return
        rng, grid = self.rng, self.grid
        spread = self.tumour - rng.uniform(5, 16) + 5 * smooth_noise(rng, 13, grid)
        outside = coverage(-self.ventricle)
        layers.paint(Tissue.OEDEMA, 0.85 * self.white * outside * coverage(spread))
        layers.paint(Tissue.LESION, coverage(self.tumour))
        rim = rng.uniform(2.5, 6) + 1.2 * smooth_noise(rng, 8, grid)
        layers.paint(Tissue.NECROSIS, coverage(self.tumour + rim))
