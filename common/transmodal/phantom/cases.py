"""One phantom case in memory: every image of one random patient."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from monai.data import MetaTensor
from numpy.random import Generator, SeedSequence, default_rng
from numpy.typing import NDArray

from transmodal.errors import InputError
from transmodal.phantom.anatomy import Region
from transmodal.phantom.grid import Grid, check_shape, check_spacing
from transmodal.phantom.radiograph import radiograph
from transmodal.phantom.signals import CONTRASTS, coil_field, ct_image, mr_image, tissue_texture

MODALITIES = ("ct", *CONTRASTS, "xray", "mask", "lesion", "label")
# Each has random numbers of its own, so that no image depends on which others are made. Append only.
_STREAMS = ("place", "anatomy", "texture", "coil", "ct", "mr", "t1", "t1ce", "t2", "flair", "xray")


def make_case(
    region: Region,
    seed: int | Sequence[int],
    shape: Sequence[int] = (96, 96, 32),
    spacing: Sequence[float] | None = None,
    modalities: Sequence[str] = ("ct", "mr"),
    xray_spacing: float = 2.5,
) -> dict[str, MetaTensor]:
    """Make the images of one random patient, all of the same anatomy.

    The patient depends on region and seed alone: another grid shows the same one. Images carry an affine to RAS mm and
    are stored as scanners store them, i to the patient's left, j to the back, k to the head.

    Args:
        region: what to draw, such as ``Thigh()``.
        seed: a whole number, or several (a dataset's seed and the case's index).
        shape: voxels along i, j, k.
        spacing: voxel edges in mm; by default the region's field of view over ``shape``.
        modalities: any of ``ct mr t1 t1ce t2 flair xray``; ``mr`` is T1-weighted, as pairs with CT usually are.
        xray_spacing: pixel edge of ``xray`` in mm.
    Returns:
        The modalities asked for, and always ``mask`` (the body), ``lesion`` and ``label`` (values of ``Tissue``), each
        of shape (1, I, J, K). ``ct`` is int16 in HU; MR is float32 >= 0, with subcutaneous fat near 1000 in T1; maps
        are uint8. ``xray`` is float32, (1, columns, rows): the whole region from the front, see ``radiograph``.
    Raises:
        InputError: if an argument is not as described.
    """
    check_region(region)
    check_modalities(modalities)
    streams = _streams(seed)
    grid = _grid(region, shape, spacing, region.centre(streams["place"]))
    anatomy = region.draw(grid, streams["anatomy"])
    texture, coil = tissue_texture(grid, streams["texture"]), coil_field(grid, streams["coil"])
    images: dict[str, NDArray[np.generic]] = {}
    for name in dict.fromkeys(modalities):
        if name == "ct":
            images[name] = ct_image(anatomy, texture, region.ct_noise, region.ct_streaks, streams[name])
        elif name == "xray":
            images[name] = radiograph(region, xray_spacing, _streams(seed)["anatomy"], grid.centre, streams[name])
        elif name in CONTRASTS:
            images[name] = mr_image(anatomy, CONTRASTS[name], texture, coil, streams[name])
            if region.cut_out:
                images[name] = np.where(anatomy.mask() > 0, images[name], np.float32(0))
    images |= {"mask": anatomy.mask(), "lesion": anatomy.lesion(), "label": anatomy.labels()}
    return {name: _meta_tensor(image, grid.affine, xray_spacing) for name, image in images.items()}


def _grid(
    region: Region, shape: Sequence[int], spacing: Sequence[float] | None, centre: tuple[float, float, float]
) -> Grid:
    check_shape(shape)
    if spacing is None:
        spacing = [extent / n for extent, n in zip(region.field_of_view, shape, strict=True)]
    check_spacing(spacing)
    (i, j, k), (di, dj, dk) = shape, spacing
    return Grid((i, j, k), (di, dj, dk), centre)


def _meta_tensor(image: NDArray[np.generic], affine: NDArray[np.float64], pixel: float) -> MetaTensor:
    """Image with a channel in front; a radiograph's affine holds its pixel size alone, as nothing places its plane."""
    if image.ndim == 2:
        affine = np.diag(np.array([-pixel, -pixel, 1.0, 1.0]))
    return MetaTensor(torch.from_numpy(image)[None], torch.from_numpy(affine))


def check_region(region: Region) -> None:
    """Refuse what is not a region, with an InputError."""
    if not isinstance(region, Region):
        raise InputError(
            "phantom region", found=repr(region), wanted="an instance of a Region", remedy="pass for example Thigh()"
        )


def check_modalities(modalities: Sequence[str]) -> None:
    """Refuse modalities that no phantom has, with an InputError."""
    unknown = [modalities] if isinstance(modalities, str) else [m for m in modalities if m not in MODALITIES]
    if unknown:
        raise InputError(
            "phantom modalities",
            found=", ".join(map(repr, unknown)),
            wanted=f"a list of {', '.join(MODALITIES)}",
            remedy='pass for example modalities=["ct", "mr"]',
        )


def _streams(seed: int | Sequence[int]) -> dict[str, Generator]:
    """Independent random numbers for each thing drawn, fresh at each call."""
    numbers = list(seed) if isinstance(seed, Sequence) else [seed]
    if not numbers or any(isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 0 for n in numbers):
        raise InputError("phantom seed", found=repr(seed), wanted="whole numbers from 0 up", remedy="pass seed=0")
    return {name: default_rng(SeedSequence(numbers, spawn_key=(index,))) for index, name in enumerate(_STREAMS)}
