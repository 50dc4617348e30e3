"""Simulated brains with tumours, and results that imitate one of their contrasts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np

from transmodal.phantom import Head, write_phantoms

CONTRASTS = ("flair", "t1", "t2")
TRAINING, TESTED = ("phantom_000", "phantom_001"), "phantom_002"


def write_brains(folder: Path) -> Path:
    """Three cases below ``folder/data``; gives the list in which two train and one tests."""
    names = (*CONTRASTS, "mask", "lesion")
    write_phantoms(folder / "data", cases=3, regions=[Head(1.0)], shape=(32, 32, 8), modalities=names)
    return write_list(folder)


def write_list(folder: Path) -> Path:
    """List whatever files the three cases have."""

    def record(case: str) -> dict[str, str]:
        files = sorted((folder / "data" / case).glob("*.nii.gz"))
        return {"case": case, **{file.name.split(".")[0]: f"data/{case}/{file.name}" for file in files}}

    listed = folder / "split.json"
    listed.write_text(json.dumps({"training": [record(case) for case in TRAINING], "test": [record(TESTED)]}))
    return listed


def change(source: Path, output: Path, values: Callable[[np.ndarray], np.ndarray]) -> Path:
    """Write an image with other values on the grid of ``source``."""
    image = nib.load(source)
    output.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(values(image.get_fdata()).astype(np.float32), image.affine), output)
    return output
