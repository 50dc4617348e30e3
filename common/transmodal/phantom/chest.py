"""The chest as pulmonary CT angiography sees it: lungs with their vessel trees, heart, great vessels, emboli."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from transmodal.phantom.anatomy import Anatomy, Layers, Region, check_probability
from transmodal.phantom.grid import Grid
from transmodal.phantom.noise import smooth_noise
from transmodal.phantom.shapes import (
    Tubes,
    coverage,
    ellipsoid,
    sheet_coverage,
    smooth_intersection,
    smooth_step,
    tube_coverage,
)
from transmodal.phantom.thorax import Thorax, heart_distance
from transmodal.phantom.tissues import Tissue
from transmodal.phantom.vessel_tree import VesselTree

_TWIGS = 210  # per tree and lung
# Courses in region mm (right, front, head) with radii in mm.
_PULMONARY_TRUNK = Tubes.along([(-20, 44, -28), (-18, 32, 2), (-10, 12, 14)], (13.5, 12.5))
_PULMONARY_ARTERIES = {
    1: Tubes.along([(-10, 12, 14), (18, -2, 10), (44, -8, 0)], (10.5, 9.0)),
    -1: Tubes.along([(-10, 12, 14), (-32, -6, 20), (-48, -18, 6)], (10.5, 9.0)),
}
_AORTA = [(6, 16, -32), (14, 24, 5), (12, 20, 36), (0, 2, 50), (-16, -22, 48), (-22, -36, 30)]
_VEIN_ROOTS = {1: (34, -14, -24), -1: (-38, -18, -22)}
_TRACHEA = Tubes.along([(0, -6, 150), (1, -14, 80), (2, -22, 28)], 8.5)
_BRONCHI = Tubes.along([(40, -22, -6), (2, -22, 28), (-44, -24, -8)], (6.8, 6.2))


@dataclass(frozen=True)
class Chest(Region):
    """A chest from the lungs' tips to the upper abdomen.

    Args:
        embolism_probability: how often a patient has emboli; ``lesion`` shows them on voxels up to about 6 mm.
    """

    embolism_probability: float = 0.5

    field_of_view = (360.0, 360.0, 288.0)
    reach = (15.0, 60.0, 500.0)
    ct_noise = 13.0
    ct_streaks = 1.0

    def __post_init__(self) -> None:
        check_probability("embolism_probability", self.embolism_probability)

    def draw(self, grid: Grid, rng: Generator) -> Anatomy:
        shape, inside = int(rng.integers(2**62)), int(rng.integers(2**62))
        thorax = Thorax(grid, np.random.default_rng(shape))
        targets = _targets(Thorax(_coarse(), np.random.default_rng(shape)), rng)
        layers = Layers(grid)
        thorax.paint_wall(layers)
        chest = _Inside(thorax, targets, np.random.default_rng(inside))
        chest.paint_abdomen(layers)
        chest.paint_mediastinum(layers)
        chest.paint_lungs(layers)
        chest.paint_heart(layers)
        thorax.paint_spine(layers)
        chest.paint_vessels(layers)
        chest.paint_airways(layers)
        if rng.uniform() < self.embolism_probability:
            chest.paint_emboli(layers)
        return Anatomy(grid, layers.fractions(), coverage(thorax.skin))


def _coarse() -> Grid:
    """A grid of its own on which to look for the lungs, so that vessels are the same on every output grid."""
    return Grid((44, 36, 40), (8.0, 8.0, 8.0))


def _targets(thorax: Thorax, rng: Generator) -> dict[int, NDArray[np.float64]]:
    """Random points inside the right (1) and left (-1) lung, region mm."""
    grid = thorax.grid
    inside = thorax.lungs() < -5
    points: dict[int, NDArray[np.float64]] = {}
    for side in (1, -1):
        i, j, k = np.nonzero(inside & (side * grid.x > 0))
        chosen = rng.integers(0, len(i), 2 * _TWIGS)
        nodes = (grid.x.ravel()[i], grid.y.ravel()[j], grid.z.ravel()[k])
        points[side] = np.stack([p[chosen] for p in nodes], axis=1) + rng.uniform(-4, 4, (2 * _TWIGS, 3))
    return points


class _Inside:
    """The contents of one patient's chest."""

    def __init__(self, thorax: Thorax, targets: dict[int, NDArray[np.float64]], rng: Generator) -> None:
        self.thorax, self.grid, self.rng = thorax, thorax.grid, rng
        self.x, self.y, self.z = thorax.x, thorax.y, thorax.z
        self.arteries = {
            side: VesselTree.grow(_PULMONARY_ARTERIES[side].stop[-1].tolist(), points[:_TWIGS], 1.0, rng)
            for side, points in targets.items()
        }
        self.veins = {
            side: VesselTree.grow(_VEIN_ROOTS[side], points[_TWIGS:], 0.9, rng) for side, points in targets.items()
        }

    def paint_abdomen(self, layers: Layers) -> None:
        """Under the diaphragm: liver on the right, stomach with its gas and spleen on the left."""
        rng, grid = self.rng, self.grid
        below = np.maximum(self.thorax.cage + 2, (self.z - self.thorax.dome) * 0.75)
        layers.paint(Tissue.MUSCLE, coverage(below))
        layers.paint(Tissue.FAT, coverage(below + 3))
        edge = -self.x - 28 + 0.5 * (self.y + 20) - 9 * smooth_noise(rng, 40, grid)
        behind = 52 - np.hypot(self.x - 10, self.y - self.thorax.spine_y) + 4 * smooth_noise(rng, 25, grid)
        liver = smooth_intersection(np.maximum(below + 3, behind), edge, 14)
        layers.paint(Tissue.ORGAN, coverage(liver))
        veins = smooth_step(np.abs(smooth_noise(rng, 26, grid)) + np.abs(smooth_noise(rng, 26, grid)), 0.28, 0.1)
        layers.paint(Tissue.BLOOD, veins * coverage(liver + 6))
        spleen = ellipsoid(self.x, self.y, self.z, (-88, -42, -112), (32, 44, 46)) + 1.5 * smooth_noise(rng, 25, grid)
        layers.paint(Tissue.ORGAN, coverage(np.maximum(spleen, below + 4)))
        stomach = ellipsoid(self.x, self.y, self.z, (-62, 18, -118), (38, 36, 44)) + 3 * smooth_noise(rng, 25, grid)
        stomach = np.maximum(stomach, below + 5)
        layers.paint(Tissue.BOWEL, coverage(stomach))
        layers.paint(Tissue.FLUID, coverage(stomach + 4))
        layers.paint(Tissue.GAS, coverage(np.maximum(stomach + 4, rng.uniform(0, 40) - self.y)))

    def paint_mediastinum(self, layers: Layers) -> None:
        """Fat between the lungs, gullet, and small nodes."""
        rng = self.rng
        cavity = np.maximum(self.thorax.cage + 1, (self.thorax.dome - self.z) * 0.75)
        layers.paint(Tissue.FAT, coverage(cavity))
        strands = smooth_step(smooth_noise(rng, 7, self.grid), 1.1, 1.9)
        layers.paint(Tissue.MUSCLE, 0.7 * strands * coverage(cavity))
        gullet = np.hypot((self.x + 7) / 1.3, self.y - self.thorax.spine_y - 25) - 6
        layers.paint(Tissue.MUSCLE, coverage(gullet + self.z * 0))

    def paint_lungs(self, layers: Layers) -> None:
        """Air and tissue in proportion, denser behind where blood settles, with the oblique fissures."""
        rng, grid = self.rng, self.grid
        lungs = self.thorax.lungs()
        inside = coverage(lungs)
        layers.paint(Tissue.LUNG, inside)
        settled = smooth_step(self.y, 50, -95) * rng.uniform(0.05, 0.11)
        layers.paint(Tissue.BLOOD, inside * settled * np.clip(1 + 0.4 * smooth_noise(rng, 20, grid), 0, 2))
        fissure = np.abs(self.z + 22 + 0.95 * (self.y + 5) + 4 * smooth_noise(rng, 45, grid))
        layers.paint(Tissue.CONNECTIVE, inside * sheet_coverage(fissure * 0.72, 0.35, grid))

    def paint_heart(self, layers: Layers) -> None:
        """Pericardial fat, muscle and four chambers; contrast agent fills the right ones most."""
        rng, grid = self.rng, self.grid
        u, v = self.x + 20, self.y - 20
        rough = 1.5 * smooth_noise(rng, 20, grid)
        heart = heart_distance(self.x, self.y, self.z) + rough
        heart = np.maximum(heart, self.thorax.cage + 3)
        layers.paint(Tissue.FAT, coverage(heart - 2.5 - 1.2 * rough))
        layers.paint(Tissue.MYOCARDIUM, coverage(heart))
        chambers = (
            (Tissue.MIXED_BLOOD, (-30, 2, -60), (23, 22, 27)),  # left ventricle
            (Tissue.MIXED_BLOOD, (8, -28, -34), (28, 15, 19)),  # left atrium
            (Tissue.OPACIFIED_BLOOD, (4, 24, -58), (32, 14, 30)),  # right ventricle
            (Tissue.OPACIFIED_BLOOD, (42, -2, -46), (17, 20, 26)),  # right atrium
        )
        for tissue, centre, radii in chambers:
            chamber = ellipsoid(u, v, self.z, centre, radii) + 2.2 * rough
            layers.paint(tissue, coverage(np.maximum(chamber, heart + 2)))

    def paint_vessels(self, layers: Layers) -> None:
        """Vessel trees of the lungs, pulmonary trunk and arteries, venae cavae, aorta with its branches."""
        grid, spine_y = self.grid, self.thorax.spine_y
        for veins in self.veins.values():
            layers.paint(Tissue.MIXED_BLOOD, tube_coverage(veins.tubes(), grid))
        for arteries in self.arteries.values():
            layers.paint(Tissue.OPACIFIED_BLOOD, tube_coverage(arteries.tubes(), grid))
        course = [*_AORTA, (-22, spine_y + 17, 5), (-20, spine_y + 17, -60), (-12, spine_y + 20, -160)]
        aorta = Tubes.along(course, (16, 15.5, 14.5, 13.5, 12.5, 12, 12, 11.5))
        cava = Tubes.along([(26, 14, 95), (28, 14, 40), (30, 8, -24)], 9.0)
        lower = Tubes.along([(26, 0, -60), (24, -6, -160)], 12.0)
        branches = [((10, 12, 48), (22, 6, 120)), ((-4, 2, 52), (-12, -2, 125)), ((-14, -14, 52), (-28, -18, 125))]
        layers.paint(Tissue.CONNECTIVE, tube_coverage(aorta.grown(1.5), grid))
        for start, stop in branches:
            layers.paint(Tissue.MIXED_BLOOD, tube_coverage(Tubes.along([start, stop], 5.0), grid))
        layers.paint(Tissue.MIXED_BLOOD, tube_coverage(aorta, grid))
        for tubes in (cava, _PULMONARY_TRUNK, *_PULMONARY_ARTERIES.values()):
            layers.paint(Tissue.OPACIFIED_BLOOD, tube_coverage(tubes, grid))
        layers.paint(Tissue.BLOOD, tube_coverage(lower, grid))

    def paint_airways(self, layers: Layers) -> None:
        """Windpipe and bronchi with their walls; inside the lungs bronchi run beside the arteries."""
        for tubes, wall in ((_TRACHEA, 1.6), (_BRONCHI, 1.4)):
            layers.paint(Tissue.CARTILAGE, tube_coverage(tubes.grown(wall), self.grid))
        for side, arteries in self.arteries.items():
            beside = arteries.tubes(thicker_than=1.9, shift=(side * 3.5, -6.5, 2.0))
            layers.paint(Tissue.CARTILAGE, tube_coverage(beside.grown(0.5), self.grid))
            layers.paint(Tissue.GAS, tube_coverage(beside.grown(-0.4), self.grid))
        for tubes in (_TRACHEA, _BRONCHI):
            layers.paint(Tissue.GAS, tube_coverage(tubes, self.grid))

    def paint_emboli(self, layers: Layers) -> None:
        """Filling defects along branches of the arteries and in a main artery, so that coarse grids show one too."""
        rng = self.rng
        central = int(rng.choice((-1, 1)))
        for side, arteries in self.arteries.items():
            clots = arteries.clots(int(rng.integers(1, 5)), thicker_than=1.9, rng=rng)
            layers.paint(Tissue.EMBOLUS, 0.95 * tube_coverage(clots, self.grid))
            if side == central or rng.uniform() < 0.3:
                main = _PULMONARY_ARTERIES[side]
                a, b = main.start[-1], main.stop[-1]
                span = Tubes.along([(a + rng.uniform(0, 0.5) * (b - a)).tolist(), b.tolist()], rng.uniform(4, 6.5))
                layers.paint(Tissue.EMBOLUS, tube_coverage(span, self.grid))
