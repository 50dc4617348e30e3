"""What a derived image keeps of its source: patient, study, frame of reference and place, nothing of the acquisition.

Values are decoded by the source's character set and written in UTF-8; those that break the standard's limits are
repaired, unless they tell whose image it is. Private attributes are left behind.
Source: DICOM PS3.3 C.7.1.1 (Patient), C.7.2 (Study), C.7.4.1 (Frame of Reference); limits PS3.5 table 6.2-1;
body parts PS3.16 annex L.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Sequence
from datetime import timedelta, timezone
from typing import Any

import pydicom
from pydicom import DataElement, Dataset
from pydicom.config import RAISE
from pydicom.valuerep import validate_value

__all__ = ["inherited", "quirks", "utc_offset"]

IDENTITY = ("PatientName", "PatientID", "AccessionNumber", "StudyInstanceUID", "FrameOfReferenceUID")
"""Kept even where they break a limit: changed, they would part the new series from its patient or study."""

REQUIRED = (  # type 2: present, though possibly empty
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
    *("StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName"),
    *("PositionReferenceIndicator", "PatientPosition"),
)
OPTIONAL = (
    *("IssuerOfPatientID", "PatientAge", "PatientSize", "PatientWeight", "BreedRegistrationSequence"),
    *("ResponsiblePerson", "ResponsiblePersonRole", "ResponsibleOrganization"),
    *("PatientSpeciesDescription", "PatientSpeciesCodeSequence", "PatientBreedDescription", "PatientBreedCodeSequence"),
    *("PatientIdentityRemoved", "DeidentificationMethod", "DeidentificationMethodCodeSequence"),
    *("LongitudinalTemporalInformationModified", "TimezoneOffsetFromUTC"),
    *("StudyInstanceUID", "StudyDescription", "FrameOfReferenceUID", "BodyPartExamined", "Laterality"),
    *("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod"),
)
PAIRED = (
    *("ANKLE", "ARM", "AXILLA", "BREAST", "CALCANEUS", "CALF", "CAROTID", "CHEEK", "CLAVICLE", "CORNEA", "EAR"),
    *("ELBOW", "EXTREMITY", "EYE", "EYELID", "FEMUR", "FINGER", "FOOT", "FOREARM", "HAND", "HIP", "HUMERUS"),
    *("KIDNEY", "KNEE", "LEG", "LUNG", "ORBIT", "PAROTID", "PATELLA", "SCAPULA", "SHOULDER", "SUBMANDIBULAR"),
    *("THIGH", "THUMB", "TMJ", "TOE", "WRIST", "ZYGOMA"),
)
"""Body parts of which there are two, so that an image tells which one, though possibly by an empty value."""

LIMITS = {"CS": 16, "SH": 16, "LO": 64, "ST": 1024, "LT": 10240}
"""Characters of the text types that may be shortened."""

FARTHEST = 14
"""Hours that a clock may be from UTC."""


def inherited(header: Dataset) -> Dataset:
    """The attributes of a source image that its derived image shares, valid and in UTF-8."""
    kept, _ = _kept(header)
    return kept


def quirks(headers: Iterable[Dataset]) -> list[str]:
    """A sentence for each inherited value that breaks a limit of the standard, and what becomes of it.

    It names the attribute and never the value, which may tell who the patient is.
    """
    return list(dict.fromkeys(note for header in headers for note in _kept(header)[1]))


def utc_offset(header: Dataset) -> timezone | None:
    """The clock of an image, None if it tells no offset such as ``+0530`` that there can be."""
    told = re.fullmatch(r"([+-])(\d\d)([0-5]\d)", str(header.get("TimezoneOffsetFromUTC", "") or ""), re.ASCII)
    if not told or int(told[2]) > FARTHEST:
        return None
    offset = timedelta(hours=int(told[2]), minutes=int(told[3]))
    return timezone(-offset if told[1] == "-" else offset)


def _kept(header: Dataset) -> tuple[Dataset, list[str]]:
    kept, notes = Dataset(), list[str]()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom warns of each value that is repaired here
        for keyword in (*REQUIRED, *OPTIONAL):
            if keyword == "TimezoneOffsetFromUTC" and header.get(keyword) and utc_offset(header) is None:
                notes.append(f"{header[keyword].name} is no offset such as +0530 that a clock can have: left out")
            elif keyword in header:
                element = _element(header[keyword], notes)
                if not element.is_empty or keyword in (*REQUIRED, "Laterality"):
                    kept.add(element)
            elif keyword in REQUIRED:
                setattr(kept, keyword, None)
        if kept.get("BodyPartExamined") in PAIRED and "Laterality" not in kept:
            kept.Laterality = None
    return kept, notes


def _element(element: DataElement, notes: list[str]) -> DataElement:
    if element.VR == "SQ":
        return DataElement(element.tag, "SQ", [_public(item, notes) for item in element.value])
    if element.VR in ("OB", "OW", "OF", "OD", "OL", "OV", "UN", "AT", "US", "SS", "UL", "SL", "FL", "FD", "UV", "SV"):
        return DataElement(element.tag, element.VR, element.value)
    values = [str(value) for value in _listed(element.value)]
    new = values if element.keyword in IDENTITY else [_repaired(element.VR, value) for value in values]
    for old, now in zip(values, new, strict=True):
        if "\ufffd" in old:
            notes.append(f"{element.name} holds bytes that its character set cannot decode")
        if not _valid(element.VR, old):
            fate = _fate(old, now, identifies=element.keyword in IDENTITY)
            notes.append(f"{element.name} ({len(old)} characters) is not a valid {element.VR}: {fate}")
    return DataElement(element.tag, element.VR, new if len(new) > 1 else "".join(new))


def _fate(old: str, now: str, identifies: bool) -> str:
    if old == now:
        return "kept, since it identifies" if identifies else "kept"
    if not now:
        return "left out"
    return f"shortened to {len(now)} characters" if len(now) < len(old) else "written in capitals"


def _listed(value: Any) -> Sequence[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, pydicom.multival.MultiValue) else [value]


def _public(item: Dataset, notes: list[str]) -> Dataset:
    public = Dataset()
    for element in item:
        if not element.tag.is_private:
            public.add(_element(element, notes))
    return public


def _repaired(vr: str, value: str) -> str:
    """The value if it is valid, else in capitals or shortened if that makes it valid, else nothing."""
    shorter = value[: LIMITS.get(vr, len(value))].strip()
    candidates = (value, shorter, shorter.upper()) if vr in LIMITS else (value,)
    return next((candidate for candidate in candidates if _valid(vr, candidate)), "")


def _valid(vr: str, value: str) -> bool:
    try:
        validate_value(vr, value, RAISE)
    except ValueError:
        return False
    return True
