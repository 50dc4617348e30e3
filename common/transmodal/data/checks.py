"""Refuse what cannot be translated before anything is computed: the file first, then its voxels and its grid.

Every check is a pure function that returns nothing or raises :class:`~transmodal.errors.InputError`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.data.meta_tensor import MetaTensor
from monai.data.utils import to_affine_nd
from numpy.typing import NDArray
from PIL import Image
from pydicom.misc import is_dicom
from torch import Tensor

from transmodal.data.headers import Header, read_header
from transmodal.data.layout import LABELS, PICTURES, RADIOGRAPH, VOLUMES, extension, is_lone_dicom
from transmodal.dicom import check_dicom_folder
from transmodal.dicom.radiograph import check_radiograph_file
from transmodal.errors import InputError
from transmodal.tensors import without_metadata

__all__ = ["check_image", "check_path", "check_same_grid"]

GREY_MODES = ("1", "L", "I", "F", "I;16", "I;16B", "I;16L")
SMALLEST = 8
SHEAR = 5e-3
AGREE = 1e-3
"""Part of a voxel's size by which two statements of it may differ."""
GRID = 0.1
ORIGINAL = "start from the original DICOM or NIfTI file"


def check_path(path: str | Path, modality: str | None = None, series: bool = False) -> None:
    """Refuse a path that is no readable image, judged by name and header; voxels are not read.

    Args:
        path: an image file or a folder of DICOM files; an X-ray may be a single DICOM file.
        modality: what it should be; a DICOM series says itself what it is.
        series: let a NIfTI file hold several volumes.
    Raises:
        InputError: if it is missing, empty, of an unknown or a wrong format, a colour or palette picture, a series of
            volumes, no image by :func:`~transmodal.data.headers.read_header`, a NIfTI file with a broken or sheared
            affine or one that its ``pixdim`` contradicts, a folder that
            :func:`~transmodal.dicom.check_dicom_folder` refuses, or a radiograph that
            :func:`~transmodal.dicom.radiograph.check_radiograph_file` does.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(
            path, found="no such file or folder", wanted="an image", remedy="check the spelling; give the path in full"
        )
    if path.is_dir() and modality != RADIOGRAPH:
        return check_dicom_folder(path, modality)
    if path.is_file() and path.stat().st_size == 0:
        raise InputError(path, found="an empty file (0 bytes)", wanted="an image", remedy="copy or export it again")
    if modality == RADIOGRAPH and (path.is_dir() or is_lone_dicom(path, modality) or is_dicom(path)):
        return check_radiograph_file(path)
    suffix = extension(path)
    if not suffix:
        raise InputError(
            path,
            found=f"a file that ends in {path.suffix or 'nothing'}",
            wanted=f"one of {' '.join((*VOLUMES, *PICTURES))}, or a folder of DICOM files",
            remedy="convert the image, or put DICOM files into a folder of their own",
        )
    if not path.is_file():
        raise InputError(path, found="neither a file nor a folder", wanted="an image", remedy="copy it into a file")
    header = read_header(path)
    if suffix in PICTURES:
        _check_picture(path)
    if header.affine is not None:
        channels = int(np.prod(header.sizes[3:]))
        if channels != 1 and not series:
            raise _not_one_channel(path, channels, header.sizes[:3])
        _check_stored(header, header.affine, path)


def _check_picture(path: Path) -> None:
    with Image.open(path) as image:
        if image.mode not in GREY_MODES:
            raise InputError(
                path,
                found=f"a colour or palette picture (mode {image.mode}, {len(image.getbands())} channels)",
                wanted="a greyscale picture with one channel",
                remedy="if it only shows greys, save it as 8-bit or 16-bit greyscale; else it is no such image",
            )


def _check_stored(header: Header, affine: NDArray[Any], path: Path) -> None:
    """Refuse a NIfTI file that says two things of its geometry: readers differ in which of them they take."""
    axes = min(len(header.sizes), 3)
    _check_affine(affine, axes, path)
    spacing, told = np.linalg.norm(affine[:3, :axes], axis=0), np.array(header.spacing[:axes])
    if (np.abs(spacing - told) > AGREE * spacing).any():
        raise InputError(
            path,
            found=f"a header that contradicts itself: voxels of {_times(spacing)} mm by its affine (sform), "
            f"of {_times(told)} mm by its pixdim",
            wanted="one geometry",
            remedy="see which is right and write it again: if the affine, by nibabel.save(nibabel.Nifti1Image("
            "image.dataobj, image.affine), PATH); if pixdim and qform, by fslorient -copyqform2sform PATH",
        )


def check_image(image: Tensor, modality: str, where: str | Path) -> None:
    """Refuse an image whose voxels or grid cannot be what they are said to be.

    Args:
        image: as read, physical units: one channel first, (1, H, W[, D]), or without channel axis where the reader's
            metadata tell the spatial shape. A ``MetaTensor``'s affine is checked.
        modality: its name in the data layout; CT must be in Hounsfield units, masks and labels must hold whole numbers.
        where: the file, for the error.
    Raises:
        InputError: on several channels, fewer than 8 voxels along two axes, NaN or infinite values, a constant image,
            an empty mask, values outside a modality's meaning, or an affine that is singular or sheared.
    """
    channels, spatial = _layout(image)
    if channels != 1:
        raise _not_one_channel(where, channels, spatial)
    if len(spatial) not in (2, 3) or 0 in spatial or sorted(spatial)[-2] < SMALLEST:
        raise InputError(
            where,
            found=f"an image of {_times(spatial)} voxels",
            wanted=f"a slice or a volume of at least {SMALLEST}×{SMALLEST} in plane",
            remedy="check that the file is the image itself and not a localizer, a thumbnail or a table",
        )
    if isinstance(image, MetaTensor):
        _check_affine(_affine(image), len(spatial), where)
    values = without_metadata(image)
    low, high = (float(bound) for bound in torch.aminmax(values))
    if not np.isfinite([low, high]).all():
        broken = int((~torch.isfinite(values)).sum())
        raise InputError(
            where,
            found=f"{broken} of {values.numel()} values that are NaN or infinite",
            wanted="finite values",
            remedy="export the image again, or set them to the background value if they lie outside the body",
        )
    if modality in LABELS:
        _check_labels(values, modality, where)
    elif low == high:
        raise InputError(
            where,
            found=f"a constant image (every value is {low:g})",
            wanted="an image with contrast",
            remedy="check the export; the file holds no picture of anything",
        )
    if modality == "ct":
        _check_hounsfield(low, high, where)


def check_same_grid(image: Tensor, label: Tensor, where_image: str | Path, where_label: str | Path) -> None:
    """Refuse two images that are not voxel by voxel the same place.

    Args:
        image, label: as for :func:`check_image`; affines are compared where both are ``MetaTensor``.
        where_image, where_label: their files, for the error.
    Raises:
        InputError: if shapes differ, or a corner of one grid lies more than a tenth of a voxel from the other's;
            the error says which of shape, spacing, direction and origin differ, and by how much.
    """
    spatial, other = ((*_layout(each)[1], 1)[:3] for each in (image, label))  # a slice is a volume of one
    differences = [] if spatial == other else [f"shape {_times(spatial)} against {_times(other)}"]
    if isinstance(image, MetaTensor) and isinstance(label, MetaTensor):
        differences += _affine_differences(_affine(image), _affine(label), spatial)
    if differences:
        raise InputError(
            where_image,
            found=f"another grid than {where_label}: {'; '.join(differences)}",
            wanted="two images on one grid",
            remedy="register and resample one onto the other (for example with SimpleITK or 3D Slicer)",
        )


def _affine_differences(a: NDArray[Any], b: NDArray[Any], spatial: tuple[int, ...]) -> list[str]:
    """What differs between two 4×4 affines of one shape, if it moves a corner; voxel axes are the columns, in mm."""
    corners = np.indices((2, 2, 2)).reshape(3, -1) * (np.array(spatial) - 1)[:, None]
    shift = np.linalg.norm((a - b)[:3, :3] @ corners + (a - b)[:3, 3:], axis=0).max()
    spacing_a, spacing_b = (np.linalg.norm(affine[:3, :3], axis=0) for affine in (a, b))
    if shift <= GRID * spacing_a.min():
        return []
    cosines = np.sum(a[:3, :3] * b[:3, :3], axis=0) / np.maximum(spacing_a * spacing_b, 1e-12)
    angle = float(np.degrees(np.arccos(np.clip(cosines, -1, 1))).max())
    origins = float(np.linalg.norm((a - b)[:3, 3]))
    told = {
        f"spacing {_times(spacing_a)} against {_times(spacing_b)} mm": np.abs(spacing_a - spacing_b).max() > 1e-3,
        f"direction by up to {angle:.1f} degrees": angle > 0.1,
        f"origin by {origins:.2f} mm": origins > 0.01,
    }
    return [text for text, differs in told.items() if differs] or [f"corners by up to {shift:.2f} mm"]


def _affine(image: MetaTensor) -> NDArray[Any]:
    return np.asarray(to_affine_nd(3, np.asarray(image.affine, dtype=float)))


def _layout(image: Tensor) -> tuple[int, tuple[int, ...]]:
    """Number of channels and spatial shape, with or without a channel axis."""
    told = getattr(image, "meta", {}).get("spatial_shape")
    shape = tuple(image.shape)
    if told is not None:
        spatial = tuple(int(size) for size in np.asarray(told).ravel())
        if spatial and spatial in (shape[: len(spatial)], shape[-len(spatial) :]) and 0 not in spatial:
            return image.numel() // int(np.prod(spatial)), spatial
    return (shape[0] if shape else 0), shape[1:]


def _not_one_channel(where: str | Path, channels: int, spatial: tuple[int, ...]) -> InputError:
    return InputError(
        where,
        found=f"{channels} channels or volumes of {_times(spatial)}",
        wanted="one channel",
        remedy="save the wanted volume of the series as its own file; save a colour picture as greyscale",
    )


def _check_affine(affine: NDArray[Any], axes: int, where: str | Path) -> None:
    columns = affine[:3, :axes]
    spacing = np.linalg.norm(columns, axis=0)
    if not np.isfinite(affine).all() or spacing.min() < 1e-6:
        raise InputError(
            where,
            found=f"a singular or broken affine (voxel size {_times(spacing)} mm)",
            wanted="an affine with three axes of positive length",
            remedy=f"the header lost its geometry: {ORIGINAL}",
        )
    cosine = float(np.abs((columns / spacing).T @ (columns / spacing) - np.eye(axes)).max())
    if cosine > SHEAR:
        raise InputError(
            where,
            found=f"a sheared grid (axes {np.degrees(np.arcsin(min(cosine, 1))):.1f} degrees off a right angle)",
            wanted="axes at right angles",
            remedy="resample the image to an upright grid first; it may come from a scan with gantry tilt",
        )


def _check_hounsfield(low: float, high: float, where: str | Path) -> None:
    if low < -1:
        return
    if high <= 1:
        found, remedy = f"values from {low:g} to {high:g}, which have been normalised", ORIGINAL
    elif low >= 0 and high <= 255:
        found = f"values from {low:g} to {high:g}, which are the grey levels of an 8-bit picture"
        remedy = f"{ORIGINAL}, or undo the window: HU = low + grey / 255 · (high − low) (tools/datalist.py --window)"
    else:
        found = f"values from {low:g} to {high:g}, no air and no fat: the rescale intercept was lost"
        remedy = f"{ORIGINAL}, or add the intercept (usually −1024)"
    raise InputError(where, found=found, wanted="CT in Hounsfield units, air near −1000", remedy=remedy)


def _check_labels(values: Tensor, modality: str, where: str | Path) -> None:
    fractional = values.is_floating_point() and not bool((values == values.round()).all())
    if fractional or bool((values < 0).any()):
        raise InputError(
            where,
            found="fractional or negative values",
            wanted=f"a {modality} of whole numbers from 0",
            remedy="resample masks with nearest-neighbour interpolation, or threshold them",
        )
    if modality == "mask" and not bool(values.any()):
        raise InputError(
            where,
            found="an empty mask",
            wanted="non-zero voxels inside the body",
            remedy="make the mask again, or remove the file: a mask is then found automatically",
        )


def _times(sizes: Any) -> str:
    return "×".join(f"{size:.4g}" if isinstance(size, float) else str(size) for size in sizes)
