"""What slices must be to form one volume: alike, evenly spaced, and stacked along their normal.

Source: DICOM PS3.3 C.7.6.2 (Image Plane).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from transmodal.dicom.headers import Frame
from transmodal.errors import InputError

__all__ = ["KEEP_ONE", "check_alike", "check_stack"]

KEEP_ONE = "keep the files of one series in this folder and move the others to folders of their own"

Vector = NDArray[np.float64]


def check_alike(folder: str | Path, frames: Sequence[Frame]) -> None:
    """Refuse slices without a place in the patient, and mixtures such as a localizer within a series."""
    placeless = [frame.file.name for frame in frames if len(frame.position) != 3 or len(frame.orientation) != 6]
    if placeless:
        raise InputError(
            folder,
            found=f"{len(placeless)} of {len(frames)} slices without position or orientation ({placeless[0]})",
            wanted="ImagePositionPatient and ImageOrientationPatient in every slice",
            remedy="export the original series; for two-dimensional images make one folder per image",
        )
    for what in ("size", "spacing", "orientation"):
        values = Counter(tuple(round(value, 3) for value in getattr(frame, what)) for frame in frames)
        lengths = {len(value) for value in values}
        spread = np.ptp(np.array(list(values)), axis=0).max(initial=0) if len(lengths) == 1 else np.inf
        if spread > 0.002:
            listed = ", ".join(f"{value} in {count}" for value, count in values.most_common(3))
            found, wanted = f"slices of different {what}: {listed}", f"one {what}"
            raise InputError(folder, found=found, wanted=wanted, remedy=KEEP_ONE)


def check_stack(folder: str | Path, frames: Sequence[Frame]) -> None:
    """Refuse doubled positions, gaps, uneven spacing and tilt."""
    normal: Vector = np.cross(np.array(frames[0].orientation[:3]), np.array(frames[0].orientation[3:]))
    ordered = sorted(frames, key=lambda frame: float(np.dot(frame.position, normal)))
    positions: Vector = np.array([frame.position for frame in ordered])
    heights: Vector = positions @ normal
    gaps = np.diff(heights)
    if gaps.min() < 0.01:
        name = ordered[int(gaps.argmin()) + 1].file.name
        raise InputError(
            folder,
            found=f"several images at one position (such as {name}; {int((gaps < 0.01).sum())} too many)",
            wanted="one image per position",
            remedy="these are phases, echoes or repetitions: make one folder of each",
        )
    _check_steps(folder, heights, gaps)
    _check_upright(folder, positions[-1] - positions[0], normal, frames[0].spacing or (1.0,))


def _check_steps(folder: str | Path, heights: Vector, gaps: Vector) -> None:
    step = float(np.median(gaps))
    if gaps.max() - gaps.min() <= max(0.02, 0.02 * step):  # mm; scanners round positions to 0.01 mm
        return
    times = gaps / step
    holes = bool((np.abs(times - times.round()) < 0.05).all() and times.round().min() == 1)
    where = f"between {heights[gaps.argmax()]:.1f} and {heights[gaps.argmax() + 1]:.1f} mm"
    found = f"uneven slice spacing, widest {where}"
    if holes:
        found = f"{int((times.round() - 1).sum())} missing slices, {where}"
    raise InputError(
        folder,
        found=f"{found}: steps of {gaps.min():.2f} to {gaps.max():.2f} mm, usually {step:.2f} mm",
        wanted="slices at equal distances",
        remedy="export the complete series" if holes else "resample the series to equal distances first",
    )


def _check_upright(folder: str | Path, travel: Vector, normal: Vector, spacing: Sequence[float]) -> None:
    """Refuse a stack whose slices are shifted against each other by more than half a pixel in all."""
    drift = float(np.linalg.norm(travel - (travel @ normal) * normal))
    if drift > 0.5 * min(spacing):
        angle = float(np.degrees(np.arctan2(drift, abs(travel @ normal))))
        raise InputError(
            folder,
            found=f"gantry tilt: slices shift by {drift:.1f} mm over the stack ({angle:.1f} degrees)",
            wanted="slices stacked along their normal",
            remedy="resample the series to an upright grid first, for example with dcm2niix, which corrects the tilt",
        )
