"""Solid shapes as signed distances in mm (negative inside), and the fraction of each voxel they fill."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from transmodal.phantom.grid import Array, Grid

Point = Sequence[float]


def coverage(distance: Array) -> Array:
    """Fraction of each voxel inside the shape ``distance < 0``, in [0, 1].

    The distance need not be in mm, nor exact: its own change from voxel to voxel says how wide the partial-volume edge
    is, on any grid and for any deformation.
    """
    width = np.full(distance.shape, 1e-6, dtype=np.float32)
    for axis in range(3):
        if distance.shape[axis] > 1:
            width += np.abs(_step(distance, axis))
    filled: Array = np.clip(np.float32(0.5) - distance / width, 0, 1)
    return filled


def sheet_coverage(distance: Array, width: Array | float, grid: Grid) -> Array:
    """Fraction of each voxel filled by a sheet ``width`` mm thick whose middle is ``distance`` >= 0 mm away."""
    blur = np.float32(min(grid.spacing[:2]))
    filled = np.clip((width / 2 - distance) / blur + 0.5, 0, np.minimum(width / blur, 1))
    return np.asarray(np.broadcast_to(filled, grid.shape), dtype=np.float32)


def gradient_length(values: Array, grid: Grid, axes: Sequence[int] = (0, 1, 2)) -> Array:
    """Length of the gradient per mm, along the chosen axes."""
    total = np.full(values.shape, 1e-12, dtype=np.float32)
    for axis in axes:
        if values.shape[axis] > 1:
            total += (_step(values, axis) / np.float32(grid.spacing[axis])) ** 2
    return np.sqrt(total)


def _step(values: Array, axis: int) -> Array:
    """Central difference per voxel, one-sided at the borders."""
    v = np.moveaxis(values, axis, 0)
    step = np.empty_like(v)
    step[1:-1] = (v[2:] - v[:-2]) / 2
    step[0] = v[1] - v[0]
    step[-1] = v[-1] - v[-2]
    return np.moveaxis(step, 0, axis)


def ellipsoid(x: Array, y: Array, z: Array | float, centre: Point, radii: Sequence[float | Array]) -> Array:
    """Signed distance to an ellipsoid in mm, exact to first order near its surface; half axes may vary in space."""
    u, v, w = ((p - c) / r for p, c, r in zip((x, y, z), centre, radii, strict=True))
    level = np.sqrt(u**2 + v**2 + w**2)
    slope = np.sqrt((u / radii[0]) ** 2 + (v / radii[1]) ** 2 + (w / radii[2]) ** 2)
    return np.asarray((level - 1) * level / np.maximum(slope, 1e-6), dtype=np.float32)


def smooth_union(first: Array, second: Array, blend: float) -> Array:
    """Union of two signed distances with a fillet about ``blend`` mm wide."""
    h = np.clip(np.float32(0.5) + (second - first) / np.float32(2 * blend), 0, 1)
    return second + (first - second) * h - np.float32(blend) * h * (1 - h)


def smooth_intersection(first: Array, second: Array, blend: float) -> Array:
    """What two shapes share, its edge rounded about ``blend`` mm wide."""
    return -smooth_union(-first, -second, blend)


def smooth_step(values: Array, start: float, stop: float) -> Array:
    """0 before ``start``, 1 after ``stop``, smooth between (``start > stop`` falls)."""
    t = np.clip((values - start) / (stop - start), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), dtype=np.float32)


@dataclass(frozen=True)
class Tubes:
    """Straight pieces of vessels or airways: (N, 3) end points in region mm and (N,) radii in mm."""

    start: NDArray[np.float64]
    stop: NDArray[np.float64]
    radius: NDArray[np.float64]

    @staticmethod
    def along(points: Sequence[Point], radius: float | Sequence[float]) -> Tubes:
        """A chain of tubes through ``points``; one radius, or one per piece."""
        nodes = np.asarray(points, dtype=np.float64)
        return Tubes(nodes[:-1], nodes[1:], np.broadcast_to(np.asarray(radius, dtype=np.float64), len(nodes) - 1))

    def grown(self, by: float) -> Tubes:
        """The same course, ``by`` mm thicker."""
        return Tubes(self.start, self.stop, self.radius + by)


def tube_coverage(tubes: Tubes, grid: Grid) -> Array:
    """Fraction of each voxel that tubes with round caps fill; thinner than a voxel they fade by cross-section."""
    filled = grid.zeros()
    for start, stop, radius in zip(tubes.start, tubes.stop, tubes.radius, strict=True):
        block = _block(grid, np.minimum(start, stop), np.maximum(start, stop), radius + grid.voxel)
        if block is None:
            continue
        p = [q - np.float32(c) for q, c in zip(_coordinates(grid, block), start, strict=True)]
        d = [float(c) for c in stop - start]
        length2 = max(sum(c * c for c in d), 1e-9)
        t = np.clip((p[0] * d[0] + p[1] * d[1] + p[2] * d[2]) / length2, 0, 1)
        distance = np.sqrt(sum((q - t * c) ** 2 for q, c in zip(p, d, strict=True)))
        most = min(1.0, math.pi * radius**2 / grid.voxel**2)
        part = np.clip((radius - distance) / grid.voxel + 0.5, 0, most)
        np.maximum(filled[block], part, out=filled[block])
    return filled


def tube_distance(tubes: Tubes, x: Array, y: Array, z: Array) -> Array:
    """Signed distance in mm to a chain of tubes, at arbitrary coordinates."""
    nearest: Array | None = None
    for start, stop, radius in zip(tubes.start, tubes.stop, tubes.radius, strict=True):
        p = [q - np.float32(c) for q, c in zip((x, y, z), start, strict=True)]
        d = [float(c) for c in stop - start]
        length2 = max(sum(c * c for c in d), 1e-9)
        t = np.clip((p[0] * d[0] + p[1] * d[1] + p[2] * d[2]) / length2, 0, 1)
        distance = np.sqrt(sum((q - t * c) ** 2 for q, c in zip(p, d, strict=True))) - np.float32(radius)
        nearest = distance if nearest is None else np.minimum(nearest, distance)
    if nearest is None:
        raise ValueError("tube_distance: found no tube; wanted at least one. Pass points to Tubes.along.")
    return nearest


def _block(
    grid: Grid, low: NDArray[np.float64], high: NDArray[np.float64], margin: float
) -> tuple[slice, slice, slice] | None:
    """Voxels within ``margin`` mm of a box, or None if the grid misses it."""
    slices = []
    for points, a, b in zip((grid.x, grid.y, grid.z), low, high, strict=True):
        inside = np.flatnonzero((points.ravel() > a - margin) & (points.ravel() < b + margin))
        if not inside.size:
            return None
        slices.append(slice(int(inside[0]), int(inside[-1]) + 1))
    return slices[0], slices[1], slices[2]


def _coordinates(grid: Grid, block: tuple[slice, slice, slice]) -> tuple[Array, Array, Array]:
    return grid.x[block[0]], grid.y[:, block[1]], grid.z[:, :, block[2]]
