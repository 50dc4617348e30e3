"""One thigh: skin, subcutaneous fat, muscles in their fasciae, femur, vessels and nerve, often a soft-tissue mass."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from transmodal.phantom.anatomy import Anatomy, Layers, Region, check_probability
from transmodal.phantom.grid import Array, Grid
from transmodal.phantom.mass import Mass
from transmodal.phantom.noise import smooth_noise
from transmodal.phantom.shapes import coverage, gradient_length, sheet_coverage, smooth_intersection, smooth_step
from transmodal.phantom.tissues import Tissue

# Middle and half axes of each muscle as fractions of the muscle compartment; first axis lateral, second anterior.
_MUSCLES = (
    (0.08, 0.76, 0.34, 0.20),  # rectus femoris
    (0.12, 0.32, 0.34, 0.24),  # vastus intermedius
    (0.66, 0.22, 0.28, 0.55),  # vastus lateralis
    (-0.42, 0.48, 0.30, 0.32),  # vastus medialis
    (-0.76, 0.40, 0.14, 0.20),  # sartorius
    (-0.88, -0.20, 0.10, 0.26),  # gracilis
    (-0.54, 0.02, 0.22, 0.16),  # adductor longus
    (-0.38, -0.30, 0.40, 0.24),  # adductor magnus
    (-0.46, -0.76, 0.26, 0.18),  # semimembranosus
    (-0.06, -0.82, 0.20, 0.18),  # semitendinosus
    (0.36, -0.72, 0.26, 0.24),  # biceps femoris, long head
    (0.36, -0.28, 0.18, 0.16),  # biceps femoris, short head
)


@dataclass(frozen=True)
class Thigh(Region):
    """A thigh between hip and knee; right where the middle of the grid lies right of the patient's midline.

    Args:
        lesion_probability: how often a patient has a soft-tissue mass.
    """

    lesion_probability: float = 0.75

    field_of_view = (192.0, 192.0, 128.0)
    reach = (25.0, 60.0, 800.0)
    ct_noise = 14.0
    ct_streaks = 2.5

    def __post_init__(self) -> None:
        check_probability("lesion_probability", self.lesion_probability)

    def centre(self, rng: Generator) -> tuple[float, float, float]:
        """To the right or the left of the midline, as far as thighs are."""
        x, y, z = super().centre(rng)
        return x + math.copysign(95.0, x), y, z

    def draw(self, grid: Grid, rng: Generator) -> Anatomy:
        leg = _Leg(grid, rng, self.lesion_probability)
        layers = Layers(grid)
        layers.paint(Tissue.COUCH, leg.couch())
        body = coverage(leg.skin)
        layers.paint(Tissue.SKIN, body)
        leg.paint_fat(layers)
        leg.paint_muscles(layers)
        leg.paint_bundle(layers)
        if leg.mass is not None:
            leg.mass.paint(layers, rng)
        leg.paint_femur(layers)
        return Anatomy(grid, layers.fractions(), body)


class _Leg:
    """One patient's thigh; u and v are coordinates to the side and to the front in mm, displaced as his shape wants."""

    def __init__(self, grid: Grid, rng: Generator, lesion_probability: float) -> None:
        self.grid, self.rng = grid, rng
        side = 1.0 if grid.centre[0] > 0 else -1.0
        bow = rng.uniform(-8, 8) * (grid.z / 100) + rng.uniform(2, 6) * (grid.z / 80) ** 2
        self.u = side * grid.x + bow + 4.0 * smooth_noise(rng, 75, grid) + 0.8 * smooth_noise(rng, 24, grid)
        self.v = grid.y + bow / 2 + 4.0 * smooth_noise(rng, 75, grid) + 0.8 * smooth_noise(rng, 24, grid)
        self.u_bone, self.v_bone = self.u, self.v
        self.radius = rng.uniform(70, 84)
        self.width = rng.uniform(0.95, 1.04)
        self.mass = self._grow_mass() if rng.uniform() < lesion_probability else None
        if self.mass is not None:
            self.u, self.v = self.u - self.mass.push[0], self.v - self.mass.push[1]
        taper = 1 + rng.uniform(0.04, 0.13) * grid.z / 100
        round_skin = np.hypot(self.u / self.width, self.v * self.width) - self.radius * taper
        self.back = -rng.uniform(0.86, 0.97) * self.radius
        self.skin = smooth_intersection(round_skin, self.back - self.v, 14)
        fat = rng.uniform(7, 17)
        self.fascia = self.skin + self._fat_thickness(fat)
        self.compartment = self.radius * taper - fat
        self.fatness = rng.uniform(0.6, 1.7)
        size = self.radius - fat
        self.bundles = (
            (rng.uniform(-0.60, -0.52) * size, rng.uniform(0.20, 0.28) * size, rng.uniform(9, 13)),
            (rng.uniform(0.02, 0.14) * size, rng.uniform(-0.50, -0.42) * size, rng.uniform(8, 12)),
        )

    def _grow_mass(self) -> Mass:
        size, angle = self.rng.uniform(14, 34), self.rng.uniform(0, 2 * math.pi)
        far = min(self.rng.uniform(0.42, 0.62) * self.radius, 0.9 * self.radius - size)
        centre = (far * math.cos(angle), far * math.sin(angle), self.rng.uniform(-25, 25))
        return Mass.grow(self.grid, self.rng, (self.u, self.v), centre, size)

    def _fat_thickness(self, mean: float) -> Array:
        """Subcutaneous fat in mm: thicker behind and medially, uneven."""
        toward = (-0.45 * self.u - 0.55 * self.v) / self.radius
        uneven = mean * (1 + 0.4 * toward + 0.16 * smooth_noise(self.rng, 45, self.grid))
        thickness: Array = np.maximum(uneven, 3.5)
        return thickness

    def couch(self) -> Array:
        """The table top under the leg, a thin curved shell."""
        height = self.back - self.rng.uniform(2, 5)
        return sheet_coverage(np.abs(self.grid.y - height - self.grid.x**2 / 1100), 3.4, self.grid)

    def paint_fat(self, layers: Layers) -> None:
        """Subcutaneous fat with its septa and superficial veins."""
        rng, grid = self.rng, self.grid
        layers.paint(Tissue.FAT, coverage(self.skin + 1.9))
        septa = np.abs(smooth_noise(rng, (7, 7, 14), grid))
        inside = coverage(self.skin + 2) * smooth_step(septa, 0.12, 0.0)
        layers.paint(Tissue.CONNECTIVE, 0.35 * inside)
        for angle in (rng.uniform(2.5, 3.6), rng.uniform(2.5, 3.6), rng.uniform(0, 6.3)):
            vein = self.radius * 1.0 - rng.uniform(4, 7)
            layers.paint(Tissue.BLOOD, coverage(self._column(vein * math.cos(angle), vein * math.sin(angle), 4) - 1.7))

    def _column(self, u: float, v: float, wander: float) -> Array:
        """Distance in mm from something that runs along the leg through (u, v), straying by ``wander`` mm."""
        line = Grid((1, 1, self.grid.shape[2]), self.grid.spacing)
        zigzag = [wander * smooth_noise(self.rng, 40, line) for _ in range(2)]
        distance: Array = np.hypot(self.u - u - zigzag[0], self.v - v - zigzag[1])
        return distance

    def paint_muscles(self, layers: Layers) -> None:
        """Muscles bounded by planes of fat, with streaks of fat along their fibres."""
        rng, grid = self.rng, self.grid
        layers.paint(Tissue.CONNECTIVE, coverage(self.fascia - 0.4))
        layers.paint(Tissue.MUSCLE, coverage(self.fascia + 0.5))
        inside = coverage(self.fascia + 0.5)
        layers.paint(Tissue.FAT, inside * self._fat_planes())
        marbling = np.abs(smooth_noise(rng, (9, 4.5, 35), grid)) + 0.15 * np.abs(smooth_noise(rng, 3, grid))
        amount = np.clip(0.15 + 0.35 * smooth_noise(rng, 24, grid), 0, 0.6) * self.fatness
        layers.paint(Tissue.FAT, inside * amount * smooth_step(marbling, 0.35, 0.0))

    def _fat_planes(self) -> Array:
        """Fraction of fat between muscles: sheets, wider where three muscles meet, at the surface and at vessels."""
        first, second, third = self._nearest_muscles()
        between = second - first
        distance = between / np.maximum(gradient_length(between, self.grid, axes=(0, 1)), 1e-3)
        width = self.fatness * np.clip(1.1 + 0.7 * smooth_noise(self.rng, 18, self.grid), 0.6, 3)
        width = width + 2.6 * np.exp(-(((third - first) / 0.25) ** 2)) + 2.2 * np.exp(np.minimum(self.fascia, 0) / 3.0)
        for u, v, reach in self.bundles:
            width = width + 5.5 * np.exp(-((self.u - u) ** 2 + (self.v - v) ** 2) / reach**2)
        return sheet_coverage(distance, width, self.grid)

    def _nearest_muscles(self) -> tuple[Array, Array, Array]:
        """Elliptic distances to the three nearest muscle middles, nearest first."""
        far = np.full(self.grid.shape, 9, dtype=np.float32)
        first, second, third = far, far, far
        u, v = self.u / self.compartment, self.v / self.compartment
        for cu, cv, au, av in _MUSCLES:
            cu, cv = cu + self.rng.normal(0, 0.03), cv + self.rng.normal(0, 0.03)
            drift = self.rng.normal(0, 0.06) * self.grid.z / 60
            distance = np.hypot((u - cu - drift) / au, (v - cv + drift) / av)
            third = np.minimum(third, np.maximum(second, distance))
            second = np.minimum(second, np.maximum(first, distance))
            first = np.minimum(first, distance)
        return first, second, third

    def paint_bundle(self, layers: Layers) -> None:
        """Femoral and deep femoral vessels and the sciatic nerve, each in its fat."""
        rng, rough = self.rng, 1.6 * smooth_noise(self.rng, 9, self.grid)
        for u, v, reach in self.bundles:
            around = np.hypot((self.u - u) * rng.uniform(0.7, 1.4), self.v - v) - 0.62 * reach
            layers.paint(Tissue.FAT, 0.95 * coverage(around + rough))
        (u, v, _), (u_nerve, v_nerve, _) = self.bundles
        layers.paint(Tissue.BLOOD, coverage(self._column(u + 3, v + 2, 1) - rng.uniform(3.0, 3.8)))
        layers.paint(Tissue.BLOOD, coverage(self._column(u - 3, v - 3, 1) - rng.uniform(3.4, 4.8)))
        layers.paint(Tissue.BLOOD, coverage(self._column(-0.12 * self.radius, -0.06 * self.radius, 3) - 2.2))
        layers.paint(Tissue.NERVE, 0.85 * coverage(self._column(u_nerve, v_nerve, 1) - rng.uniform(3.0, 4.4)))

    def paint_femur(self, layers: Layers) -> None:
        """Shaft with thick cortex and fatty marrow; in some patients the distal end opens into spongy bone."""
        rng, grid = self.rng, self.grid
        u, v = self.u_bone - 0.14 * self.radius, self.v_bone - rng.uniform(0.08, 0.16) * self.radius
        knee = rng.uniform(-150, -45)
        flare = smooth_step(grid.z, knee + 45, knee - 45)
        radius = rng.uniform(13.0, 15.5) * (1 + 0.75 * flare) + 0.5 * smooth_noise(rng, 20, grid)
        ridge = 2.2 * np.exp(-(((np.arctan2(v, u) + math.pi / 2) / 0.4) ** 2)) * (1 - flare)
        outer = np.hypot(u / (1 + 0.2 * flare), v) - radius - ridge
        cortex = rng.uniform(5.0, 6.8) * (1 - 0.75 * flare) + 0.4 * smooth_noise(rng, 9, grid)
        layers.paint(Tissue.CORTICAL_BONE, coverage(outer))
        marrow = coverage(outer + cortex)
        layers.paint(Tissue.YELLOW_MARROW, marrow)
        layers.paint(Tissue.TRABECULAR_BONE, marrow * (0.12 + 0.78 * flare))
