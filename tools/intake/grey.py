"""Grey pictures: their pixels, where they lie in the patient, and the Hounsfield units that grey levels stand for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from transmodal.data import check_image
from transmodal.data.layout import LABELS, MODALITIES, PICTURES
from transmodal.errors import InputError

SUFFIXES = (*PICTURES, ".bmp", ".tif", ".tiff")
COLOUR = 2  # grey levels by which the channels of a grey JPEG may differ
AS_SHOWN = (-1.0, -1.0)  # mm: columns run to the patient's left and rows to the back, as radiologists see a slice
Picture = NDArray[np.uint8] | NDArray[np.uint16]


def read_grey(path: Path) -> Picture:
    """The pixels of a picture (row, column), one channel, 8 or 16 bits.

    Raises:
        InputError: if it cannot be read, has 32 bits per pixel, or shows colours.
    """
    try:
        with Image.open(path) as image:
            return grey_of(image, path)
    except InputError:
        raise
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(
            path, found=f"no picture of 8 or 16 bits ({error})", wanted="a whole picture", remedy="export it again"
        ) from error


def grey_of(image: Image.Image, where: str | Path) -> Picture:
    """The pixels of an open picture (row, column), one channel, 8 or 16 bits.

    Raises:
        InputError: naming ``where``, if it shows colours.
        ValueError: if it has 32 bits per pixel.
    """
    if image.mode in ("I", "F"):
        raise ValueError(f"mode {image.mode} of 32 bits per pixel")
    grey = image.mode in ("L", "I;16")
    pixels: NDArray[Any] = np.asarray(image if grey else image.convert("L" if image.mode == "1" else "RGB"))
    if pixels.ndim == 3:
        spread = int(np.ptp(pixels.astype(int), axis=2).max())
        if spread > COLOUR:
            raise InputError(
                where,
                found=f"colours (channels differ by up to {spread} of 255)",
                wanted="shades of grey",
                remedy="remove coloured marks and overlays, or leave this picture out",
            )
        pixels = pixels[..., 1]
    return pixels


def write_grey(grey: Picture, modality: str, window: Sequence[float] | None, place: Path, where: str | Path) -> None:
    """Check the pixels of a picture and write them: as NIfTI in Hounsfield units where there is a window, else as PNG.

    Raises:
        InputError: naming ``where``, if :func:`transmodal.data.check_image` refuses them.
    """
    check_grey(grey, modality, window, where)
    if window is None:
        Image.fromarray(grey).save(place)
    else:  # the axes that a picture of another modality gets when it is loaded
        nibabel.save(nibabel.Nifti1Image(hounsfield(grey, window).T, np.diag([*AS_SHOWN, 1.0, 1.0])), place)


def check_grey(grey: Picture, modality: str, window: Sequence[float] | None, where: str | Path) -> None:
    """Refuse the pixels of a picture that cannot be an image of this modality.

    Raises:
        InputError: naming ``where``, if :func:`transmodal.data.check_image` refuses them.
    """
    values = grey if window is None else hounsfield(grey, window)
    check_image(torch.from_numpy(np.ascontiguousarray(values.T, dtype=np.float32))[None], modality, where)


def hounsfield(grey: Picture, window: Sequence[float]) -> NDArray[np.int16]:
    """Grey levels to whole Hounsfield units: ``window`` holds those of black and of white."""
    low, high = window
    return np.asarray((low + grey.astype(np.float32) / np.iinfo(grey.dtype).max * (high - low)).round(), np.int16)


def check_modalities(modalities: Mapping[str, str], window: Sequence[float] | None) -> None:
    """Refuse wishes that cannot be met.

    Args:
        modalities: modality of each folder or file name.
        window: two Hounsfield units, low and high, or none.
    Raises:
        InputError: if a modality is unknown or is none of images, or the window has no width.
    """
    images = [name for name in MODALITIES if name not in LABELS]
    unknown = [name for name in modalities.values() if name not in images]
    if unknown:
        raise InputError(
            "the modalities", found=", ".join(unknown), wanted=" ".join(images), remedy="correct the names"
        )
    if window is not None and not _is_window(window):
        raise InputError("--window", found=f"{window}", wanted="LOW,HIGH with LOW < HIGH", remedy="correct it")


def check_pictures_of(modalities: Mapping[str, str], window: Sequence[float] | None) -> None:
    """As :func:`check_modalities`; pictures of CT need the window besides.

    Raises:
        InputError: if a wish cannot be met.
    """
    check_modalities(modalities, window)
    if "ct" in modalities.values() and window is None:
        raise InputError(
            "--window",
            found="CT pictures without a window",
            wanted="the Hounsfield units of black and white, such as --window=-1000,1040",
            remedy="give the window the pictures were exported with; errors in HU are as good as this guess",
        )


def _is_window(window: Any) -> bool:
    numbers = isinstance(window, tuple | list) and all(isinstance(bound, int | float) for bound in window)
    return numbers and len(window) == 2 and window[0] < window[1]
