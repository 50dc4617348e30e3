"""A dataset of phantoms on disk, in the layout that users have."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from monai.data import MetaTensor

from transmodal.errors import InputError
from transmodal.phantom.anatomy import Region
from transmodal.phantom.cases import MODALITIES, check_modalities, check_region, make_case
from transmodal.phantom.thigh import Thigh

_STAGING = ".partial"


def write_phantoms(
    output_dir: str | Path,
    cases: int = 6,
    seed: int = 0,
    shape: Sequence[int] = (96, 96, 32),
    spacing: Sequence[float] | None = None,
    modalities: Sequence[str] = ("ct", "mr", "mask"),
    regions: Sequence[Region] | None = None,
    xray_spacing: float = 2.5,
) -> list[Path]:
    """Write a dataset of phantoms: ``<output_dir>/phantom_000/<modality>.nii.gz`` and so on.

    Case k is ``make_case(..., seed=(seed, k))`` however many are made. Equal arguments give equal bytes, with any
    number of threads. Phantoms that an earlier call left in the folder are replaced once all new ones are complete.

    Args:
        output_dir: a folder that is missing, empty, or holds nothing but phantoms.
        cases: how many patients.
        seed: which patients.
        shape: voxels along i, j, k.
        spacing: voxel edges in mm; by default each region's field of view over ``shape``.
        modalities: any of ``ct mr t1 t1ce t2 flair xray mask lesion label``.
        regions: cases take turns among them; by default all are thighs.
        xray_spacing: pixel edge of ``xray`` in mm.
    Returns:
        The folder of each case.
    Raises:
        InputError: if an argument is not as described, or the folder holds anything else; nothing is written then.
    """
    regions = (Thigh(),) if regions is None else regions
    _check_count("cases", cases)
    _check_count("regions", len(regions))
    _check_count("modalities", len(modalities))
    for region in regions:
        check_region(region)
    check_modalities(modalities)
    folder = Path(output_dir)
    _refuse_other_data(folder)
    staging = folder / _STAGING
    try:
        for index in range(cases):
            images = make_case(regions[index % len(regions)], (seed, index), shape, spacing, modalities, xray_spacing)
            _write({name: images[name] for name in modalities}, staging / _name(index))
        for old in folder.glob("phantom_*"):
            shutil.rmtree(old)
        return [(staging / _name(index)).rename(folder / _name(index)) for index in range(cases)]
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _name(index: int) -> str:
    return f"phantom_{index:03d}"


def _check_count(name: str, count: int) -> None:
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise InputError(f"phantom {name}", found=repr(count), wanted="at least 1", remedy=f"give one or more {name}")


def _refuse_other_data(folder: Path) -> None:
    """Let pass only a folder that may be filled without losing anything but phantoms."""
    files = {f"{name}.nii.gz" for name in MODALITIES}
    found = "a file" if folder.exists() and not folder.is_dir() else ""
    for entry in sorted(folder.iterdir()) if folder.is_dir() else []:
        phantom = re.fullmatch(r"phantom_\d{3,}", entry.name) and entry.is_dir() and not entry.is_symlink()
        if entry.name != _STAGING and not (phantom and {file.name for file in entry.iterdir()} <= files):
            found = f"other data ({entry.name})"
            break
    if found:
        raise InputError(
            folder,
            found=found,
            wanted="a folder that is missing, empty, or holds nothing but phantoms",
            remedy="choose another output folder, or move what it holds",
        )


def _write(images: Mapping[str, MetaTensor], folder: Path) -> None:
    folder.mkdir(parents=True)
    for name, image in images.items():
        affine = image.affine.numpy()
        nifti: Any = nibabel.Nifti1Image(np.asarray(image[0]), affine)  # type: ignore[no-untyped-call]
        nifti.set_qform(affine, code=1)
        nifti.set_sform(affine, code=1)
        nifti.header.set_xyzt_units("mm")
        nibabel.save(nifti, folder / f"{name}.nii.gz")
