"""Pixels in physical units.

Source: DICOM PS3.3 C.11.1 (Modality LUT) and C.7.6.16.2.9 (Pixel Value Transformation, per frame).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray

from transmodal.errors import InputError

__all__ = ["physical", "rescales"]


def physical(file: Path) -> NDArray[np.float32]:
    """The values of a file with a grey image in physical units (HU for CT), (frames, rows, columns).

    Raises:
        InputError: if the pixels cannot be decoded.
    """
    dataset = pydicom.dcmread(file)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # bytes of padding behind the pixels are common and harmless
            stored = dataset.pixel_array.astype(np.float64)
    except (ValueError, AttributeError, RuntimeError, NotImplementedError) as error:
        raise InputError(
            file,
            found=f"pixels that cannot be decoded ({str(error).splitlines()[0]})",
            wanted="uncompressed or RLE pixels, or a decoder for this compression",
            remedy="decompress the series, for example with gdcmconv --raw, or install pylibjpeg",
        ) from error
    frames = stored.reshape(-1, int(dataset.Rows), int(dataset.Columns))
    each = rescales(dataset)
    each = each * len(frames) if len(each) == 1 else each
    rescaled = [frame * slope + intercept for frame, (slope, intercept) in zip(frames, each, strict=True)]
    return np.stack(rescaled).astype(np.float32)


def rescales(header: pydicom.Dataset) -> list[tuple[float, float]]:
    """Slope and intercept of each frame of a file; of a file without a group per frame, the one pair of all."""
    shared = (header.get("SharedFunctionalGroupsSequence") or [pydicom.Dataset()])[0]
    groups: Iterable[Any] = header.get("PerFrameFunctionalGroupsSequence") or [pydicom.Dataset()]
    return [_rescale((group, shared, header)) for group in groups]


def _rescale(places: Iterable[pydicom.Dataset]) -> tuple[float, float]:
    for place in places:
        inner: Any = (place.get("PixelValueTransformationSequence") or [place])[0]
        slope, intercept = inner.get("RescaleSlope"), inner.get("RescaleIntercept")
        if slope is not None or intercept is not None:
            return float(1 if slope is None else slope), float(intercept or 0)
    return 1.0, 0.0
