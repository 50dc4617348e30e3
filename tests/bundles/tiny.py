"""Every bundle in small: a row says what makes it tiny, and here it is run, and what it wrote is read."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from monai.bundle import ConfigWorkflow

from contract import Bundle
from tests.bundles.row import Direction
from tests.bundles.rows import TINY

ROOT = Path(__file__).resolve().parents[2]
BUNDLES = sorted(path.parent for path in ROOT.glob("bundles/*/configs"))
SPLIT, STATE = "split.json", "resume.pt"
"""What a training leaves in ``output_dir``: which cases it used for what, and what it resumes from."""

WRITTEN = {
    "ct": (np.int16, -1000, 2000),
    "mr": (np.float32, 0, 1000),
    "t1ce": (np.float32, 0, 1000),
    "mask": (np.uint8, 0, 1),
}
"""Of each modality that is made: type in the file, bounds of its values in HU or on the documented scale."""


def of_every_training() -> list[tuple[Path, str]]:
    """Each bundle with the config of each of its trainings, the last one train.json."""
    return [
        (bundle, config)
        for bundle in BUNDLES
        if bundle.name in TINY
        for config in [*(stage.config for stage in TINY[bundle.name].before if stage.trains), "train"]
    ]


def of_every_direction() -> list[tuple[Path, Direction]]:
    """Each bundle with each of its directions, for ``pytest.mark.parametrize``."""
    return [
        (bundle, direction) for bundle in BUNDLES if bundle.name in TINY for direction in TINY[bundle.name].directions
    ]


def run(bundle: Path, config: str, **ids: Any) -> ConfigWorkflow:
    """What ``python -m monai.bundle run`` does with a config and what it is laid over, in small and in this process."""
    workflow = prepared(bundle, config, **ids)
    with importable(bundle):
        workflow.run()
        workflow.finalize()
    return workflow


def prepared(bundle: Path, config: str, **ids: Any) -> ConfigWorkflow:
    """The workflow of a config in small, initialized and not yet run; nothing of it is made."""
    workflow = ConfigWorkflow(
        config_file=Bundle(bundle).stack(config),
        workflow_type="train" if config.startswith("train") else "infer",
        logging_file=False,
        **{"bundle_root": str(bundle), "device": "cpu", **TINY[bundle.name].ids_of(config), **ids},
    )
    with importable(bundle):
        workflow.initialize()
    return workflow


@contextmanager
def importable(bundle: Path) -> Iterator[None]:
    """Make the bundle's package importable, as Python does for a run from the bundle's root, and only meanwhile."""
    before = sys.path.copy()
    sys.path.insert(0, str(bundle))
    try:
        yield
    finally:
        sys.path[:] = before


def images_of(bundle: Path, target: str) -> list[str]:
    """Names of the images that a translation of one case leaves in its folder."""
    return [f"{target}.nii.gz", *([f"{target}_std.nii.gz"] if TINY[bundle.name].deviation else [])]


def read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Voxels as they are stored, and the affine."""
    image = nib.load(path)
    return np.asanyarray(image.dataobj), image.affine


def files_below(folder: Path) -> dict[str, bytes]:
    """Content of every file below a folder by its relative path; nothing for a folder that is not there."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
