"""The voxel grid of a scan and where its voxels lie in the patient, in millimetres."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from transmodal.errors import InputError

Array = NDArray[np.floating[Any]]  # float32 throughout


@dataclass(frozen=True)
class Grid:
    """A regular grid stored as scanners store it: i runs to the patient's left, j to the back, k to the head.

    Anatomy is defined in *region coordinates*: RAS millimetres (x to the right, y to the front, z to the head) from the
    middle of the grid. Patient coordinates are region coordinates plus ``centre``.

    Args:
        shape: voxels along i, j and k.
        spacing: voxel edges in mm.
        centre: patient coordinates (RAS, mm) of the middle of the grid.
    Raises:
        InputError: if the shape or the spacing is not three positive numbers.
    """

    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    centre: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        check_shape(self.shape)
        check_spacing(self.spacing)

    @property
    def x(self) -> Array:
        """Region coordinate toward the patient's right, in mm, shaped (I, 1, 1)."""
        return self._axis(0, -1.0).reshape(-1, 1, 1)

    @property
    def y(self) -> Array:
        """Region coordinate toward the patient's front, in mm, shaped (1, J, 1)."""
        return self._axis(1, -1.0).reshape(1, -1, 1)

    @property
    def z(self) -> Array:
        """Region coordinate toward the patient's head, in mm, shaped (1, 1, K)."""
        return self._axis(2, 1.0).reshape(1, 1, -1)

    @property
    def voxel(self) -> float:
        """Edge in mm of the cube as large as one voxel."""
        return math.prod(self.spacing) ** (1 / 3)

    @property
    def affine(self) -> NDArray[np.float64]:
        """Voxel indices to patient coordinates in RAS mm, (4, 4)."""
        signs = np.array([-1.0, -1.0, 1.0])
        step = signs * np.asarray(self.spacing, dtype=np.float64)
        affine = np.diag([*step, 1.0])
        affine[:3, 3] = np.asarray(self.centre) - step * (np.asarray(self.shape) - 1) / 2
        return affine

    def zeros(self) -> Array:
        return np.zeros(self.shape, dtype=np.float32)

    def _axis(self, axis: int, sign: float) -> Array:
        steps = np.arange(self.shape[axis], dtype=np.float32) - np.float32((self.shape[axis] - 1) / 2)
        return steps * np.float32(sign * self.spacing[axis])


def check_shape(shape: Sequence[int]) -> None:
    """Refuse, with an InputError, a shape that is not three positive whole numbers."""
    _require_three_positive("shape", shape, "three positive whole numbers", "shape=(96, 96, 32)", (int, np.integer))


def check_spacing(spacing: Sequence[float]) -> None:
    """Refuse, with an InputError, a spacing that is not three positive numbers."""
    numbers = (int, float, np.integer, np.floating)
    _require_three_positive("spacing", spacing, "three positive numbers in mm", "spacing=(2, 2, 4)", numbers)


def _require_three_positive(
    name: str, values: Sequence[float], wanted: str, example: str, kinds: tuple[type, ...]
) -> None:
    good = isinstance(values, list | tuple) and len(values) == 3
    if not good or not all(isinstance(v, kinds) and not isinstance(v, bool) and 0 < v < math.inf for v in values):
        raise InputError(f"phantom {name}", found=repr(values), wanted=wanted, remedy=f"pass for example {example}")
