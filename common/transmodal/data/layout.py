"""The names of the data layout ``dataset_dir/<case>/<modality>.<extension>``, in one place."""

from __future__ import annotations

from pathlib import Path

from transmodal.files import visible

__all__ = [
    "ALIASES",
    "LABELS",
    "MAGNETIC",
    "MODALITIES",
    "PICTURES",
    "SECTIONS",
    "VOLUMES",
    "Case",
    "case_files",
    "extension",
    "visible",
]

Case = dict[str, str]
"""A case record: modality names to absolute paths, besides ``case`` and, where known, ``patient``."""

LABELS = ("mask", "lesion", "label")
"""Modalities whose values are classes, not intensities."""

MAGNETIC = ("mr", "t1", "t1ce", "t2", "flair", "dwi")
"""MR, unspecified or of a known contrast."""

MODALITIES = ("ct", *MAGNETIC, "xray", *LABELS)
ALIASES = {"t1n": "t1", "t1w": "t1", "t1c": "t1ce", "t1gd": "t1ce", "t2w": "t2", "t2f": "flair"}
"""Other names of MR contrasts in the names of files, BraTS's since 2023 among them."""
VOLUMES = (".nii.gz", ".nii", ".mha", ".nrrd")
PICTURES = (".png", ".jpg", ".jpeg")
SECTIONS = ("training", "validation", "test")


def extension(path: Path) -> str:
    """The image extension of a file name in lower case, two-part ones whole; empty if it is none of ours."""
    name = path.name.lower()
    return next((suffix for suffix in (*VOLUMES, *PICTURES) if name.endswith(suffix)), "")


def case_files(case: Case) -> dict[str, str]:
    """The files of a case record by modality, without its names of case and patient."""
    return {key: value for key, value in case.items() if key not in ("case", "patient")}
