"""The modality of a file: its DICOM header first, Hounsfield units second, the network third."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from transmodal.modality.classifier import ModalityClassifier
from transmodal.modality.headers import from_dicom
from transmodal.modality.hounsfield import from_hounsfield
from transmodal.modality.verdict import Verdict
from transmodal.transforms.geometry import EnsureVolumed
from transmodal.transforms.loading import CheckedLoadImaged

__all__ = ["detect"]

FEWEST_VALUES = 8
"""An image with fewer different values is a mask or a label map: to the network it is nothing it knows."""


def detect(path: str | Path, image: Tensor | None = None, classifier: ModalityClassifier | None = None) -> Verdict:
    """What a file or a DICOM folder is, by the strongest evidence that speaks.

    Args:
        path: an image file, or a folder of one DICOM series.
        image: its voxels as read, (1, H, W[, D]), so that they are not read again.
        classifier: the network; without it what neither header nor values tell remains open.
    Returns:
        The verdict; DICOM headers that name another modality, or several, settle it as no answer.
    Raises:
        InputError: if the voxels are needed and cannot be read.
    """
    header = from_dicom(path)
    if header.by == "dicom":
        return header
    if image is None:
        image = _read(path)
    if (count := len(torch.unique(image))) < FEWEST_VALUES:
        return Verdict(None, "nothing", None, f"only {count} different values: a mask or a label map")
    values = from_hounsfield(image)
    if values.modality is not None or classifier is None:
        return values
    return classifier(image)


def _read(path: str | Path) -> Tensor:
    """The voxels of a file, (1, H, W, D), in its own units."""
    sample = CheckedLoadImaged("image", modality="image")({"image": str(path)})
    image: Tensor = EnsureVolumed("image")(sample)["image"]
    return image
