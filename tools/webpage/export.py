"""What a result becomes before it is handed out: marked in each of its files, as DICOM too, and whole in its record."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from translating import provenance
from transmodal.data import deviation_of
from transmodal.data.layout import MODALITY_OF
from transmodal.dicom import Series, find_series, validate_series, wrap_picture, wrap_volume, write_apart, write_series
from transmodal.dicom.headers import read_header
from webpage.display import read_volume
from webpage.settings import NOTICE

__all__ = ["complete"]

FOLDER, SOURCE = "dicom", "source"
SHARED = ("PatientID", "StudyInstanceUID", "StudyDate", "StudyTime", "FrameOfReferenceUID")
"""Attributes that all series of a case have in common."""
NARROW = 256
"""Columns that a picture needs for the notice."""
PLAIN = NOTICE.replace("–", "-")
DESCRIPTION = slice(148, 228)
"""The bytes of ``descrip`` in a NIfTI-1 header."""


def complete(made: Path, files: Path, views: Path, job: Mapping[str, Any], upload: Mapping[str, Any]) -> None:
    """Mark the images of a result, write its DICOM series if it has none yet, and the record anew.

    Args:
        made: folder of the case, which holds ``<target>.nii.gz`` and the record.
        files, views: folders of what was uploaded, and of what is shown of it.
        job: source and target.
        upload: what the preflight found.
    """
    record = json.loads((made / provenance.FILE).read_text(encoding="utf-8"))
    volume = made / f"{job['target']}.nii.gz"
    for path in (volume, deviation_of(volume)):
        if path.is_file():
            _mark_volume(path)
    if not (made / FOLDER).is_dir():
        _write_dicom(volume, files, views, job, upload, record)
    for picture in (made / "radiograph.png", made / "drr.png"):  # of one size before and after
        if picture.is_file():
            _enlarge(picture)
    if (made / "drr.png").is_file():
        _mark_picture(made / "drr.png")
    (made / provenance.FILE).unlink()  # it lists all other files
    provenance.write(made, {**record, "input": upload["name"], "notice": NOTICE})


def _write_dicom(
    volume: Path,
    files: Path,
    views: Path,
    job: Mapping[str, Any],
    upload: Mapping[str, Any],
    record: Mapping[str, Any],
) -> None:
    """The volume as a series that names its source, which is written beside where it was no DICOM."""
    made, modality = volume.parent, MODALITY_OF[job["target"]]
    values, affine = read_volume(volume)
    told = provenance.for_dicom(record, record["warnings"])
    folder, image = made / FOLDER / job["target"], values.astype(np.float32)
    if upload["kind"] == "radiograph":
        write_apart(folder, image, affine, _radiograph(made, files, upload), modality, told)
    else:
        source, *others = _sources(made / FOLDER / SOURCE, views, job, upload)
        write_series(folder, image, affine, source, modality, told, others)
    validate_series(folder, image, affine, modality)


def _sources(folder: Path, views: Path, job: Mapping[str, Any], upload: Mapping[str, Any]) -> list[Series]:
    """What was translated as DICOM, several contrasts as series of one study on the grid of the first."""
    contrasts = job["source"].split("+")
    if len(contrasts) == 1:
        return [_wrapped(folder, views / upload["files"]["source"], contrasts[0], upload["name"])]
    paths = {contrast: views / upload["files"][contrast] for contrast in contrasts}
    _, affine = read_volume(paths[contrasts[0]])
    first, *others = (
        _wrapped(folder / contrast, path, contrast, Path(upload["paths"][contrast]).name, affine)
        for contrast, path in paths.items()
    )
    study = read_header(first.files[0])
    for number, series in enumerate(others, start=2):
        for file in series.files:
            image = pydicom.dcmread(file)
            for keyword in SHARED:
                setattr(image, keyword, study[keyword].value)
            image.SeriesNumber = number
            image.save_as(file)
    return [first, *others]


def _wrapped(folder: Path, path: Path, modality: str, name: str, place: NDArray[Any] | None = None) -> Series:
    """A volume as DICOM; ``place`` is the affine of its grid where that of the file is not it to the last digit."""
    values, affine = read_volume(path)
    return wrap_volume(
        folder, values.astype(np.float32), affine if place is None else place, MODALITY_OF[modality], name
    )


def _radiograph(made: Path, files: Path, upload: Mapping[str, Any]) -> Series:
    """The radiograph as it came, or its picture as DICOM."""
    if upload["dicom"]:
        return find_series(files / upload["paths"]["image"])[0]
    picture = np.asarray(Image.open(made / "radiograph.png"))
    return wrap_picture(made / FOLDER / SOURCE, picture, upload["name"])


def _mark_volume(path: Path) -> None:
    """Say in the header of a NIfTI file what it is; its voxels stay as they are."""
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[DESCRIPTION] = PLAIN.encode("ascii").ljust(80, b"\0")
    path.write_bytes(gzip.compress(bytes(content), compresslevel=1, mtime=0))


def _enlarge(path: Path) -> None:
    """Make a small picture so many times as large that the notice fits onto it."""
    with Image.open(path) as opened:
        times = -(-NARROW // opened.width)
        picture = opened.resize((times * opened.width, times * opened.height), Image.Resampling.NEAREST)
    if times > 1:
        picture.save(path)


def _mark_picture(path: Path) -> None:
    """Write at the foot of a picture in grey what it is."""
    with Image.open(path) as opened:
        picture = opened.convert("L")
    draw = ImageDraw.Draw(picture)
    size = max(8, picture.width // 22)
    place = (picture.width / 2, picture.height - 2)
    draw.text(place, PLAIN, 255, anchor="mb", font_size=size, stroke_width=1, stroke_fill=0)
    picture.save(path)
