"""Inference with networks that change nothing: what is written is then the source itself, on the target's scale."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from tests.bundles.tiny import ROOT, read, run
from transmodal.phantom import Thigh, make_case

BUNDLE = ROOT / "bundles" / "ct_mr_cyclegan_translation"
UNCHANGED: dict[str, Any] = {
    "network_def": {"_target_": "torch.nn.Identity"},
    "inferer#inferer": {"_target_": "SimpleInferer"},
    "evaluator#network": "@network",
}
KEPT = [-1.0, -1.0, -1.0]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A case of odd sizes and three voxel sizes, stored to the left and back, as scanners do."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "case").mkdir()
    for name, image in make_case(Thigh(), seed=3, shape=(45, 51, 5), modalities=["ct", "mr"]).items():
        nib.save(nib.Nifti1Image(np.asarray(image[0]), image.affine.numpy()), folder / "case" / f"{name}.nii.gz")
    return folder


def written(data: Path, output: Path, source: str, **ids: Any) -> tuple[np.ndarray, np.ndarray]:
    """The source in the file and the unchanged translation of it, floating point."""
    run(BUNDLE, "inference", dataset_dir=str(data), output_dir=str(output), source=source, **UNCHANGED, **ids)
    target = {"mr": "ct", "ct": "mr"}[source]
    before, _ = read(data / "case" / f"{source}.nii.gz")
    after, _ = read(output / "case" / f"{target}.nii.gz")
    return before.astype(float), after.astype(float)


def test_every_voxel_of_a_ct_is_written_where_it_was(data: Path, tmp_path: Path) -> None:
    """-1000 to 2000 HU become 0 to 1000."""
    ct, mr = written(data, tmp_path, "ct", pixdim=KEPT)
    np.testing.assert_allclose(mr, (np.clip(ct, -1000, 2000) + 1000) / 3, atol=1e-2)


def test_every_voxel_of_an_mr_is_written_where_it_was(data: Path, tmp_path: Path) -> None:
    """The percentiles become -1000 and 2000 HU; all between lies on one line, but for the rounding to whole HU."""
    mr, ct = written(data, tmp_path, "mr", pixdim=KEPT)
    between = (ct > -1000) & (ct < 2000)
    slope, offset = np.polyfit(mr[between], ct[between], 1)
    np.testing.assert_allclose(ct[between], slope * mr[between] + offset, atol=1.0)
    assert slope > 0


def test_resampling_there_and_back_moves_nothing(data: Path, tmp_path: Path) -> None:
    """Shifted by one voxel along either axis, the two would agree less."""
    ct, mr = written(data, tmp_path, "ct", pixdim=[5.0, 5.0, -1.0])
    moved = [np.corrcoef(np.roll(mr, by, axis).ravel(), ct.ravel())[0, 1] for axis in (0, 1) for by in (-1, 1)]
    assert np.corrcoef(mr.ravel(), ct.ravel())[0, 1] > max(0.97, *moved)
