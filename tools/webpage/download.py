"""What is handed out of a job: one zip with the images, where they come from, and what they are not for."""

from __future__ import annotations

import zipfile
from pathlib import Path

from webpage.settings import NOTICE

__all__ = ["archive"]

RECORD, NAME = "provenance.json", "NOTICE.txt"
TEXT = f"""{NOTICE.upper()}

These images were computed by a neural network. They were not acquired from a patient, may show what is not there and
leave out what is, and must not be used for diagnosis or treatment. {RECORD} tells what they were made from, by which
weights and with which settings.
"""


def archive(made: Path, form: str, path: Path) -> Path:
    """The zip of one result, written unless it is there.

    Args:
        made: folder of the case.
        form: ``nifti`` or ``dicom``.
        path: where it goes.
    """
    if path.is_file():
        return path
    series = sorted((made / "dicom").rglob("*.dcm"))
    images = [file for file in sorted(made.iterdir()) if file.is_file() and file.name != RECORD]
    chosen = series if form == "dicom" else images
    partial = path.with_suffix(".partial")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as zipped:
        zipped.writestr(NAME, TEXT)
        for file in [made / RECORD, *chosen]:
            packed = zipfile.ZIP_STORED if file.suffix in (".gz", ".png") else zipfile.ZIP_DEFLATED
            zipped.write(file, file.relative_to(made).as_posix(), packed)
    partial.replace(path)
    return path
