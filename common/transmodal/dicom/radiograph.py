"""A radiograph in DICOM: the one frontal image of a file or folder, as it is meant to be shown, bright where dense.

Source: DICOM PS3.3 C.8.11.3 (DX Image), C.8.11.1 (DX Positioning), C.11.2 (VOI LUT) and C.7.6.3.1.2 (photometric
interpretation); PS3.3 C.7.6.1.1.1 (patient orientation); C.7.5.1.1.2 (pixel padding).
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.misc import is_dicom
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut

from transmodal.dicom.headers import is_image, read_header
from transmodal.errors import InputError
from transmodal.files import visible

__all__ = ["DicomRadiograph", "check_radiograph_file", "frontal_file", "read_radiograph"]

PROJECTIONS = ("CR", "DX", "RG", "XA", "RF", "OT", "")
FRONTAL = ("AP", "PA", "")
CHEST = ("CHEST", "THORAX", "LUNG", "LUNGS", "HEART", "")
VIEWS = {
    "LATERAL": r"(?<!bi)lateral",
    "OBLIQUE": "oblique",
    "PA": r"postero-?\s?anterior",
    "AP": r"antero-?\s?posterior",
}
"""Views to words of their codes (PS3.16 CID 4010); the first that is found counts."""
SPACINGS = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")


class DicomRadiograph(NamedTuple):
    """A picture and what its header tells.

    Attributes:
        values: (rows, columns) float32, bright where dense; rows run head to feet, columns to the patient's left.
        spacing: of rows and columns in mm at the detector or as calibrated; None where the header has none.
        notes: what a user should know.
    """

    values: NDArray[np.float32]
    spacing: tuple[float, float] | None
    notes: tuple[str, ...]


def frontal_file(path: Path) -> Path:
    """The file of a radiograph: ``path`` itself, or the one frontal image in a folder.

    Raises:
        InputError: if a folder has no DICOM image, or not exactly one that is frontal.
    """
    if path.is_file():
        return path
    files = [file for file in visible(path) if file.is_file() and file.name.upper() != "DICOMDIR" and is_dicom(file)]
    images = [file for file in files if is_image(read_header(file))]
    frontal = [file for file in images if _view(read_header(file)) in FRONTAL]
    if len(images) == 1:
        return images[0]
    if len(frontal) == 1:
        return frontal[0]
    listed = ", ".join(f"{file.name} ({_view(read_header(file)) or 'view not told'})" for file in images[:8])
    raise InputError(
        path,
        found=f"{len(images)} DICOM images: {listed}" if images else "a folder without DICOM images",
        wanted="one frontal radiograph",
        remedy="leave the one frontal image (AP or PA) in the folder, or name its file",
    )


def check_radiograph_file(path: Path) -> None:
    """Refuse what is no frontal chest radiograph by its header; pixels are not decoded.

    Args:
        path: a DICOM file, or a folder with one frontal image.
    Raises:
        InputError: for other modalities, views and parts of the body, colour, several frames, raw detector values.
    """
    file = frontal_file(path)
    _check(file, read_header(file))


def read_radiograph(path: Path) -> DicomRadiograph:
    """Read the frontal radiograph of a DICOM file or folder as it is meant to be shown.

    The modality and VOI tables or windows are applied, MONOCHROME1 is inverted, padding becomes the darkest value, and
    the picture is turned so that it hangs upright where the header tells how it lies. A window that has no width is
    left out, and noted.

    Raises:
        InputError: as :func:`check_radiograph_file`; or if the pixels cannot be decoded.
    """
    file = frontal_file(path)
    header = read_header(file)
    _check(file, header)
    dataset = pydicom.dcmread(file)
    notes = _without_impossible_window(dataset)
    values = _shown(file, dataset)
    if str(dataset.get("PhotometricInterpretation", "")) == "MONOCHROME1":
        values = values.max() + values.min() - values
    values = _without_padding(dataset, values)
    spacing = _spacing(dataset)
    values, spacing = _upright(file, dataset, values, spacing)
    if str(dataset.get("BurnedInAnnotation", "")) == "YES":
        notes.append("its header says that text is burned into the picture")
    return DicomRadiograph(np.ascontiguousarray(values, dtype=np.float32), spacing, tuple(notes))


def _check(file: Path, header: pydicom.Dataset) -> None:
    found, remedy = _fault(header)
    if found:
        raise InputError(file, found=found, wanted="one frontal chest radiograph, ready to be shown", remedy=remedy)


def _fault(header: pydicom.Dataset) -> tuple[str, str]:
    """What is wrong with a header and what to do; two empty texts if nothing is."""
    modality, view = str(header.get("Modality", "")), _view(header)
    part = str(header.get("BodyPartExamined", "") or "").upper()
    frames, samples = int(header.get("NumberOfFrames", 1) or 1), int(header.get("SamplesPerPixel", 1))
    another = "give the chest radiograph of this patient"
    if not is_image(header) or modality not in PROJECTIONS:
        return f"a DICOM file of the modality {modality or 'unknown'}", f"{another} (modality CR or DX)"
    if samples != 1 or str(header.get("PhotometricInterpretation", "")).startswith("PALETTE"):
        return f"{samples} values per pixel or a colour palette", "this is a screen capture; export the original image"
    if frames != 1:
        return f"{frames} frames", "give a single image, not a fluoroscopy"
    if view not in FRONTAL:
        return f"the view {view}", "give the frontal image (AP or PA)"
    if part not in CHEST:
        return f"an image of the body part {part}", f"{another}, or correct BodyPartExamined if it is one"
    if str(header.get("PresentationIntentType", "")) == "FOR PROCESSING":
        return "raw detector values (FOR PROCESSING)", "export the image that is FOR PRESENTATION"
    return "", ""


def _view(header: pydicom.Dataset) -> str:
    """``AP``, ``PA``, ``LATERAL`` or what else the header calls it; empty if nothing tells."""
    told = str(header.get("ViewPosition", "") or "").upper() or _coded_view(header)
    toward = _toward(header)
    if not told and toward and toward[0] in ("A", "P"):
        return "LATERAL"
    return told


def _coded_view(header: pydicom.Dataset) -> str:
    """``LATERAL``, ``OBLIQUE``, ``PA`` or ``AP`` by the words of the view's code; empty if they tell none of these."""
    meanings = " ".join(str(code.get("CodeMeaning", "")) for code in header.get("ViewCodeSequence") or ())
    return next((view for view, words in VIEWS.items() if re.search(words, meanings, re.IGNORECASE)), "")


