"""Latents of CT scans, normalised radiographs and CSV tables, as published X-ray2CTPA code reads them.

Latents are (4, h, w, D) of the slice autoencoder of Stable Diffusion, times 0.18215, slices from the feet to the head.
Radiographs are (3, 224, 224), normalised as BiomedCLIP wants them: (x - 0.633) / 0.181 of grey levels from 0 to 1. No
file tells a spacing, and the windows of Hounsfield units that the CT had are those of the study.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray

from intake.conversion import Item
from intake.ctpa_tables import Row, read_tables
from intake.grey import AS_SHOWN
from intake.hdf5 import times
from transmodal.data import read_latent
from transmodal.errors import InputError

MEAN, STD = 0.633, 0.181
ROUNDING = 0.01
WHITE = 255
"""The grey level of 1, as the study's own pictures had 8 bits."""
WANTED = "a radiograph (3, rows, columns) of one grey picture, as the published preprocessing writes it"
GEOMETRY_UNKNOWN = (
    "the files tell no spacing: latents train and classify, but what is decoded of them has the spacing that the "
    "configuration says, not that of the patient"
)
Files = dict[str, list[Path]]


class CTPALatents:
    """Folders of latents and of radiographs (their names begin with ``XRay``), and tables train, valid and test.

    A case is a scan of the tables: its latents become ``latent.npy`` with the axes (4, D, h, w), its radiograph
    ``xray.nii.gz`` in grey levels from 0 to 255, its label a line of ``labels.csv``. Values of the latents stay.

    Args:
        modalities: none; the layout has its own.
        tables: folder of the tables within the source, needed where several hold some.
    Raises:
        InputError: if modalities are given.
    """

    held_out = 0.15

    def __init__(self, modalities: Mapping[str, str] | None = None, tables: str | None = None) -> None:
        if modalities:
            raise InputError(
                "the modalities",
                found=", ".join(modalities),
                wanted="none, as the layout has its own",
                remedy="leave them out",
            )
        self.modalities = {"latents": "latent", "XRay": "xray"}
        self.tables = tables
        self.warnings = [GEOMETRY_UNKNOWN]
        self.findings: dict[str, int] = {}

    def items(self, source: Path) -> Iterator[Item]:
        """Latents and radiograph of every scan in the tables whose latents are there."""
        rows = read_tables(source, self.tables)
        latents, xrays = _index(source)
        found = [row for row in rows if row.case in latents]
        self._check(rows, found, latents, source)
        self._warn_of_radiographs(found, xrays)
        for row in found:
            if row.embolism is not None:
                self.findings[row.case] = row.embolism
            (path,) = latents[row.case]
            yield Item(row.section, row.case, row.patient, "latent", ".npy", partial(_write_latent, path))
            if row.xray in xrays:
                picture = xrays[row.xray][0]
                yield Item(row.section, row.case, row.patient, "xray", ".nii.gz", partial(_write_radiograph, picture))

    def _check(self, rows: Sequence[Row], found: Sequence[Row], latents: Files, source: Path) -> None:
        """Refuse tables that belong to other files, and scans with two files; tell of scans without any."""
        twice = [path for row in found for path in latents[row.case] if len(latents[row.case]) > 1]
        if twice or not found:
            named = ", ".join(row.case for row in rows[:3])
            others = ", ".join(sorted(latents)[:3]) or "none"
            raise InputError(
                source,
                found=f"two files of one scan: {twice[0]} and {twice[1]}" if twice else f"no latents of {named} …",
                wanted=f"one file NAME.npy of latents for each scan of the tables; the files are named {others} …",
                remedy="move those that are not meant away" if twice else "give the folder that holds both",
            )
        absent = [row.case for row in rows if row.case not in latents]
        if absent:
            self.warnings.append(f"left out, as their latents are not there: {_some(absent)}")

    def _warn_of_radiographs(self, rows: Sequence[Row], xrays: Files) -> None:
        """Tell of scans without a radiograph, or with a choice of several."""
        absent = [row.case for row in rows if row.xray not in xrays]
        if absent:
            self.warnings.append(f"no radiograph, so these cannot train a translation: {_some(absent)}")
        several = [row.case for row in rows if row.xray in xrays and len(xrays[row.xray]) > 1]
        if several:
            self.warnings.append(f"several radiographs, frontal or not, of which the first is taken: {_some(several)}")


def _index(source: Path) -> tuple[Files, Files]:
    """Files of latents and of radiographs by name; ``<name>/<number>.npy`` is a radiograph of that name too."""
    latents: Files = {}
    xrays: Files = {}
    for path in sorted(source.rglob("*.npy")):
        folders = [part.lower() for part in path.relative_to(source).parts[:-1]]
        depth = next((index for index, part in enumerate(folders) if part.startswith("xray")), None)
        if depth is None:
            latents.setdefault(path.stem, []).append(path)
        else:
            xrays.setdefault(path.stem if depth == len(folders) - 1 else path.parent.name, []).append(path)
    return latents, xrays


def _write_latent(path: Path, place: Path) -> None:
    """(4, h, w, D) as (4, D, h, w)."""
    values = read_latent(path)
    if values.shape[1] != values.shape[2]:
        raise InputError(
            path,
            found=f"latents of {times(values.shape)}",
            wanted="(4, h, w, D) with equal h and w, the slices along the last axis, as published",
            remedy="turn the axes with numpy.moveaxis, and save the file again",
        )
    np.save(place, np.ascontiguousarray(values.transpose(0, 3, 1, 2)))


def _write_radiograph(path: Path, place: Path) -> None:
    """The grey levels before the normalisation; values that never were normalised are only scaled to the same range."""
    values = _read_radiograph(path)
    low, high = float(values.min()), float(values.max())
    if low < 0:
        values = values * STD + MEAN
        if values.min() < -ROUNDING or values.max() > 1 + ROUNDING:
            raise InputError(
                path,
                found=f"values from {low:.4g} to {high:.4g}",
                wanted=f"(x - {MEAN}) / {STD} of x from 0 to 1, so {-MEAN / STD:.4g} to {(1 - MEAN) / STD:.4g}",
                remedy="find out how they were normalised, and save them so",
            )
    elif high > 1:  # line integrals of a rendered radiograph
        values = values / high
    hanging = np.diag([*AS_SHOWN, 1.0, 1.0])
    nibabel.save(nibabel.Nifti1Image(np.float32(values.clip(0, 1) * WHITE).T, hanging), place)


def _read_radiograph(path: Path) -> NDArray[np.float64]:
    """One channel (rows, columns) of a file with three equal ones."""
    try:
        stored: NDArray[Any] = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(
            path, found=f"a file that cannot be read ({error})", wanted=WANTED, remedy="copy the file again"
        ) from error
    values = np.empty(0, int) if not isinstance(stored, np.ndarray) else stored[None] if stored.ndim == 2 else stored
    if values.ndim != 3 or values.dtype.kind != "f" or len(values) not in (1, 3) or min(values.shape[1:]) < 8:
        raise InputError(path, found=f"{values.dtype} of {times(values.shape)}", wanted=WANTED, remedy="leave it out")
    if not np.isfinite(values).all() or values.min() == values.max():
        raise InputError(
            path, found="values that are not finite, or all the same", wanted=WANTED, remedy="leave it out"
        )
    if np.abs(values - values[:1]).max() > ROUNDING:
        raise InputError(path, found="channels that differ, so colours", wanted=WANTED, remedy="save it as grey")
    return np.asarray(values[0], np.float64)


def _some(names: Sequence[str], limit: int = 8) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return f"{len(names)} cases ({', '.join(names[:limit])}{more})"
