"""The lower trunk: abdominal wall, lumbar spine, pelvis, psoas and gluteal muscles, great vessels, bowel with gas."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from transmodal.phantom.anatomy import Anatomy, Layers, Region, check_probability
from transmodal.phantom.grid import Array, Grid
from transmodal.phantom.mass import Mass
from transmodal.phantom.noise import smooth_noise
from transmodal.phantom.shapes import coverage, ellipsoid, sheet_coverage, smooth_intersection, smooth_step
from transmodal.phantom.spine import Spine
from transmodal.phantom.tissues import Tissue


@dataclass(frozen=True)
class Trunk(Region):
    """A trunk from the middle of the abdomen to the upper pelvis, around the iliac crest.

    Args:
        lesion_probability: how often a patient has a retroperitoneal mass.
    """

    lesion_probability: float = 0.6

    field_of_view = (384.0, 384.0, 160.0)
    reach = (25.0, 60.0, 800.0)
    ct_noise = 14.0
    ct_streaks = 3.0

    def __post_init__(self) -> None:
        check_probability("lesion_probability", self.lesion_probability)

    def draw(self, grid: Grid, rng: Generator) -> Anatomy:
        trunk = _Trunk(grid, rng, self.lesion_probability)
        layers = Layers(grid)
        layers.paint(Tissue.COUCH, trunk.couch())
        body = coverage(trunk.skin)
        layers.paint(Tissue.SKIN, body)
        trunk.paint_wall(layers)
        trunk.paint_bowel(layers)
        trunk.paint_colon(layers)
        trunk.paint_kidneys(layers)
        trunk.paint_muscles(layers)
        trunk.paint_vessels(layers)
        if trunk.mass is not None:
            trunk.mass.paint(layers, rng)
        trunk.paint_ilium(layers)
        trunk.paint_spine(layers)
        return Anatomy(grid, layers.fractions(), body)


class _Trunk:
    """One patient's trunk. ``x`` and ``y`` are region coordinates displaced as the patient's shape wants."""

    def __init__(self, grid: Grid, rng: Generator, lesion_probability: float) -> None:
        self.grid, self.rng = grid, rng
        self.x = grid.x + 5.0 * smooth_noise(rng, 110, grid) + 2.2 * smooth_noise(rng, 40, grid)
        self.y = grid.y + 5.0 * smooth_noise(rng, 110, grid) + 2.2 * smooth_noise(rng, 40, grid)
        self.half_width, self.half_depth = rng.uniform(150, 176), rng.uniform(98, 118)
        hips = 1 + 0.05 * smooth_step(grid.z, 10, -80)
        level = (np.abs(self.x) / (self.half_width * hips)) ** 2.3 + (np.abs(self.y) / self.half_depth) ** 2.3
        round_skin = (level ** np.float32(1 / 2.3) - 1) * self.half_depth
        self.back = -rng.uniform(0.90, 0.97) * self.half_depth
        self.skin = smooth_intersection(round_skin, self.back - self.y, 22)
        fat = rng.uniform(10, 30) * (1 + 0.25 * smooth_noise(rng, 60, grid) + 0.25 * self.y / self.half_depth)
        self.fascia = self.skin + np.maximum(fat, 4)
        self.spine_y = self.back + rng.uniform(80, 88)
        self.crest = rng.uniform(-12, 18)
        self.scale = self.half_width / 163
        self.mass = self._grow_mass() if rng.uniform() < lesion_probability else None
        if self.mass is not None:
            self.x, self.y = self.x - self.mass.push[0], self.y - self.mass.push[1]

    def _grow_mass(self) -> Mass:
        rng = self.rng
        side = rng.choice((-1.0, 1.0))
        centre = (float(side) * rng.uniform(55, 90), self.spine_y + rng.uniform(5, 45), rng.uniform(-30, 35))
        return Mass.grow(self.grid, rng, (self.x, self.y), centre, rng.uniform(18, 42))

    def couch(self) -> Array:
        """The table top, a thin curved shell."""
        height = self.back - self.rng.uniform(3, 6)
        return sheet_coverage(np.abs(self.grid.y - height - self.grid.x**2 / 2600), 4.5, self.grid)

    def paint_wall(self, layers: Layers) -> None:
        """Subcutaneous fat, oblique muscles in three sheets, straight muscles beside the midline, fat within."""
        rng, grid = self.rng, self.grid
        layers.paint(Tissue.FAT, coverage(self.skin + 2.2))
        septa = smooth_step(np.abs(smooth_noise(rng, (10, 10, 20), grid)), 0.10, 0.0)
        layers.paint(Tissue.CONNECTIVE, 0.3 * septa * coverage(self.skin + 3))
        layers.paint(Tissue.MUSCLE, coverage(self.fascia))
        front = smooth_step(self.y, 0.2 * self.half_depth, 0.6 * self.half_depth)
        thick = rng.uniform(11, 17) * (1 - 0.35 * front) * (1 + 0.2 * smooth_noise(rng, 40, grid))
        between = np.minimum(np.abs(self.fascia + thick / 3), np.abs(self.fascia + thick * 2 / 3))
        width = (1 - front) * np.clip(0.9 + 0.6 * smooth_noise(rng, 30, grid), 0, 3)
        layers.paint(Tissue.FAT, sheet_coverage(between, width, grid) * coverage(self.fascia))
        gap = 1 - smooth_step(np.abs(np.abs(self.x) - 62 * self.scale), 0, 7) * smooth_step(np.abs(self.x), 1, 4)
        layers.paint(Tissue.FAT, 0.8 * gap * front * coverage(self.fascia + 1.5))
        self.cavity = self.fascia + thick
        layers.paint(Tissue.FAT, coverage(self.cavity))

    def paint_bowel(self, layers: Layers) -> None:
        """Small bowel: winding bands with a wall, filled with fluid, and with gas that gathers in front."""
        rng, grid = self.rng, self.grid
        inner = np.maximum(self.cavity + 4, self.spine_y + 34 - self.y + 0.0016 * self.x**2)
        for _ in range(2):
            winding = smooth_noise(rng, (22, 22, 26), grid) + 0.2 * smooth_noise(rng, 10, grid)
            loops = np.maximum(np.abs(winding) * 14 - rng.uniform(7, 9), inner)
            layers.paint(Tissue.FAT, 0.6 * coverage(loops - 1.5))
            layers.paint(Tissue.BOWEL, coverage(loops))
            filled = smooth_step(smooth_noise(rng, 26, grid), -0.3, 0.3)
            layers.paint(Tissue.FLUID, filled * coverage(loops + 2.6))
            level = 0.66 - 0.2 * smooth_noise(rng, (24, 400, 24), grid)
            layers.paint(Tissue.GAS, filled * coverage(np.maximum(loops + 2.4, level * self.half_depth - self.y)))

    def paint_colon(self, layers: Layers) -> None:
        """Ascending and descending colon with haustra, faeces mottled with gas."""
        rng, grid = self.rng, self.grid
        for side in (1.0, -1.0):
            x, y = side * rng.uniform(96, 108) * self.scale, self.spine_y + rng.uniform(12, 30)
            radius = rng.uniform(17, 23) if side > 0 else rng.uniform(11, 17)
            haustra = 2.5 * smooth_noise(rng, 13, grid) + 3 * smooth_noise(rng, 30, grid)
            wall = np.maximum(np.hypot(self.x - x, self.y - y) - radius + haustra, self.cavity + 3)
            layers.paint(Tissue.FAT, coverage(wall - 5))
            layers.paint(Tissue.BOWEL, coverage(wall))
            lumen = coverage(wall + 2.5)
            layers.paint(Tissue.FLUID, lumen)
            mottled = smooth_step(smooth_noise(rng, 3.5, grid), 0.4, 1.6) * 0.6
            layers.paint(Tissue.GAS, lumen * mottled)
            level = y + rng.uniform(-2, 1.2) * radius + 4 * smooth_noise(rng, (400, 400, 25), grid)
            layers.paint(Tissue.GAS, coverage(np.maximum(wall + 2.5, level - self.y)))

    def paint_kidneys(self, layers: Layers) -> None:
        """Lower poles, with the fat of the sinus."""
        for side in (1.0, -1.0):
            centre = (side * self.rng.uniform(60, 68), self.spine_y - 6, self.rng.uniform(70, 100))
            kidney = ellipsoid(self.x, self.y, self.grid.z, centre, (27, 30, 56))
            kidney = kidney + 1.5 * smooth_noise(self.rng, 18, self.grid)
            layers.paint(Tissue.FAT, coverage(kidney - 7))
            layers.paint(Tissue.ORGAN, coverage(kidney))
            layers.paint(Tissue.FAT, 0.7 * coverage(kidney + 14 + 3 * smooth_noise(self.rng, 8, self.grid)))

    def paint_muscles(self, layers: Layers) -> None:
        """Psoas, quadratus lumborum, the extensors of the back and, below the crest, the gluteal muscles."""
        rng, grid = self.rng, self.grid
        side, lower = np.abs(self.x), smooth_step(grid.z, 60, -80)
        streaks = smooth_step(np.abs(smooth_noise(rng, (6, 6, 30), grid)), 0.3, 0.0)
        amount = np.clip(0.15 + 0.3 * smooth_noise(rng, 25, grid), 0, 0.55)
        back = self.spine_y - 46
        muscles = (
            ellipsoid(side - 8 * lower, self.y - 10 * lower, 0.0, (42, self.spine_y + 2, 0), (17 + 3 * lower, 21, 1e3)),
            ellipsoid(side, self.y, 0.0, (72, self.spine_y - 26, 0), (19, 11, 1e3)),
            ellipsoid(side, self.y, 0.0, (44, back, 0), (34, 25, 1e3)),
            ellipsoid(side, self.y, 0.0, (15, back - 4, 0), (13, 22, 1e3)),
        )
        for muscle in muscles:
            inside = np.maximum(muscle + 1.6 * smooth_noise(rng, 20, grid), self.fascia + 1)
            layers.paint(Tissue.FAT, coverage(inside - 1.8))
            layers.paint(Tissue.MUSCLE, coverage(inside))
            layers.paint(Tissue.FAT, coverage(inside) * streaks * amount)
        gluteal = np.maximum(self.fascia + 1, self._outside_ilium() + 3)
        gluteal = np.maximum(gluteal, (grid.z - self.crest) + 6)
        layers.paint(Tissue.FAT, coverage(gluteal))
        layers.paint(Tissue.MUSCLE, coverage(gluteal + 2))
        planes = np.abs(smooth_noise(rng, (26, 26, 60), grid)) * 14
        layers.paint(Tissue.FAT, coverage(gluteal + 2) * sheet_coverage(planes, rng.uniform(0.8, 2.6), grid))
        layers.paint(Tissue.FAT, coverage(gluteal + 2) * streaks * amount)

    def _wing(self) -> tuple[Array, Array, Array, Array]:
        """Ends x0, y0 (behind, medial) and x1, y1 (in front, lateral) of the right iliac wing at each height."""
        reach = np.sqrt(np.clip((self.crest - self.grid.z) / 70, 0, 1)) / 2
        behind, front = 0.45 - 0.9 * reach, 0.45 + 1.1 * reach
        x0, x1 = ((44 + 72 * s) * self.scale for s in (behind, front))
        y0, y1 = (self.back + 42 + 88 * s for s in (behind, front))
        return x0, y0, x1, y1

    def _outside_ilium(self) -> Array:
        """Signed distance in mm to the plane of the iliac wing, negative lateral to and behind it."""
        x, y = np.abs(self.x) - 44 * self.scale, self.y - self.back - 42
        distance: Array = (y * 72 * self.scale - x * 88) / math.hypot(72 * self.scale, 88)
        return distance

    def paint_ilium(self, layers: Layers) -> None:
        """Iliac wings: two thin cortices around spongy bone, appearing at the crest; iliacus lies on them."""
        rng, grid = self.rng, self.grid
        x0, y0, x1, y1 = self._wing()
        dx, dy = x1 - x0, y1 - y0
        px, py = np.abs(self.x) - x0, self.y - y0
        t = np.clip((px * dx + py * dy) / np.maximum(dx**2 + dy**2, 1e-3), 0, 1)
        bend = 9 * np.sin(np.pi * t) + 3 * np.sin(2 * np.pi * t)
        distance = np.hypot(px - t * dx - 0.7 * bend, py - t * dy + 0.7 * bend)
        distance = np.maximum(distance, 0.7 * (grid.z - self.crest))
        thick = 4.5 + 5.5 * (1 - t) ** 2 + 2.5 * t**3 + 0.8 * smooth_noise(rng, 20, grid)
        below = smooth_step(grid.z, self.crest - 2, self.crest - 25)
        iliacus = np.maximum(distance - thick - 13 * np.sin(np.pi * t) * below, -self._outside_ilium())
        layers.paint(Tissue.MUSCLE, coverage(iliacus) * below)
        layers.paint(Tissue.CORTICAL_BONE, 0.9 * coverage(distance - thick))
        layers.paint(Tissue.TRABECULAR_BONE, coverage(distance - thick + 2))

    def paint_vessels(self, layers: Layers) -> None:
        """Aorta left and vena cava right of the midline in front of the spine; both divide near the crest."""
        rng, grid = self.rng, self.grid
        split = smooth_step(grid.z, self.crest + 12, self.crest - 90)
        y = self.spine_y + 29 - 22 * split
        artery, vein = rng.uniform(8, 10), rng.uniform(9, 12)
        for middle, radius, flat in ((-9.0, artery, 1.0), (15.0, vein, 1.25)):
            for branch in (-1.0, 1.0):
                x = middle * (1 - 0.8 * split) + branch * 46 * split
                vessel = np.hypot((self.x - x) / flat, self.y - y + (flat - 1) * 40 * split) - radius * (
                    1 - 0.4 * split
                )
                layers.paint(Tissue.BLOOD, coverage(vessel))
                if flat == 1.0:
                    plaque = np.maximum(np.abs(vessel + 0.6) - 1.0, 1.3 - smooth_noise(rng, 7, grid))
                    layers.paint(Tissue.CALCIFICATION, 0.8 * coverage(plaque))

    def paint_spine(self, layers: Layers) -> None:
        """Lumbar vertebrae; below the promontory the column turns back into the broad sacrum."""
        rng, grid = self.rng, self.grid
        sacral = smooth_step(grid.z, self.crest - 20, self.crest - 75)
        shifted = self.y - self.spine_y + 14 * sacral
        side = np.abs(self.x)
        ala = ellipsoid(side, shifted + 0.22 * side - 6, grid.z, (0, 0, self.crest - 90), (62 * self.scale, 22, 66))
        ala = ala + 1.2 * smooth_noise(rng, 15, grid)
        layers.paint(Tissue.CARTILAGE, coverage(ala - 2.2))
        layers.paint(Tissue.CORTICAL_BONE, 0.7 * coverage(ala))
        layers.paint(Tissue.TRABECULAR_BONE, coverage(ala + 2))
        spine = Spine(period=36, disc=9, radii=(25, 17), canal=9, spinous=(24, 6), transverse=40)
        spine.paint(layers, self.x, shifted, grid.z + np.zeros_like(self.x), self.fascia + 4, rng)
        foramen = ellipsoid(side, shifted, 0.0, (22 * self.scale, -14, 0), (5, 4.5, 1e3)) + 1.5 * smooth_noise(
            rng, 14, grid
        )
        layers.paint(Tissue.FAT, sacral * coverage(foramen))
