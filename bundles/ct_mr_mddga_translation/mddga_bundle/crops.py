"""How large the parts are that the stages train on, and where they are cut from whole volumes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from transmodal.errors import InputError

__all__ = ["box_in_body", "fraction_of"]


def fraction_of(size: Sequence[int], fraction: float, multiple: int = 1) -> list[int]:
    """The size of a crop, as published: a quarter of each axis of a slice, half of each axis of a volume.

    Args:
        size: of the whole, in pixels or voxels.
        fraction: of each axis, above 0 and at most 1.
        multiple: what the crop is to be divisible by; it is rounded down, but to no less than this.
    Raises:
        InputError: if the fraction or the multiple is out of range.
    """
    wrong_multiple = isinstance(multiple, bool) or not isinstance(multiple, int) or multiple < 1
    if isinstance(fraction, str | bool) or not 0 < fraction <= 1 or wrong_multiple:
        raise InputError(
            "size of the training crops",
            found=f"the fraction {fraction!r} and the multiple {multiple!r}",
            wanted="a fraction above 0 and at most 1, and an integer of 1 or more",
            remedy="a quarter of a slice and half of a volume are as published",
        )
    return [max(multiple, int(length * fraction) // multiple * multiple) for length in size]


def box_in_body(body: NDArray[np.bool_], size: Sequence[int], seed: int) -> tuple[slice, ...]:
    """A box around a voxel of the body that ``seed`` chooses, moved inwards where it would leave the volume.

    The published code takes any box, most of which may be air.

    Args:
        body: (D, H, W); without any body every voxel may be chosen.
        size: of the box, nowhere larger than the volume.
        seed: of 0 or more; every voxel of the body is equally likely.
    Returns:
        Where the box lies along each axis.
    """
    counts = np.count_nonzero(body, axis=(1, 2)).cumsum()
    if not counts[-1]:
        return box_in_body(np.ones_like(body), size, seed)
    chosen = int(np.random.default_rng(seed).integers(counts[-1]))
    plane = int(np.searchsorted(counts, chosen, side="right"))
    inside: NDArray[Any] = np.flatnonzero(body[plane])
    before = int(counts[plane - 1]) if plane else 0
    centre = (plane, *divmod(int(inside[chosen - before]), body.shape[2]))
    starts = (
        min(max(at - wanted // 2, 0), length - wanted)
        for at, wanted, length in zip(centre, size, body.shape, strict=True)
    )
    return tuple(slice(start, start + wanted) for start, wanted in zip(starts, size, strict=True))
