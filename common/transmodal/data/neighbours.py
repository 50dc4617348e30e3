"""How much an image changes from one pixel to the next, inside a mask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["steps_inside"]


def steps_inside(values: NDArray[np.float64], inside: NDArray[np.bool_], axes: Sequence[int]) -> NDArray[np.float64]:
    """Absolute differences between neighbours that both lie inside, (N,); of each axis in turn.

    Args:
        values: of any shape.
        inside: of the same shape.
        axes: along which pixels are neighbours.
    """
    steps: list[NDArray[Any]] = [
        np.abs(np.diff(values, axis=axis))[inside.take(range(size - 1), axis) & inside.take(range(1, size), axis)]
        for axis, size in ((axis, values.shape[axis]) for axis in axes)
    ]
    return np.concatenate(steps)
