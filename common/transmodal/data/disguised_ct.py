"""CT that has lost its Hounsfield units, such as 8-bit pictures of a window, told from MR by comparison with CT.

Every CT that is in Hounsfield units is shown through a grid of windows. An image that looks like one of these views of
another patient is taken for CT. No image need be known to be MR, so that a folder of nothing but such CT is found too.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from transmodal.data.neighbours import steps_inside
from transmodal.tensors import without_metadata

__all__ = ["NEAR", "appearance", "distances", "views"]

Array = NDArray[np.float64]

WINDOWS = tuple(product((-1024, -500, -200, -100), (100, 250, 500, 1200, 2500)))
"""Lower and upper ends in HU; windows between them look alike enough."""
NEAR = 0.23
"""Set on 18 patients with soft-tissue sarcoma: no MR lies so near to a view of another patient's CT (the nearest at
0.25), but nine in ten of their CTs through windows that are not in the grid do."""
SLICES, PIXELS, GREYS = 16, 128, 255
LOWER, UPPER, DARKEST, BINS = 0.005, 0.995, 0.05, 64


def appearance(image: Tensor) -> Array:
    """What an image looks like in whatever units: intensities, edges, and how narrow its tissues' peaks are.

    Args:
        image: (H, W[, D]); some slices of the last axis are looked at.
    Returns:
        (16,), all between 0 and about 3: deciles of the intensities between dark and bright, quartiles and the ninth
        decile of the steps between neighbours (tripled), shares of the 4 and 12 fullest of 64 bins, share not dark.
    """
    return _appearance(_sampled(image))


def views(image: Tensor) -> Array:
    """The appearances of a CT in HU, (H, W[, D]), through each window of the grid in 8 bits, (windows, 16)."""
    values = _sampled(image)
    shown = (np.rint((np.clip(values, low, high) - low) / (high - low) * GREYS) for low, high in WINDOWS)
    return np.stack([_appearance(view) for view in shown])


def distances(seen: Sequence[Array], cases: Sequence[str], ct: Sequence[Array], ct_cases: Sequence[str]) -> list[float]:
    """How far each appearance is from the nearest view of another case's CT; infinite where there is no other."""
    result = []
    for features, case in zip(seen, cases, strict=True):
        others = [of_windows for of_windows, other in zip(ct, ct_cases, strict=True) if other != case]
        result.append(min((float(np.linalg.norm(each - features, axis=1).min()) for each in others), default=np.inf))
    return result


def _sampled(image: Tensor) -> Array:
    values = without_metadata(image)
    volume = values if values.ndim == 3 else values.reshape(*values.shape[:2], -1)
    depth, step = volume.shape[-1], max(1, max(volume.shape[:2]) // PIXELS)
    chosen = np.unique(np.linspace(0, depth - 1, min(depth, SLICES)).round().astype(np.int64))
    return np.asarray(volume[::step, ::step, chosen], dtype=np.float64)


def _appearance(values: Array) -> Array:
    low, high = np.quantile(values, [LOWER, UPPER])
    unit = np.clip((values - low) / max(high - low, 1e-9), 0, 1)
    inside = unit > DARKEST
    within = unit[inside] if inside.any() else np.zeros(1)
    steps = steps_inside(unit, inside, axes=(0, 1))
    edges = steps if len(steps) else np.zeros(1)
    shares = np.sort(np.histogram(within, BINS, (0, 1))[0] / within.size)[::-1]
    peaks = [shares[:4].sum(), shares[:12].sum(), inside.mean()]
    return np.concatenate(
        [np.quantile(within, np.arange(1, 10) / 10), 3 * np.quantile(edges, [0.25, 0.5, 0.75, 0.9]), peaks]
    )
