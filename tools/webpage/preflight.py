"""What an upload is, and whether it can be translated; runs in a process of its own, since anything may be in it."""

from __future__ import annotations

import logging
import shutil
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from translating.inputs import Scan
from transmodal.data.layout import MODALITY_OF, PICTURES, extension
from transmodal.dicom import Series, check_radiograph_file, find_series, resolve, staged
from transmodal.errors import InputError
from transmodal.modality import ModalityClassifier
from webpage.examined import Examined, stem_of
from webpage.radiographs import examine_radiograph
from webpage.screening import screen, screen_dicom
from webpage.sorting import Files
from webpage.volumes import examine_contrasts, examine_volume

__all__ = ["examine"]


def examine(
    files: str, views: str, names: Mapping[str, str], max_bytes: int, max_files: int, classifier: str | None = None
) -> dict[str, Any]:
    """Find out what was uploaded, and write what a viewer shows of it.

    Args:
        files: folder with the files as they were received.
        views: an empty folder for what is shown.
        names: name of each file there to what its sender calls it.
        max_bytes, max_files: of all archives together.
        classifier: weights of the network that tells CT from MR, if there are any.
    Returns:
        An :class:`Examined` as a dictionary.
    Raises:
        InputError: if nothing in it can be read, or more than one thing is meant.
    """
    logging.disable(logging.ERROR)
    warnings.simplefilter("ignore")
    folder = Path(files)
    found = Files.sorted_out(folder, dict(names), max_bytes, max_files)
    if found.dicom:
        screen_dicom(found.dicom)
    for path in found.images:
        screen(path)
    if len(found.images) > 1:
        examined = examine_contrasts(found.images, Path(views))
    elif found.images:
        network = ModalityClassifier.load(Path(classifier)) if classifier else None
        examined = _image(found.images[0], Path(views), network)
    else:
        examined = _dicom(found.dicom, Path(views))
    if found.others:
        listed = ", ".join(found.others[:3]) + (", …" if len(found.others) > 3 else "")
        examined.tell("warning", f"left out what is no image: {listed}")
    examined.paths = {name: str(Path(path).relative_to(folder)) for name, path in examined.paths.items()}
    return asdict(examined)


def _image(path: Path, views: Path, network: ModalityClassifier | None) -> Examined:
    """One image file."""
    if extension(path) in PICTURES or stem_of(path) == "xray":
        return examine_radiograph(path, views, dicom=False)
    return examine_volume(Scan("scan", path, MODALITY_OF.get(stem_of(path))), path, views, network)


def _dicom(files: Sequence[Path], views: Path) -> Examined:
    """The radiograph, or the largest image series, among DICOM files."""
    series = [each for each in find_series(files) if each.kind != "unreadable" or len(files) == 1]
    volumes = [each for each in series if each.kind == "image" and each.modality in ("ct", "mr")]
    if not volumes:
        return _dicom_without_volume(files, series, views)
    chosen = max(volumes, key=lambda each: len(each.files))
    resolved = resolve(chosen)
    folder = views / "series"
    with staged(resolved) as image:
        examined = examine_volume(Scan("scan", folder, series=resolved), image, views)
    for note in resolved.notes:
        examined.tell("warning", note)
    if len(volumes) > 1:
        others = "; ".join(f"{_told(each)}" for each in volumes if each is not chosen)
        examined.tell("warning", f"several series: {_told(chosen)} is translated, not {others}")
    examined.dicom, examined.series = True, chosen.uid
    examined.name = _told(chosen)
    examined.paths = {"image": str(chosen.files[0].parent)}
    return examined


def _dicom_without_volume(files: Sequence[Path], series: Sequence[Series], views: Path) -> Examined:
    """A radiograph in DICOM, or the reason why there is nothing to translate."""
    synthetic = [each for each in series if each.kind == "synthetic"]
    if synthetic or not series:
        raise InputError(
            "the upload",
            found="a series that is synthetic already" if synthetic else "DICOM files without images",
            wanted="a scan as it was acquired",
            remedy="upload the series that it was made from",
        )
    if all(each.kind == "localizer" for each in series):
        resolve(series[0])
    pictures = [file for each in series for file in each.files]
    path = pictures[0]
    if len(pictures) > 1:
        path = pictures[0].parent / "_radiograph"  # no file is so named, see safe_name
        path.mkdir()
        for file in pictures:
            shutil.copyfile(file, path / file.name)
    check_radiograph_file(path)
    return examine_radiograph(path, views, dicom=True)


def _told(series: Series) -> str:
    number = "" if series.number is None else f" {series.number}"
    return f"{series.modality.upper()} series{number} {series.description!r} ({len(series.files)} images)"
