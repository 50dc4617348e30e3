"""The chest's surfaces and walls: skin, fat, muscles, bones of the cage and the girdle, pleurae and diaphragm."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from transmodal.phantom.anatomy import Layers
from transmodal.phantom.grid import Array, Grid
from transmodal.phantom.noise import smooth_noise
from transmodal.phantom.shapes import (
    Tubes,
    coverage,
    ellipsoid,
    sheet_coverage,
    smooth_intersection,
    smooth_step,
    smooth_union,
    tube_coverage,
)
from transmodal.phantom.spine import Spine
from transmodal.phantom.tissues import Tissue

_WALL = 9.0  # thickness in mm of ribs and intercostal muscles


class Thorax:
    """One patient's chest wall as signed distances in mm; ``x`` and ``y`` are displaced region coordinates.

    The same generator state gives the same patient on every grid.
    """

    def __init__(self, grid: Grid, rng: Generator) -> None:
        self.grid, self.rng = grid, rng
        self.x = grid.x + 3.5 * smooth_noise(rng, 90, grid) + 1.0 * smooth_noise(rng, 30, grid)
        self.y = grid.y + 3.5 * smooth_noise(rng, 90, grid) + 1.0 * smooth_noise(rng, 30, grid)
        self.z = grid.z + 2.0 * smooth_noise(rng, 90, grid)
        size = rng.uniform(0.93, 1.06)
        apex = np.clip((grid.z + 50) / 192, 0, 0.995)
        narrow = np.sqrt(1 - apex**2.4)
        self.deepest = 86 * size * rng.uniform(0.95, 1.08)
        self.depth = self.deepest * (0.35 + 0.65 * narrow)
        self.middle = -6 - 16 * (1 - narrow)
        self.cage = _superellipse(self.x, self.y - self.middle, 132 * size * narrow, self.depth)
        self.back_wall = -6 - self.deepest
        self.spine_y = self.back_wall + 29
        self.skin, self.back = self._skin(size)
        self.dome = self._diaphragm()

    def _skin(self, size: float) -> tuple[Array, float]:
        rng, z = self.rng, self.grid.z
        shoulders = smooth_step(z, 30, 100)
        neck = smooth_step(z, 125, 190)
        width = 158 * size * rng.uniform(1.0, 1.07) * (1 + 0.12 * shoulders) * (1 - 0.5 * neck)
        back = self.back_wall - rng.uniform(30, 40)
        front = -6 + self.deepest + rng.uniform(20, 34)
        depth = (front - back + 6) / 2 * (1 - 0.10 * shoulders - 0.25 * neck)
        outline = _superellipse(self.x, self.y - (front + back) / 2, width, depth)
        return smooth_intersection(outline, back - self.y, 20), back

    def _diaphragm(self) -> Array:
        """Height of the diaphragm's domes in mm; the right one is higher."""
        rng = self.rng
        right, left = rng.uniform(-66, -52), rng.uniform(-80, -64)
        domes = []
        for top, x in ((right, 66.0), (left, -68.0)):
            fall = ((self.x - x) / 62) ** 2 + ((self.y - 8) / 68) ** 2
            domes.append(top - 26 * fall)
        return -smooth_union(-domes[0], -domes[1], 12) + 1.5 * smooth_noise(rng, 35, self.grid)

    def paint_wall(self, layers: Layers) -> None:
        """Everything outside the pleura."""
        rng, grid = self.rng, self.grid
        couch = np.abs(grid.y - self.back + rng.uniform(3, 6) - grid.x**2 / 2600)
        layers.paint(Tissue.COUCH, sheet_coverage(couch, 4.5, grid))
        layers.paint(Tissue.SKIN, coverage(self.skin))
        layers.paint(Tissue.FAT, coverage(self.skin + 2.2))
        muscle = self._muscle_surface()
        layers.paint(Tissue.MUSCLE, coverage(muscle))
        outside = coverage(np.maximum(muscle + 1, -(self.cage - _WALL)))
        planes = np.abs(smooth_noise(rng, (30, 30, 50), grid)) * 16
        layers.paint(Tissue.FAT, outside * sheet_coverage(planes, rng.uniform(2, 5), grid))
        apart = np.clip(3.0 + 2.5 * smooth_noise(rng, 35, grid), 0, 9)
        sheets = np.abs(self.cage - _WALL - 10 - 2 * smooth_noise(rng, 50, grid))
        layers.paint(Tissue.FAT, outside * sheet_coverage(sheets, apart, grid))
        layers.paint(Tissue.MUSCLE, coverage(self.cage - _WALL))
        layers.paint(Tissue.FAT, coverage(self.cage - 0.8))
        self._paint_ribs(layers)
        self._paint_girdle(layers)
        self._paint_sternum(layers)

    def _muscle_surface(self) -> Array:
        """Outer surface of the muscles: thick beside the spine and at the shoulders, pectorals in front."""
        rng, z = self.rng, self.grid.z
        side = np.abs(self.x)
        shoulders = smooth_step(z, 15, 85)
        pectoral = smooth_step(z, -15, 20) * smooth_step(self.y, 15, 55) * smooth_step(side, 8, 30)
        behind = smooth_step(self.y, self.back_wall + 35, self.back_wall + 5)
        beside = behind * smooth_step(side, 85, 25) * smooth_step(side, 0, 12)
        thick = 6 + 55 * shoulders * smooth_step(side, 45, 90) + 11 * pectoral + 24 * beside + 9 * behind
        thick = thick + 3 * smooth_noise(rng, 40, self.grid)
        fat = rng.uniform(6, 20) * (1 + 0.25 * smooth_noise(rng, 60, self.grid))
        surface: Array = np.maximum(self.cage - _WALL - thick, self.skin + np.maximum(fat, 4))
        return surface

    def _paint_ribs(self, layers: Layers) -> None:
        """Twelve sloping arches in the wall; in front they go over into cartilage."""
        rng, grid = self.rng, self.grid
        slope, period = rng.uniform(0.42, 0.58), rng.uniform(23, 26)
        along = self.z + slope * (self.y - self.back_wall) + 0.15 * np.abs(self.x) + rng.uniform(0, period)
        across = np.abs(along % period - period / 2) * np.float32(1 / np.hypot(1, slope))
        rib = np.hypot(self.cage - 4.8, across * 0.6) - 4.2 - 0.3 * smooth_noise(rng, 12, grid)
        rib = np.maximum(rib, 21 - np.abs(self.x) - 0.7 * np.maximum(self.y - self.spine_y - 30, 0))
        rib = np.maximum(rib, -self.z - 150)
        front = smooth_step(self.y - self.middle - 0.3 * self.z, 0.50 * 86, 0.62 * 86)
        bone = coverage(rib)
        layers.paint(Tissue.CARTILAGE, bone)
        layers.paint(Tissue.CORTICAL_BONE, 0.75 * bone * (1 - front))
        layers.paint(Tissue.TRABECULAR_BONE, coverage(rib + 1.4) * (1 - front))

    def _paint_girdle(self, layers: Layers) -> None:
        """Shoulder blades as thin plates behind, collar bones in front."""
        rng, grid, side = self.rng, self.grid, np.abs(self.x)
        up = np.clip((grid.z - 5) / 105, 0, 1)
        x0, y0 = 84 - 14 * up, self.back_wall - 8 + 8 * up
        x1, y1 = 92 + 50 * up, self.back_wall + 6 + 52 * up
        dx, dy = x1 - x0, y1 - y0
        t = np.clip(((side - x0) * dx + (self.y - y0) * dy) / (dx**2 + dy**2), 0, 1)
        plate = np.hypot(side - x0 - t * dx, self.y - y0 - t * dy + 6 * np.sin(np.pi * t))
        thick = 2.2 + 1.5 * (1 - t) ** 4 + 9 * smooth_step(up * t, 0.75, 1.0)
        ends = np.maximum(5 - grid.z, grid.z - 122) * 0.8
        blade = np.maximum(np.maximum(plate - thick, ends), self.skin + 5)
        layers.paint(Tissue.CORTICAL_BONE, 0.85 * coverage(blade))
        layers.paint(Tissue.TRABECULAR_BONE, coverage(blade + 1.6))
        for sign in (1.0, -1.0):
            front = -6 + 0.62 * self.deepest
            points = [
                (sign * x, y + rng.normal(0, 2), z)
                for x, y, z in ((20, front, 92), (55, front + 6, 103), (95, front - 16, 116), (138, front - 44, 122))
            ]
            collar = Tubes.along(points, (8.0, 6.5, 7.0))
            layers.paint(Tissue.CORTICAL_BONE, tube_coverage(collar, grid))
            layers.paint(Tissue.TRABECULAR_BONE, tube_coverage(collar.grown(-2.2), grid))

    def _paint_sternum(self, layers: Layers) -> None:
        wide = 17 + 12 * smooth_step(self.grid.z, 40, 75)
        front = self.y - self.middle - self.depth - 4.5
        plate = np.maximum(np.hypot(self.x / wide, front / 7.0) * 7.0 - 7.0, np.abs(self.z - 8) - 80)
        layers.paint(Tissue.CORTICAL_BONE, 0.7 * coverage(plate))
        layers.paint(Tissue.TRABECULAR_BONE, 0.8 * coverage(plate + 1.6))

    def paint_spine(self, layers: Layers) -> None:
        """Thoracic vertebrae with discs, arches and steep spinous processes."""
        spine = Spine(period=25, disc=5, radii=(17.5, 14.5), canal=8, spinous=(24, 20), transverse=31)
        spine.paint(layers, self.x, self.y - self.spine_y, self.z, self.skin + 7, self.rng)

    def mediastinum(self) -> Array:
        """Signed distance to what separates the lungs: spine, heart, great vessels and the fat around them."""
        z = self.z
        column = np.hypot(self.x / 1.2, self.y - self.spine_y + 2) - 21
        vessels = ellipsoid(self.x, self.y, z, (2, 6, 10), (32, 44, 90))
        wide = 2.5 + 21 * smooth_step(z, 38, 100) + 9 * smooth_step(self.y, self.spine_y + 45, self.spine_y + 10)
        septum = np.abs(self.x + 3) - wide  # keeps the lungs apart in front of the vessels and behind them
        heart = heart_distance(self.x, self.y, z) - 4
        descending = np.hypot(self.x + 22, self.y - self.spine_y - 17) - 16
        descending = np.maximum(descending, z - 40)
        joined = smooth_union(smooth_union(column, descending, 8), smooth_union(vessels, septum, 14), 12)
        return smooth_union(joined, heart, 10) + 1.5 * smooth_noise(self.rng, 22, self.grid)

    def lungs(self) -> Array:
        """Signed distance to both lungs."""
        above = (self.dome - self.z) * 0.75
        pleura = np.maximum(self.cage + 1.2, above)
        lungs: Array = np.maximum(pleura, -self.mediastinum())
        return lungs


def heart_distance(x: Array, y: Array, z: Array) -> Array:
    """Signed distance to the heart: its long axis points left, forward and down."""
    u, v = _along_heart(x, y)
    return ellipsoid(u, v, z + 0.25 * u, (0, 0, -52), (60, 43, 48))


def _along_heart(x: Array, y: Array) -> tuple[Array, Array]:
    """In-plane coordinates along and across the heart's axis, from its middle; ``u`` grows to the left and forward."""
    x, y = x + 20, y - 20
    return -0.85 * x + 0.53 * y, 0.53 * x + 0.85 * y


def _superellipse(x: Array, y: Array, width: Array | float, depth: Array | float) -> Array:
    """Approximate signed distance in mm to a rounded box with the half axes given."""
    level = (np.abs(x / width) ** 2.3 + np.abs(y / depth) ** 2.3) ** np.float32(1 / 2.3)
    return np.asarray((level - 1) * np.minimum(width, depth), dtype=np.float32)
