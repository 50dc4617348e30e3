"""Values that a study normalised to [-1, 1] or [0, 1], brought to the units in which images are kept here.

What made them is mostly unpublished, so nothing is undone: the map is linear and known, and a bundle's overlay
``normalised.json`` reads the published values back. CT needs a window from its user, as CT pictures do. MR goes to
[0, 1000], the scale on which synthetic MR is written, because air below 0 is no intensity of an MR.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from transmodal.errors import InputError

MR_SCALE = (0.0, 1000.0)
ROUNDING = 1e-5
LARGEST, SMALLEST = 1e7, 1e-20
WINDOW = "--window=-1000,2000, which ct_mr_mddga_translation takes back to [-1, 1]"


@dataclass(frozen=True)
class Units:
    """How the values of a modality are written: ``offset + factor * value``, and what the user is told of it."""

    factor: float = 1.0
    offset: float = 0.0
    told: str = ""

    def __call__(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """Values in the units of our data, in a new array."""
        return np.asarray(values * np.float64(self.factor) + self.offset, np.float32)


def units_of(modality: str, bounds: tuple[float, float], window: Sequence[float] | None, where: Path) -> Units:
    """The units of all images of a modality, by the smallest and largest of all their values.

    Args:
        modality: its name in the data layout.
        bounds: within [-1, 1], and there below 0 or not, they tell what the values were normalised to; values beyond
            are in physical units, and stay as they are.
        window: Hounsfield units of the lower and the upper end of the range, for CT that was normalised.
        where: the files, for an error.
    Raises:
        InputError: if normalised CT has no window, or a window meets Hounsfield units.
    """
    low, high = bounds
    normalised = low >= -1 - ROUNDING and high <= 1 + ROUNDING
    if modality == "ct" and normalised == (window is None):
        raise _wrong_window(low, high, normalised, where)
    if not normalised:
        return Units()
    bottom = 0.0 if low >= -ROUNDING else -1.0
    ends = window if modality == "ct" and window is not None else MR_SCALE
    factor = (ends[1] - ends[0]) / (1 - bottom)
    told = f"{modality} holds values from {low:.4g} to {high:.4g}: taken as normalised to [{bottom:g}, 1] and written "
    told += f"linearly as {ends[0]:g} to {ends[1]:g}"
    told += ", which are Hounsfield units only as far as --window tells" if modality == "ct" else ""
    return Units(factor, ends[0] - factor * bottom, told)


def check_values(values: NDArray[np.float32], where: str | Path) -> tuple[float, float]:
    """The smallest and the largest of some little-endian float32 values.

    Raises:
        InputError: if some are not finite, or they make sense in no unit, as those of another byte order or type do.
    """
    low, high = float(values.min()), float(values.max())
    size = max(abs(low), abs(high))
    if math.isfinite(size) and (size == 0 or SMALLEST < size < LARGEST):
        return low, high
    broken = int((~np.isfinite(values)).sum())
    found = f"{broken} of {values.size} values that are NaN or infinite" if broken else f"values up to {size:.4g}"
    wanted, remedy = "finite values", "export them again, or set them to the value of air if they lie outside the body"
    other = values.byteswap()
    extent = float(np.abs(other).max())
    if math.isfinite(extent) and SMALLEST < extent < LARGEST:
        found += f"; with the bytes in the other order they reach {extent:.4g}"
        wanted, remedy = "little-endian float32", "turn them: numpy.fromfile(FILE, '>f4').astype('<f4').tofile(NEW)"
    elif not broken:
        wanted = "little-endian float32"
        remedy = "find out the type of the values, and write them with numpy: array.astype('<f4').tofile(NEW)"
    raise InputError(where, found=found, wanted=wanted, remedy=remedy)


def _wrong_window(low: float, high: float, normalised: bool, where: Path) -> InputError:
    if normalised:
        found, wanted = "no Hounsfield units", "the Hounsfield units of the ends of the range"
        remedy = f"give the window the values were scaled with, as --window=LOW,HIGH; if nobody knows it, {WINDOW}"
    else:
        found, wanted, remedy = "not normalised", "values in [-1, 1] or [0, 1] where there is a window", "leave it out"
    return InputError(where, found=f"CT values from {low:.4g} to {high:.4g}, {found}", wanted=wanted, remedy=remedy)
