"""What DICOM headers say of the modality: attribute Modality (0008,0060) first, then the SOP class.

Source: DICOM PS3.3 C.7.3.1.1.1 (Modality), C.7.6.1.1.2 (Image Type), C.7.6.1 (Synthetic Data, 0008,001C); PS3.4 B.5
(storage SOP classes).
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pydicom
from pydicom.errors import InvalidDicomError
from pydicom.misc import is_dicom

from transmodal.dicom.headers import NO_IMAGES
from transmodal.files import visible
from transmodal.modality.verdict import Verdict

__all__ = ["from_dicom"]

TAG = {"CT": "ct", "MR": "mr"}
STORAGE = {
    "1.2.840.10008.5.1.4.1.1.2": "ct",  # CT Image
    "1.2.840.10008.5.1.4.1.1.2.1": "ct",  # Enhanced CT
    "1.2.840.10008.5.1.4.1.1.2.2": "ct",  # Legacy Converted Enhanced CT
    "1.2.840.10008.5.1.4.1.1.4": "mr",  # MR Image
    "1.2.840.10008.5.1.4.1.1.4.1": "mr",  # Enhanced MR
    "1.2.840.10008.5.1.4.1.1.4.3": "mr",  # Enhanced MR Color
    "1.2.840.10008.5.1.4.1.1.4.4": "mr",  # Legacy Converted Enhanced MR
}
WANTED = ["Modality", "SOPClassUID", "ImageType", "SyntheticData", "Rows"]


def from_dicom(path: str | Path, look_at: int = 50) -> Verdict:
    """The verdict of DICOM headers; pixels are not read.

    Args:
        path: a DICOM file, or a folder of them (not looked into any deeper); anything else is no evidence.
        look_at: of a folder, this many files at most, spread evenly.
    Returns:
        A verdict by ``"dicom"``: CT or MR; or no answer where the headers name something else, or both. By
        ``"nothing"`` where there is no DICOM image or its header does not tell.
    """
    path = Path(path)
    if not path.exists():
        return _nothing(f"{path.name} does not exist")
    files = [entry for entry in visible(path) if entry.is_file()] if path.is_dir() else [path]
    step = max(1, len(files) // look_at)
    headers = [header for file in files[::step] if (header := _header(file)) is not None]
    images = [header for header in headers if "Rows" in header and header.get("Modality") not in NO_IMAGES]
    if not images:
        return _nothing("no DICOM image")
    told = Counter(_told(header) for header in images)
    if "" in told and len(told) > 1:
        del told[""]
    if len(told) > 1:
        listed = ", ".join(f"{name} ({count})" for name, count in sorted(told.items()))
        return Verdict(None, "dicom", None, f"the headers name several modalities: {listed}")
    (name,) = told
    if not name:
        return _nothing("the DICOM headers name neither a modality nor a CT or MR storage class")
    if name not in TAG:
        return Verdict(None, "dicom", None, f"the DICOM headers say {name}, which is neither CT nor MR")
    return Verdict(TAG[name], "dicom", None, f"DICOM Modality {name}{_notes(images, TAG[name])}")


def _header(file: Path) -> pydicom.Dataset | None:
    try:
        if not is_dicom(file):
            return None
        return pydicom.dcmread(file, stop_before_pixels=True, specific_tags=WANTED)
    except (OSError, EOFError, ValueError, AttributeError, KeyError, InvalidDicomError):
        return None  # reading reports such a file; here it is no evidence


def _told(header: pydicom.Dataset) -> str:
    """The value of Modality, else what the storage class stands for; empty where neither tells."""
    tag = str(header.get("Modality", "") or "").strip().upper()
    by_class = STORAGE.get(str(header.get("SOPClassUID", "")), "").upper()
    return by_class if tag in ("", "OT") else tag


def _notes(images: list[pydicom.Dataset], modality: str) -> str:
    """What else a reader should know: images that are computed, and storage classes that contradict."""
    synthetic = sum(str(header.get("SyntheticData", "")).upper() == "YES" for header in images)
    derived = sum("DERIVED" in [str(word).upper() for word in header.get("ImageType") or []] for header in images)
    other = sum(STORAGE.get(str(header.get("SOPClassUID", "")), modality) != modality for header in images)
    notes = [
        f"{count} of {len(images)} {what}"
        for count, what in (
            (synthetic, "marked as synthetic data (0008,001C)"),
            (derived, "marked as derived (0008,0008)"),
            (other, "stored in the class of the other modality"),
        )
        if count
    ]
    return f"; {', '.join(notes)}" if notes else ""


def _nothing(reason: str) -> Verdict:
    return Verdict(None, "nothing", None, reason)
