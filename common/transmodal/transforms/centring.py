"""Where the middle of a CT is: of its lungs, of its body, or of its grid, in millimetres."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from monai.data import MetaTensor
from monai.data.utils import to_affine_nd
from numpy.typing import NDArray
from scipy import ndimage

from transmodal.errors import InputError
from transmodal.transforms.body import BodyMask
from transmodal.transforms.resampling import Affine, resampled

__all__ = ["CENTRES", "centre_of"]

Point = NDArray[np.float64]

_EDGE = 4.0  # mm, of the coarse voxels in which organs are sought
_AIR, _TISSUE = -500.0, -300.0  # HU, below and above
_OPEN_AIR = -950.0  # HU; air around the patient is emptier than lungs
_LEAST = 200.0  # ml, the smallest lungs
_OUTERMOST = 1.0  # per cent of the voxels at each end of an axis that do not count: windpipe, table


def centre_of(image: MetaTensor, centre: str) -> Point:
    """The middle of what is named, RAS mm, (3,).

    Args:
        image: CT in HU, (1, H, W, D), with its affine.
        centre: ``"lungs"``, ``"body"`` or ``"image"``.
    Raises:
        InputError: if there is no such centre, or the image shows no lungs.
    """
    if centre not in CENTRES:
        raise InputError(
            "field of view, centre",
            found=repr(centre),
            wanted=f"one of {', '.join(CENTRES)}",
            remedy='"lungs" suits chests; "image" keeps the middle of the scan',
        )
    return CENTRES[centre](image)


def middle_of_grid(image: MetaTensor) -> Point:
    """The point in the middle of all voxels."""
    affine = _affine(image)
    point: Point = affine[:3, :3] @ ((np.asarray(image.shape[1:]) - 1) / 2) + affine[:3, 3]
    return point


def middle_of_body(image: MetaTensor) -> Point:
    """The body is the large connected tissue with all it encloses."""
    coarse = _coarse(image)
    return _middle(BodyMask(threshold=_TISSUE)(coarse)[0].numpy() > 0, coarse)


def middle_of_lungs(image: MetaTensor) -> Point:
    """Lungs are large connected volumes of air that are denser than the air around the patient.

    Raises:
        InputError: if there are none.
    """
    coarse = _coarse(image)
    values = coarse[0].numpy()
    parts, count = ndimage.label(values < _AIR)
    millilitres = np.bincount(parts.ravel(), minlength=count + 1)[1:] * _EDGE**3 / 1000
    large = [part for part in range(1, count + 1) if millilitres[part - 1] >= _LEAST / 2]
    lungs = [part for part in large if float(np.median(values[parts == part])) > _OPEN_AIR]
    found = np.isin(parts, lungs)
    if millilitres[[part - 1 for part in lungs]].sum() < _LEAST:
        raise InputError(
            f"the CT of case {image.meta.get('case', 'without a name')}",
            found="no lungs: nowhere a connected volume of their density",
            wanted=f"a CT of the chest in HU with lungs of {_LEAST:g} ml or more",
            remedy='check that it is a chest in HU, or choose the centre "body" or "image"',
        )
    return _middle(found, coarse)


CENTRES: dict[str, Callable[[MetaTensor], Point]] = {
    "lungs": middle_of_lungs,
    "body": middle_of_body,
    "image": middle_of_grid,
}


def _affine(image: MetaTensor) -> Affine:
    affine: Affine = to_affine_nd(3, np.asarray(image.affine.cpu(), dtype=np.float64))
    return affine


def _coarse(image: MetaTensor) -> MetaTensor:
    """The image in RAS on coarse cubes."""
    affine, shape = _affine(image), np.asarray(image.shape[1:])
    corners = np.indices((2, 2, 2)).reshape(3, -1).T * shape - 0.5
    places = corners @ affine[:3, :3].T + affine[:3, 3]
    low, high = places.min(axis=0), places.max(axis=0)
    x, y, z = (max(1, round(extent)) for extent in (high - low) / _EDGE)
    coarse = np.diag([_EDGE, _EDGE, _EDGE, 1.0])
    coarse[:3, 3] = (low + high) / 2 - _EDGE * (np.array([x, y, z]) - 1) / 2
    return resampled(image, coarse, (x, y, z), fill=-1024.0)


def _middle(mask: NDArray[np.bool_], image: MetaTensor) -> Point:
    """The middle of what a mask holds along each axis, its outermost voxels aside, RAS mm."""
    indices = np.argwhere(mask)
    ends = np.percentile(indices, [_OUTERMOST, 100 - _OUTERMOST], axis=0)
    affine = _affine(image)
    point: Point = affine[:3, :3] @ ends.mean(axis=0) + affine[:3, 3]
    return point
