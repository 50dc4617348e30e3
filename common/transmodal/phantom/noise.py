"""Smooth random fields in millimetres: one seed gives the same field on every grid.

A field is a cubic B-spline through a periodic lattice of normal numbers (value noise). Sums run element by element in a
fixed order and never through BLAS, so the bytes do not depend on the number of threads.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from scipy import fft
from scipy.ndimage import map_coordinates

from transmodal.phantom.grid import Array, Grid

_NODES = 32
# A cubic B-spline of white noise keeps 0.479 of the variance per axis (mean of the squared weights' sum).
_GAIN = np.float32(0.479**-1.5)


class SmoothNoise:
    """A random field with zero mean, unit variance and features as large as ``scale``.

    Args:
        rng: source of the lattice.
        scale: distance of the lattice nodes in mm, for all axes or for x, y and z; the field repeats after 32 of them.
    """

    def __init__(self, rng: Generator, scale: float | tuple[float, float, float]) -> None:
        self.scale = (scale, scale, scale) if isinstance(scale, int | float) else scale
        self.lattice = rng.standard_normal((_NODES, _NODES, _NODES), dtype=np.float32) * _GAIN

    def on(self, grid: Grid) -> Array:
        """The field at every voxel of ``grid``; separable, hence fast."""
        field = self.lattice
        for axis, (points, scale) in enumerate(zip((grid.x, grid.y, grid.z), self.scale, strict=True)):
            field = _interpolate(field, points.ravel() / np.float32(scale), axis)
        return field

    def at(self, x: Array, y: Array, z: Array) -> Array:
        """The field at arbitrary region coordinates in mm; slower."""
        points = np.stack(
            [p / np.float32(s) % _NODES for p, s in zip(np.broadcast_arrays(x, y, z), self.scale, strict=True)]
        )
        return np.asarray(map_coordinates(self.lattice, points, order=3, mode="grid-wrap", prefilter=False))


class FoldNoise(SmoothNoise):
    """A random field whose zero surfaces wind at an even distance, half a ``wavelength`` apart, like sulci.

    Its spectrum is a shell around one wave number; zero mean, about unit variance; it repeats after 5.3 wavelengths.
    """

    def __init__(self, rng: Generator, wavelength: float) -> None:
        super().__init__(rng, wavelength / 6)
        f = np.fft.fftfreq(_NODES).astype(np.float32)
        length = np.sqrt(f[:, None, None] ** 2 + f[:, None] ** 2 + f**2)
        shell = np.exp(-(((length * 6 - 1) / 0.22) ** 2))
        waves = fft.ifftn(fft.fftn(self.lattice) * shell).real
        self.lattice = np.asarray(waves / (waves.std() * 0.83), dtype=np.float32)  # the spline keeps 0.83 of the waves


def _interpolate(field: Array, points: Array, axis: int) -> Array:
    """Cubic B-spline interpolation of a periodic lattice along one axis."""
    first = np.floor(points).astype(np.int64)
    t = points - first.astype(np.float32)
    weights = ((1 - t) ** 3 / 6, (3 * t**3 - 6 * t**2 + 4) / 6, (-3 * t**3 + 3 * t**2 + 3 * t + 1) / 6, t**3 / 6)
    shape = [1, 1, 1]
    shape[axis] = -1
    total: Array = np.zeros((), dtype=np.float32)
    for offset, weight in enumerate(weights):
        total = total + np.take(field, (first + offset - 1) % _NODES, axis=axis) * weight.reshape(shape)
    return np.asarray(total, dtype=np.float32)


def smooth_noise(rng: Generator, scale: float | tuple[float, float, float], grid: Grid) -> Array:
    """Draw a :class:`SmoothNoise` and evaluate it on ``grid``."""
    return SmoothNoise(rng, scale).on(grid)
