"""Body masks from files instead of automatic ones, through the configurations of the bundles that offer it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests.bundles.conftest import Trained
from tests.bundles.tiny import BUNDLES, TINY, read, run
from transmodal.errors import InputError
from transmodal.trained_range import TrainedRange

OFFERING = [
    bundle
    for bundle in BUNDLES
    if bundle.name in TINY and "TrainedRangeWriter" in (bundle / "configs" / "train.json").read_text(encoding="utf-8")
]
of_each = pytest.mark.parametrize("bundle", OFFERING, ids=lambda bundle: bundle.name)


@pytest.fixture
def half_masked(tmp_path: Path) -> Callable[[Trained], Path]:
    """The data of a training, with masks that show only the half of every body on one side."""

    def make(trained: Trained) -> Path:
        data = tmp_path / "data"
        shutil.copytree(trained.data, data)
        for path in data.glob("*/mask.*"):
            mask = nib.load(path)
            half = np.array(mask.dataobj)
            half[half.shape[0] // 2 :] = 0
            nib.save(nib.Nifti1Image(half, mask.affine), path)
        return data

    return make


@of_each
def test_training_looks_at_the_body_of_the_mask_files(
    bundle: Path, train_once: Callable[[Path], Trained], half_masked: Callable[[Trained], Path], tmp_path: Path
) -> None:
    trained = train_once(bundle)
    weights = tmp_path / "models" / "model.pt"
    run(
        bundle,
        "train",
        dataset_dir=str(half_masked(trained)),
        output_dir=str(tmp_path / "output"),
        ckpt_path=str(weights),
        body_from="mask",
    )
    whole, half = (TrainedRange.load(path.with_name("trained_range.json")) for path in (trained.weights, weights))
    for modality in ("ct", "mr"):
        areas = [known.modalities[modality]["range"]["area_cm2"][1] for known in (whole, half)]
        assert areas[1] < 0.7 * areas[0]


@of_each
def test_translation_scales_mr_by_the_body_of_the_mask_files(
    bundle: Path, train_once: Callable[[Path], Trained], half_masked: Callable[[Trained], Path], tmp_path: Path
) -> None:
    trained = train_once(bundle)
    data = half_masked(trained)
    results = []
    for body_from in (None, "mask"):
        output = tmp_path / str(body_from)
        run(
            bundle,
            "inference",
            dataset_dir=str(data),
            output_dir=str(output),
            ckpt_path=str(trained.weights),
            body_from=body_from,
        )
        results.append(read(min(output.glob("*/ct.nii.gz")))[0])
    assert results[0].shape == results[1].shape
    assert not np.array_equal(*results)


@of_each
def test_a_case_without_the_mask_file_is_named(
    bundle: Path, train_once: Callable[[Path], Trained], half_masked: Callable[[Trained], Path], tmp_path: Path
) -> None:
    trained = train_once(bundle)
    data = half_masked(trained)
    for mask in data.glob("*/mask.*"):
        mask.unlink()
    ids = {"dataset_dir": str(data), "output_dir": str(tmp_path / "output"), "ckpt_path": str(trained.weights)}
    with pytest.raises(RuntimeError) as error:  # MONAI wraps what a component raises
        run(bundle, "inference", **ids, body_from="mask")
    told = [str(cause) for cause in causes(error.value) if isinstance(cause, InputError)]
    assert "wanted in each case mr and mask" in told[0]


def causes(error: BaseException | None) -> list[BaseException]:
    """An error and what it came from."""
    return [] if error is None else [error, *causes(error.__cause__)]
