"""What an image series must not be: another model's output, marked with text, or of several patients.

Source: DICOM PS3.3 C.7.6.1 (General Image: Burned In Annotation), C.12.1 (SOP Common: Synthetic Data).
"""

from __future__ import annotations

from collections.abc import Sequence

import pydicom

from transmodal.errors import InputError

__all__ = ["check_identifiers", "check_one_study", "check_origin"]

IDENTIFIERS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPClassUID", "SOPInstanceUID")
ONE_OF = {"PatientID": "patients", "StudyInstanceUID": "studies", "FrameOfReferenceUID": "frames of reference"}


def check_origin(where: str, headers: Sequence[pydicom.Dataset]) -> None:
    """Refuse synthetic images and images with text in their pixels.

    A translation of a translation adds one model's inventions to another's and tells nothing of the patient. Text would
    be translated as if it were anatomy, and a name in it would pass into the output.
    """
    if marked := _count(headers, "SyntheticData"):
        raise InputError(
            where,
            found=f"synthetic data, the output of a model ({marked} of {len(headers)} images are marked so)",
            wanted="images from a scanner",
            remedy="translate the series it was made from; its Source Image Sequence (0008,2112) names the images",
        )
    if marked := _count(headers, "BurnedInAnnotation"):
        raise InputError(
            where,
            found=f"text burnt into the pixels ({marked} of {len(headers)} images are marked so)",
            wanted="images without annotation",
            remedy="export the original series; if the mark is wrong, set Burned In Annotation (0028,0301) to NO",
        )


def _count(headers: Sequence[pydicom.Dataset], keyword: str) -> int:
    return sum(str(header.get(keyword, "")) == "YES" for header in headers)


def check_identifiers(where: str, headers: Sequence[pydicom.Dataset]) -> None:
    """Refuse images that cannot be referred to, and files of one series but several patients, studies or frames."""
    lacking = sorted({name for name in IDENTIFIERS for header in headers if not header.get(name)})
    if lacking:
        raise InputError(
            where,
            found=f"images without {', '.join(lacking)}",
            wanted="images that another one can name as its source",
            remedy="export the series again; a converter or an anonymiser has taken the identifiers away",
        )
    check_one_study(where, headers, "one series")


def check_one_study(where: str, headers: Sequence[pydicom.Dataset], what: str) -> None:
    """Refuse images of several patients, studies or frames of reference; ``what`` they are, for the error."""
    for keyword, several in ONE_OF.items():
        values = sorted({str(header.get(keyword, "") or "") for header in headers})
        if len(values) > 1:
            raise InputError(
                where,
                found=f"{what} with {len(values)} {several}",
                wanted=f"one value of {keyword}",
                remedy="export the series again; files of several were mixed, or changed by an anonymiser",
            )
