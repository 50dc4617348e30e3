"""A scan as a data set of one case, in the layout that every bundle reads, and its voxels as they are."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import nibabel
import numpy as np
from monai.data import MetaTensor
from nibabel.orientations import apply_orientation, io_orientation, ornt_transform

from translating.inputs import Scan
from transmodal.data import check_image
from transmodal.data.layout import MODALITY_OF, extension
from transmodal.errors import InputError
from transmodal.transforms import BodyMask, CheckedLoadImaged, EnsureVolumed

__all__ = ["MASK", "Stage", "body_of", "write_mask"]

MASK = "mask.nii.gz"
RAS = np.array([[0, 1], [1, 1], [2, 1]])


class Stage:
    """A folder in which one scan lies as ``<case>/<modality>``, by a link to it.

    Args:
        folder: a new folder for it.
        scan: what is linked; nothing of it is changed.
        image: its file, or a folder with the files of its series alone.
    """

    def __init__(self, folder: Path, scan: Scan, image: Path) -> None:
        self.folder, self.scan, self.image = folder, scan, image
        self.suffix = extension(image) if image.is_file() else ""
        self.case.mkdir(parents=True)
        self._link("image")

    @property
    def case(self) -> Path:
        """The case's folder."""
        return self.folder / self.scan.case

    @property
    def mask(self) -> Path:
        """Where its body mask belongs."""
        return self.case / MASK

    def read(self) -> MetaTensor:
        """The voxels on the scan's own grid, (1, H, W, D), in its own units; before it is named.

        Raises:
            InputError: if they cannot be read, or are no image.
        """
        sample = {"image": str(self.case / f"image{self.suffix}"), "case": self.scan.case}
        image: MetaTensor = EnsureVolumed("image")(CheckedLoadImaged("image", modality="image")(sample))["image"]
        return image

    def name(self, modality: str, image: MetaTensor) -> None:
        """Give it the name of its modality.

        Raises:
            InputError: if its values cannot be of that modality.
        """
        check_image(image, modality, self.scan.path)
        self._link(modality)

    def told(self, message: str) -> str:
        """A message that names the scan's own path where it named a file of this folder."""
        links = [self.case / f"{name}{self.suffix}" for name in ("image", *MODALITY_OF)]
        for path in (*links, self.image.resolve(), self.image):
            message = message.replace(str(path), str(self.scan.path))
        return message

    def _link(self, name: str) -> None:
        target = self.case / f"{name}{self.suffix}"
        try:
            target.symlink_to(self.image)
        except OSError:  # a system on which not everybody may link
            (shutil.copytree if self.image.is_dir() else shutil.copyfile)(self.image, target)


def body_of(image: MetaTensor, find_body: BodyMask) -> np.ndarray:
    """The body in a volume (1, H, W, D) on its own grid, (H, W, D) uint8, found in axial slices as bundles find it."""
    ours = io_orientation(image.affine.numpy())
    upright = apply_orientation(image[0].numpy(), ours)
    found = find_body(MetaTensor(np.ascontiguousarray(upright))[None])[0].numpy()
    mask: np.ndarray = np.ascontiguousarray(apply_orientation(found, ornt_transform(RAS, ours)))
    return mask.astype(np.uint8)


def write_mask(path: Path, mask: np.ndarray, affine: np.ndarray) -> None:
    """Write a mask of 0 and 1 beside its image.

    Raises:
        InputError: if it is empty.
    """
    if not mask.any():
        raise InputError(
            path.parent.name,
            found="an empty body mask",
            wanted="a mask of the body",
            remedy="choose another --segmentation, or none",
        )
    volume = nibabel.Nifti1Image(mask.astype(np.uint8), affine)
    volume.header.set_xyzt_units("mm")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{os.getpid()}.{path.name}")
    nibabel.save(volume, partial)
    partial.rename(path)
