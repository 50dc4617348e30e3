"""The names of the data layout ``dataset_dir/<case>/<modality>.<extension>``, in one place."""

from __future__ import annotations

from pathlib import Path

__all__ = [
    "ALIASES",
    "KINDS",
    "LABELS",
    "LATENT",
    "MAGNETIC",
    "MODALITIES",
    "MODALITY_OF",
    "PICTURES",
    "RADIOGRAPH",
    "SECTIONS",
    "VOLUMES",
    "Case",
    "case_files",
    "extension",
    "is_latent",
    "is_lone_dicom",
]

Case = dict[str, str]
"""A case record: modality names to absolute paths, besides ``case`` and, where known, ``patient``."""

LABELS = ("mask", "lesion", "label")
"""Modalities whose values are classes, not intensities."""

MAGNETIC = ("mr", "t1", "t1ce", "t2", "flair", "dwi")
"""MR, unspecified or of a known contrast."""

MODALITIES = ("ct", *MAGNETIC, "xray", *LABELS)

MODALITY_OF = {"ct": "ct", **dict.fromkeys(MAGNETIC, "mr")}
"""CT or MR, as DICOM tells them apart, for each name that is one of them."""

LATENT = "latent"
"""Latents of a CT in ``<case>/latent.npy``: no image that a reader of images could read, but a file of a case."""

RADIOGRAPH = "xray"
"""The modality that may be a single DICOM file, ``<case>/xray.dcm``; of the others DICOM comes in folders."""

KINDS = (*MODALITIES, LATENT)
"""Every kind of file that a case may have."""

ALIASES = {"t1n": "t1", "t1w": "t1", "t1c": "t1ce", "t1gd": "t1ce", "t2w": "t2", "t2f": "flair"}
"""Other names of MR contrasts in the names of files, BraTS's since 2023 among them."""
VOLUMES = (".nii.gz", ".nii", ".mha", ".nrrd")
PICTURES = (".png", ".jpg", ".jpeg")
SECTIONS = ("training", "validation", "test")


def extension(path: Path) -> str:
    """The image extension of a file name in lower case, two-part ones whole; empty if it is none of ours."""
    name = path.name.lower()
    return next((suffix for suffix in (*VOLUMES, *PICTURES) if name.endswith(suffix)), "")


def is_latent(path: Path) -> bool:
    """Whether a file is named as the latents of its case are."""
    return path.name.lower() == f"{LATENT}.npy"


def is_lone_dicom(path: Path, modality: str | None = None) -> bool:
    """Whether a file is a radiograph in DICOM: by its name ``xray.dcm``, or of any name if that is its modality."""
    return path.suffix.lower() == ".dcm" and RADIOGRAPH in (modality, path.stem.lower())


def case_files(case: Case) -> dict[str, str]:
    """The files of a case record by modality, without its names of case and patient."""
    return {key: value for key, value in case.items() if key not in ("case", "patient")}
