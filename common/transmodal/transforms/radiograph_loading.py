"""Reading of radiographs: whatever the file, the picture as it hangs, bright where dense."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.data.utils import to_affine_nd
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from transmodal.data.checks import check_image, check_path
from transmodal.data.layout import PICTURES, extension
from transmodal.data.radiograph_check import check_radiograph, marks
from transmodal.data.radiograph_files import read_picture
from transmodal.dicom.radiograph import read_radiograph
from transmodal.errors import InputError, require_flag
from transmodal.transforms.loading import NamedLoadImaged
from transmodal.transforms.radiograph import LONGEST_PIXEL

__all__ = ["RadiographLoadImaged", "coronal_affine"]

logger = logging.getLogger(__name__)


class RadiographLoadImaged(NamedLoadImaged):
    """Read radiographs from PNG, JPEG, DICOM (a file, or a folder with one frontal image), NIfTI, MHA or NRRD.

    A sample's value that is no path, such as a projection of its CT, is passed on as it is. The result is a
    ``MetaTensor`` (1, rows, columns) in the file's own grey levels: rows run head to feet, columns from the patient's
    right to the left, as a frontal radiograph hangs, and dense is bright, also from a MONOCHROME1 file. Its affine says
    the same, with the middle of the picture at the origin and the spacing of the file (1 mm where it has none). In
    volume formats the first axis is columns and the second rows, turned where the affine says so.

    Args:
        keys: paths to load.
        check_chest: refuse what is no frontal chest radiograph, stands on its head or has inverted greys, as it looks
            on square pixels. Headers of DICOM files are looked at in any case. Marks that are part of the picture, such
            as letters, are logged once per file.
        invert: turn inverted greys over instead of refusing them; needs ``check_chest``, which finds them.
    Raises:
        InputError: if a file is missing, unreadable, empty, constant, not finite, coloured, inverted or no chest; or if
            a flag arrives as a string.
    """

    def __init__(
        self,
        keys: KeysCollection,
        check_chest: bool = True,
        invert: bool = False,
        allow_missing_keys: bool = True,
        **reader: Any,
    ) -> None:
        super().__init__(keys, allow_missing_keys, **reader)
        for name, flag in (("check_chest", check_chest), ("invert", invert)):
            require_flag(f"RadiographLoadImaged, {name}", flag)
        self.check_chest, self.invert = check_chest, invert
        self.told: set[Path] = set()

    def __call__(self, data: Mapping[Hashable, Any], reader: Any = None) -> dict[Hashable, Any]:
        sample = dict(data)
        for key in self.key_iterator(sample):
            if not isinstance(sample[key], Tensor | np.ndarray):
                sample[key] = self._radiograph(Path(str(sample[key])), sample.get("case"))
        return sample

    def _radiograph(self, path: Path, case: str | None) -> MetaTensor:
        values, spacing, notes = self._as_it_hangs(path)
        picture = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))[None]
        check_image(picture, "xray", path)
        if self.check_chest:
            seen = _squared(picture, spacing)
            if check_radiograph(seen, path, self.invert) is not seen:
                picture = picture.max() + picture.min() - picture
                notes = (*notes, "its grey levels were turned over")
        if letters := marks(picture):
            notes = (*notes, f"{letters} mark{'s' * (letters > 1)} such as letters lie in the picture")
        self._tell(path, notes)
        image = MetaTensor(picture, affine=torch.from_numpy(coronal_affine(picture.shape[1:], spacing or (1.0, 1.0))))
        image.meta |= {"filename_or_obj": str(path), "case": case or path.name.split(".")[0], "notes": "; ".join(notes)}
        image.meta |= {"spatial_shape": np.array(picture.shape[1:]), "original_channel_dim": 0}
        volume = path.is_file() and extension(path) not in ("", *PICTURES)
        image.meta["spacing_told"] = volume and spacing != (1.0, 1.0)
        return image

    def _as_it_hangs(self, path: Path) -> tuple[NDArray[np.float32], tuple[float, float] | None, tuple[str, ...]]:
        """Values (rows, columns), their spacing in mm where it is known, and what the header tells."""
        if path.suffix.lower() in PICTURES:
            check_there(path)
            return read_picture(path), None, ()
        if path.is_dir() or not extension(path):
            check_path(path, "xray")
            return read_radiograph(path)
        check_path(path)
        return (*_hung(self._read(path, None), path), ())

    def _tell(self, path: Path, notes: Sequence[str]) -> None:
        if notes and path not in self.told:
            self.told.add(path)
            logger.warning("%s: %s", path, "; ".join(notes))


def check_there(path: Path) -> None:
    """Refuse a picture that does not exist or has no bytes.

    Raises:
        InputError: naming it.
    """
    if not path.is_file() or path.stat().st_size == 0:
        raise InputError(
            path,
            found="an empty file (0 bytes)" if path.exists() else "no such file",
            wanted="a radiograph",
            remedy="check the spelling, give the path in full, or export the file again",
        )


def coronal_affine(shape: Sequence[int], spacing: Sequence[float]) -> NDArray[np.float64]:
    """The affine (4, 4, RAS, mm) of a picture that hangs: rows to the feet, columns to the left, middle at the origin.

    Args:
        shape: rows and columns.
        spacing: of them in mm.
    """
    (rows, columns), (down, across) = shape, (float(spacing[0]), float(spacing[1]))
    return np.array(
        [
            [0, -across, 0, across * (columns - 1) / 2],
            [0, 0, 1, 0],
            [-down, 0, 0, down * (rows - 1) / 2],
            [0, 0, 0, 1],
        ],
        dtype=np.float64,
    )


def _squared(picture: Tensor, spacing: tuple[float, float] | None) -> Tensor:
    """The picture (1, rows, columns) on square pixels, the coarser axis refined; itself where they are square."""
    if spacing is None or max(spacing) <= 1.01 * min(spacing):
        return picture
    finest = min(spacing)
    rows, columns = (
        round(length * min(edge / finest, LONGEST_PIXEL))
        for length, edge in zip(picture.shape[1:], spacing, strict=True)
    )
    return F.interpolate(picture[None], size=(rows, columns), mode="bilinear", align_corners=False)[0]


def _hung(image: MetaTensor, path: Path) -> tuple[NDArray[np.float32], tuple[float, float]]:
    """(rows, columns) and their spacing from an image on two axes, or on three of which one has length 1.

    The axis nearest to left-right becomes columns, toward the left; the other becomes rows, toward the feet, or toward
    the back where the plane is written as axial, as plain pictures are.
    """
    sizes = tuple(size for size in image.shape if size > 1)
    if len(sizes) != 2:
        raise InputError(
            path,
            found=f"an image of {'×'.join(map(str, image.shape))} voxels",
            wanted="one picture",
            remedy="give a radiograph; a CT becomes one by a projection (tools/make_drr.py)",
        )
    if not (image.meta.get("sform_code", 1) or image.meta.get("qform_code", 0)):  # NIfTI without any geometry
        image.affine = torch.diag(torch.tensor([-1.0, -1.0, 1.0, 1.0], dtype=torch.float64))
    axes = [axis for axis, size in enumerate(image.shape) if size > 1]
    values = np.asarray(image.as_tensor()).reshape(sizes).astype(np.float32)
    directions = np.asarray(to_affine_nd(3, np.asarray(image.affine, dtype=float)))[:3, :3][:, axes]
    spacing = np.linalg.norm(directions, axis=0)
    columns = int(np.abs(directions[0] / spacing).argmax())
    rows = 1 - columns
    down = 2 if abs(directions[2, rows]) > abs(directions[1, rows]) else 1
    flips = [axis for axis, toward in ((columns, directions[0, columns]), (rows, directions[down, rows])) if toward > 0]
    hung = np.flip(values, axis=tuple(flips))
    return hung if rows == 0 else hung.T, (float(spacing[rows]), float(spacing[columns]))