def _toward(header: pydicom.Dataset) -> tuple[str, str] | None:
    """Main directions of rows and columns from PatientOrientation, letters of R L A P H F."""
    told: Any = header.get("PatientOrientation")
    if not isinstance(told, Sequence) or isinstance(told, str) or len(told) != 2 or not all(told):
        return None
    return str(told[0])[0].upper(), str(told[1])[0].upper()


def _without_impossible_window(dataset: pydicom.Dataset) -> list[str]:
    """Take a window out of a header that no picture can be shown in (PS3.3 C.11.2.1.2); what a user should know."""
    told: Any = dataset.get("WindowWidth")
    widths = [told] if told is None or isinstance(told, str | float | int) else list(told)
    linear = str(dataset.get("VOILUTFunction", "") or "LINEAR") == "LINEAR"
    if not widths or widths[0] is None or (float(widths[0]) >= 1 if linear else float(widths[0]) > 0):
        return []
    del dataset.WindowWidth
    return [f"the window in its header has the width {float(widths[0]):g} and was not applied"]


def _shown(file: Path, dataset: pydicom.Dataset) -> NDArray[np.float32]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # bytes of padding behind the pixels are common and harmless
            shown: NDArray[Any] = apply_voi_lut(apply_modality_lut(dataset.pixel_array, dataset), dataset)
    except (ValueError, AttributeError, RuntimeError, NotImplementedError, IndexError) as error:
        raise InputError(
            file,
            found=f"pixels that cannot be decoded ({str(error).splitlines()[0]})",
            wanted="uncompressed or RLE pixels, or a decoder for this compression",
            remedy="decompress the image, for example with gdcmconv --raw, or install pylibjpeg",
        ) from error
    return np.asarray(shown, dtype=np.float32)


def _without_padding(dataset: pydicom.Dataset, values: NDArray[np.float32]) -> NDArray[np.float32]:
    padding = dataset.get("PixelPaddingValue")
    if padding is None:
        return values
    signed = int(dataset.get("PixelRepresentation", 0)) == 1
    limit = dataset.get("PixelPaddingRangeLimit")
    ends = sorted(_stored(int(end), signed) for end in (padding, padding if limit is None else limit))
    outside = (dataset.pixel_array >= ends[0]) & (dataset.pixel_array <= ends[1])
    if not outside.any() or outside.all():
        return values
    return np.where(outside, values[~outside].min(), values)


def _stored(value: int, signed: bool) -> int:
    """A value of 16 bits as pixels have it, whether its own type in the file is signed (SS) or not (US)."""
    value %= 1 << 16
    return value - (1 << 16) if signed and value >= 1 << 15 else value


def _spacing(dataset: pydicom.Dataset) -> tuple[float, float] | None:
    for keyword in SPACINGS:
        told: Any = dataset.get(keyword)
        if told is not None and len(told) == 2 and min(map(float, told)) > 0:
            return float(told[0]), float(told[1])
    return None


def _upright(
    file: Path, dataset: pydicom.Dataset, values: NDArray[np.float32], spacing: tuple[float, float] | None
) -> tuple[NDArray[np.float32], tuple[float, float] | None]:
    """Rows to the feet and columns to the patient's left, by PatientOrientation where it tells."""
    toward = _toward(dataset)
    if toward is None:
        return values, spacing
    along_row, along_column = toward
    if along_row in ("H", "F") and along_column in ("L", "R"):
        values, (along_row, along_column) = values.T, (along_column, along_row)
        spacing = spacing and (spacing[1], spacing[0])
    if (along_row not in ("L", "R")) or (along_column not in ("H", "F")):
        raise InputError(
            file,
            found=f"the patient orientation {toward[0]}\\{toward[1]}",
            wanted="a frontal image: left or right in one direction, head or feet in the other",
            remedy="give the frontal image (AP or PA), or correct PatientOrientation",
        )
    flips = [axis for axis, (told, wanted) in enumerate(((along_column, "F"), (along_row, "L"))) if told != wanted]
    return np.flip(values, axis=tuple(flips)), spacing
