"""Sampling from files to files: how many files, what is in them, and what a seed decides."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.bundles.conftest import Trained
from tests.bundles.tiny import ROOT, files_below, read, run
from transmodal.phantom import write_phantoms

BUNDLE = ROOT / "bundles" / "ct_mr_syndiff_translation"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One case of three slices, so small that seven translations are quick."""
    folder = tmp_path_factory.mktemp("data")
    write_phantoms(folder, cases=1, shape=(24, 26, 3), modalities=("ct", "mr"))
    return folder


@pytest.fixture(scope="module")
def translated(train_once: Callable[[Path], Trained], data: Path) -> Callable[..., Path]:
    """Runs inference into a folder and hands out the folder of the one case."""

    def translate(output: Path, source: str = "mr", **ids: Any) -> Path:
        weights = str(train_once(BUNDLE).weights)
        run(
            BUNDLE,
            "inference",
            dataset_dir=str(data),
            output_dir=str(output),
            ckpt_path=weights,
            source=source,
            patch=[8, 8],
            **ids,
        )
        (case,) = output.iterdir()
        return case

    return translate


@pytest.mark.parametrize(("source", "target", "dtype"), [("mr", "ct", np.int16), ("ct", "mr", np.float32)])
def test_several_samples_give_their_mean_and_their_deviation(
    translated: Callable[..., Path], data: Path, tmp_path: Path, source: str, target: str, dtype: type
) -> None:
    case = translated(tmp_path / "output", source=source, num_samples=2)
    assert list(files_below(case)) == [f"{target}.nii.gz", f"{target}_std.nii.gz"]
    mean, affine = read(case / f"{target}.nii.gz")
    deviation, its_affine = read(case / f"{target}_std.nii.gz")
    original, wanted = read(data / case.name / f"{source}.nii.gz")
    assert (mean.dtype, deviation.dtype) == (dtype, np.float32)
    assert mean.shape == deviation.shape == original.shape
    assert deviation.min() >= 0
    assert deviation.max() > 0
    np.testing.assert_array_equal(affine, its_affine)
    np.testing.assert_allclose(affine, wanted, atol=1e-3)


def test_one_sample_gives_one_file_and_takes_an_older_deviation_away(
    translated: Callable[..., Path], tmp_path: Path
) -> None:
    translated(tmp_path / "output", num_samples=2)
    assert list(files_below(translated(tmp_path / "output", num_samples=1))) == ["ct.nii.gz"]


def test_a_seed_decides_every_byte(translated: Callable[..., Path], tmp_path: Path) -> None:
    first, again, other = (
        files_below(translated(tmp_path / name, num_samples=2, seed=seed))
        for name, seed in (("first", 5), ("again", 5), ("other", 6))
    )
    assert first == again
    assert all(first[name] != other[name] for name in first)


def test_noise_of_its_own_for_each_slice_is_another_translation(
    translated: Callable[..., Path], tmp_path: Path
) -> None:
    shared, own = (
        files_below(translated(tmp_path / str(flag), shared_noise=flag))["ct.nii.gz"] for flag in (True, False)
    )
    assert shared != own
