"""A data set of tiny chests, with and without emboli, and predictions."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from embolism_bundle.predictions import Prediction


@pytest.fixture
def chests(tmp_path: Path) -> Path:
    """Four cases of random HU; b and d have a lesion."""
    draw = np.random.default_rng(0)
    for name in "abcd":
        folder = tmp_path / "data" / name
        folder.mkdir(parents=True)
        lesion = np.zeros((8, 9, 4), dtype=np.uint8)
        lesion[4, 4, 2] = name in "bd"
        images = {"ct": draw.integers(-1000, 400, (8, 9, 4)).astype(np.int16), "lesion": lesion}
        for modality, voxels in images.items():
            nib.save(nib.Nifti1Image(voxels, np.eye(4)), folder / f"{modality}.nii.gz")
    return tmp_path / "data"


def prediction(case: str, probability: float, label: int | None, threshold: float = 0.5, **more: str) -> Prediction:
    return Prediction(case, more.get("patient", case), probability, threshold, label, more.get("section", ""))


@pytest.fixture
def predictions() -> list[Prediction]:
    """Six cases: of three positive ones two are found, of three negative ones one is called positive."""
    told = [("a", 0.9, 1), ("b", 0.8, 1), ("c", 0.7, 0), ("d", 0.4, 1), ("e", 0.3, 0), ("f", 0.2, 0)]
    return [prediction(*each, section="test") for each in told]
