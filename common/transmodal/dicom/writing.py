"""A synthetic volume as a DICOM series in the study of its source: an image for each of its slices, all or none.

Identifiers are drawn from what was made (source, pixels, their place and rescale, provenance with its moment), so the
same input twice gives the same files byte for byte, and an archive that holds them already takes them for the same.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import warnings
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from transmodal import __version__
from transmodal.dicom.grid import check_one_grid, grid_of, onto
from transmodal.dicom.headers import Frame, read_header
from transmodal.dicom.inherited import utc_offset
from transmodal.dicom.origin import check_one_study
from transmodal.dicom.placing import as_frames
from transmodal.dicom.reading import frames_in_order
from transmodal.dicom.recipe import MODALITIES, Made, Origin, Rescale, synthetic, text
from transmodal.dicom.series import Series
from transmodal.errors import InputError

__all__ = ["check_finite", "check_no_file", "identity", "in_16_bits", "save", "write_apart", "write_series"]

HIGHEST, LOWEST = 32767, -32768
SOFT_TISSUE = (40.0, 400.0)
"""Window centre and width in HU."""


def write_series(
    folder: str | Path,
    image: Any,
    affine: Any,
    source: Series,
    modality: str,
    provenance: Mapping[str, str],
    others: Sequence[Series] = (),
) -> list[Path]:
    """Write a synthetic volume as the DICOM series of a modality, derived slice by slice from a source series.

    Args:
        folder: where to; an earlier output there is replaced, anything else is left alone by an error.
        image: (H, W, D) in physical units, HU for CT and at least 0 for MR, on the grid of the source with its axes
            in any order; as :func:`~transmodal.dicom.read_series` or MONAI's reader give it.
        affine: (4, 4), voxels to mm (RAS).
        source: the resolved series that the image was made from.
        modality: ``ct`` or ``mr``, what the image imitates.
        provenance: what made it, written into each file: ``software`` and ``version`` (otherwise this package's),
            ``bundle``, ``weights_sha256`` and more. ``created``, a moment such as ``2026-01-31T12:00:00``, takes the
            place of the present one; with it the same call gives the same bytes.
        others: further resolved series that it was made from, such as the other contrasts of MR; of the study and frame
            of reference of ``source`` and on its grid. Each image names its place in all of them.
    Returns:
        the files, in the order of the slices along their normal.
    Raises:
        InputError: on another grid, another modality, values that are not finite or too large for 16 bits, a moment
            that cannot be read, or a folder with other files in it, or a file where the folder is to be; or sources of
            several patients, studies, frames of reference or grids.
    """
    sources = (source, *others)
    images = [_images_of(series) for series in sources]
    grids = [grid_of(series.where, [frame for _, frame in own]) for series, own in zip(sources, images, strict=True)]
    values = onto(image, affine, grids[0], source.where)
    for series, grid in zip(sources, grids, strict=True):
        check_one_grid(grids[0], grid, series.where, source.where)
    check_one_study(source.where, [header for own in images for header, _ in own], "the sources of one image")
    return _write_frames(Path(folder), values, list(zip(*images, strict=True)), sources, modality, provenance)


def _images_of(series: Series) -> list[Origin]:
    """The slices of a series along their normal."""
    headers = {file: read_header(file) for file in series.files}
    return [(headers[frame.file], frame) for frame in frames_in_order(series)]


def write_apart(
    folder: str | Path, image: Any, affine: Any, source: Series, modality: str, provenance: Mapping[str, str]
) -> list[Path]:
    """Write a synthetic volume that lies on no grid of its source, such as the CT made of a radiograph.

    It belongs to the patient and the study of its source, and has a frame of reference of its own: nothing tells where
    the one lies in the other. Slices lie across the longest edge of its voxels if that is much longer, else axially.

    Args:
        folder, image, affine, modality, provenance: as for :func:`write_series`.
        source: one image, of any kind.
    Returns:
        the files, in the order of the slices along their normal.
    Raises:
        InputError: as :func:`write_series`, but of the grid; and for an affine that is singular or sheared.
    """
    header = read_header(source.files[0])
    for keyword in ("FrameOfReferenceUID", "PositionReferenceIndicator", "PatientPosition"):
        if keyword in header:
            del header[keyword]
    values, frames = as_frames(image, affine, source.files[0])
    images = [[(header, frame)] for frame in frames]
    return _write_frames(Path(folder), values, images, [source], modality, provenance, apart=True)


def _write_frames(
    folder: Path,
    values: NDArray[np.float64],
    images: Sequence[Sequence[Origin]],
    sources: Sequence[Series],
    modality: str,
    provenance: Mapping[str, str],
    apart: bool = False,
) -> list[Path]:
    """Values (columns, rows, slices) as an image for each slice, derived from one image of each source."""
    if modality not in MODALITIES:
        raise InputError(folder, found=f"the modality {modality!r}", wanted="ct or mr", remedy="name one of the two")
    stored, rescale = in_16_bits(values, modality, folder)
    headers, frames = zip(*(origins[0] for origins in images), strict=True)
    when = _moment(provenance.get("created"), headers[0], folder)
    uids = [series.uid for series in sources]
    drawn_from = identity(stored, frames, rescale, uids, modality, dict(provenance), when.isoformat())
    described = " + ".join(series.description or series.modality for series in sources)
    made = Made(
        modality=modality,
        series_uid=generate_uid(entropy_srcs=[drawn_from]),
        number=((sources[0].number or 0) + 1000) % 2**31,
        description=text(f"SYNTHETIC {modality.upper()} (AI) from {described}", 64),
        when=when,
        software=provenance.get("software", "transmodal"),
        version=provenance.get("version", __version__),
        provenance=provenance,
        rescale=rescale,
        window=SOFT_TISSUE if modality == "ct" else _window(stored, rescale),
        step=_step(frames),
        apart=apart,
    )
    numbers = list(range(1, len(frames) + 1)) if apart else _numbers(headers)
    datasets = []
    for number, origins, pixels in zip(numbers, images, np.moveaxis(stored, 2, 0), strict=True):
        uid = generate_uid(entropy_srcs=[drawn_from, str(number)])
        dataset = synthetic(origins, made, number, uid)
        dataset.PixelData = np.ascontiguousarray(pixels.T).tobytes()
        datasets.append(dataset)
    return _write(folder, datasets)


def in_16_bits(values: NDArray[np.float64], modality: str, where: str | Path) -> tuple[NDArray[np.int16], Rescale]:
    """Rounded to 16 bits: CT in whole HU from -1024; MR in the finest decimal step that fits, from 0."""
    check_finite(values, where)
    largest = float(np.abs(values).max())
    slope = 1.0 if modality == "ct" else 10.0 ** np.ceil(np.log10(max(largest, 1e-9) / HIGHEST))
    rescale = Rescale(float(f"{slope:.0e}"), -1024.0 if modality == "ct" else 0.0)
    stored = np.rint((values - rescale.intercept) / rescale.slope)
    if stored.min() < LOWEST or stored.max() > HIGHEST:
        raise InputError(
            where,
            found=f"values from {values.min():.4g} to {values.max():.4g}",
            wanted="Hounsfield units that fit into 16 bits",
            remedy="give CT in HU; clip the values to the scanner's range",
        )
    return stored.astype("<i2"), rescale


def check_finite(values: NDArray[np.float64], where: str | Path) -> None:
    if not np.isfinite(values).all():
        found, remedy = "values that are NaN or infinite", "set them to the background before writing"
        raise InputError(where, found=found, wanted="finite values", remedy=remedy)


def _window(stored: NDArray[np.int16], rescale: Rescale) -> tuple[float, float]:
    """Centre and width that show the darkest to all but the brightest half per cent of what is not background."""
    bright = stored[stored > stored.min()]
    top = max(float(np.percentile(bright, 99.5)) * rescale.slope if bright.size else 0.0, 10 * rescale.slope)
    bottom = float(stored.min()) * rescale.slope
    return round((bottom + top) / 2, 3), round(max(top - bottom, 10 * rescale.slope), 3)


def _step(frames: Sequence[Frame]) -> float:
    """Distance of the slices in mm, of a single one its thickness; 0 if that is unknown."""
    if len(frames) > 1 or any(frames[0].thickness):
        return float(np.linalg.norm(grid_of(frames[0].file, frames)[1][:3, 2]))
    return 0.0


def _numbers(headers: Sequence[Dataset]) -> list[int]:
    """From 1, in the order that the source numbers its images, for the next viewer scrolls as the last one did."""
    own = [int(header.get("InstanceNumber", 0) or 0) for header in headers]
    order = np.argsort(own, kind="stable") if len(set(own)) == len(own) else np.arange(len(own))
    ranks = np.empty(len(own), dtype=int)
    ranks[order] = np.arange(1, len(own) + 1)
    return [int(rank) for rank in ranks]


def _moment(created: str | None, header: Dataset, where: Path) -> datetime:
    """The moment of creation by the clock of the source, if that tells its offset from UTC, else the local one."""
    try:
        when = datetime.fromisoformat(created) if created else datetime.now().astimezone()
    except ValueError as error:
        remedy = "write it as 2026-01-31T12:00:00, or leave it out"
        raise InputError(where, found=f"created: {created!r}", wanted="a moment", remedy=remedy) from error
    clock = utc_offset(header)
    return when.astimezone(clock) if clock else when


def identity(stored: NDArray[Any], frames: Sequence[Frame], rescale: Rescale | None, *told: object) -> str:
    """All that tells new images from others, to draw their identifiers from: files that differ never share one.

    Args:
        stored: the pixels as they are stored.
        frames: where they lie in the patient; of a picture none.
        rescale: what they stand for; of a picture None.
        told: what else the files hold, such as the moment; as JSON takes it.
    """
    pixels = hashlib.sha256(np.ascontiguousarray(stored).tobytes()).hexdigest()
    places = [(frame.spacing, frame.orientation, frame.position, frame.thickness, frame.index) for frame in frames]
    scale = (rescale.slope, rescale.intercept) if rescale else None
    return json.dumps([pixels, stored.shape, places, scale, told, __version__], sort_keys=True)


def save(dataset: Dataset, path: Path) -> None:
    """Write one uncompressed file; values that break a limit of the standard are kept, for they identify."""
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pydicom.dcmwrite(path, dataset, enforce_file_format=True)


def _write(folder: Path, datasets: list[Dataset]) -> list[Path]:
    """All files into a neighbour of the folder, which then takes its name; an earlier output makes room."""
    _check_replaceable(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial, old = (folder.with_name(f".{os.getpid()}.{what}.{folder.name}") for what in ("partial", "old"))
    names = [f"{int(dataset.InstanceNumber):06d}.dcm" for dataset in datasets]
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        for name, dataset in zip(names, datasets, strict=True):
            save(dataset, partial / name)
        if folder.exists():
            os.replace(folder, old)
        os.replace(partial, folder)
    finally:
        if old.exists() and not folder.exists():
            os.replace(old, folder)
        shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
    return [folder / name for name in names]


def _check_replaceable(folder: Path) -> None:
    """Only an earlier output may be replaced: DICOM files that are marked as synthetic, and nothing beside them."""
    check_no_file(folder)
    for entry in sorted(folder.iterdir()) if folder.exists() else ():
        try:
            ours = entry.is_file() and str(read_header(entry).get("SyntheticData", "")) == "YES"
        except InputError:
            ours = False
        if not ours:
            raise InputError(
                folder,
                found=f"other files in the output folder ({entry.name})",
                wanted="an empty folder, or the output of an earlier run",
                remedy="choose another folder, or move the files away",
            )


def check_no_file(folder: Path) -> None:
    """Refuse a folder to write into whose path, or a part of it, is a file."""
    for path in (folder, *folder.parents):
        if path.exists() and not path.is_dir():
            raise InputError(path, found="a file", wanted="a folder to write into", remedy="choose another folder")
