"""The overlay for data that was normalised as a whole: published values reach the networks, and score as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser

from tests.bundles.tiny import ROOT, importable

BUNDLE = ROOT / "bundles/ct_mr_mddga_translation"
SHAPE = (9, 10, 12)  # D, H, W


def value(names: tuple[str, ...], key: str, **ids: Any) -> Any:
    parser = ConfigParser()
    parser.read_config([str(BUNDLE / "configs" / f"{name}.json") for name in names])
    parser.update({"bundle_root": str(BUNDLE), "device": "cpu", **ids})
    with importable(BUNDLE):
        return parser.get_parsed_content(key)


def put(path: Path, array: np.ndarray) -> str:
    """An array (D, H, W) as tools/datalist.py --from raw writes it."""
    nib.save(nib.Nifti1Image(array.transpose(2, 1, 0), np.diag([-1, -1, 1, 1])), path)
    return str(path)


@pytest.fixture
def published() -> np.ndarray:
    """(D, H, W) in [-1, 1]."""
    return np.random.default_rng(0).uniform(-1, 1, SHAPE).astype(np.float32)


@pytest.mark.parametrize("base", ["train", "inference"])
def test_ct_of_the_recommended_window_is_the_published_array(base: str, published: np.ndarray, tmp_path: Path) -> None:
    path = put(tmp_path / "ct.nii.gz", 1500 * published + 500)
    seen = value((base, "normalised"), "preprocessing")({"image": path})["image"]
    np.testing.assert_allclose(np.asarray(seen)[0], published, atol=1e-6)


@pytest.mark.parametrize("names", [("train", "train_slices", "normalised"), ("train", "normalised")])
def test_mr_targets_are_the_published_array(names: tuple[str, ...], published: np.ndarray, tmp_path: Path) -> None:
    path = put(tmp_path / "mr.nii.gz", 500 * published + 500)
    seen = value(names, "target_preprocessing")({"label": path})["label"]
    np.testing.assert_allclose(np.asarray(seen)[0], published, atol=1e-6)


@pytest.mark.parametrize("names", [("train",), ("inference", "evaluate")])
def test_a_prediction_of_the_published_values_is_perfect(names: tuple[str, ...], published: np.ndarray) -> None:
    target = torch.from_numpy(500 * published + 500)[None]
    similarity = value((*names, "normalised"), "similarity")["mr"]
    written = value((*names, "normalised"), "intensity")["mr"].restore(torch.from_numpy(published)[None])
    assert similarity(written, target, torch.ones_like(target))["mae"] == pytest.approx(0, abs=1e-6)


def test_matlab_measures_are_those_of_the_published_arrays(published: np.ndarray, tmp_path: Path) -> None:
    names = ("inference", "evaluate", "evaluate_matlab", "normalised")
    handlers = value(names, "handlers", output_dir=str(tmp_path), fitting_data=None, ckpt_path=None)
    (handler,) = [each for each in handlers if type(each).__name__ == "MatlabProtocol"]
    written = torch.from_numpy(500 * published + 500)[None]
    reference = handler.similarity.comparable(written, torch.zeros_like(written))
    np.testing.assert_allclose(handler._scaled(reference)[0], published, atol=1e-6)
