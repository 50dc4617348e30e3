"""The overlays of published studies: their pictures and files reach the network with the published values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from monai.bundle import ConfigParser
from numpy.typing import NDArray
from PIL import Image

from datalist import convert_layout
from tests.bundles.tiny import ROOT, importable

BUNDLE = ROOT / "bundles/ct_mr_syndiff_translation"
NOTHING_HELD_OUT = (0, 0, 0)


def configured(*names: str, **ids: Any) -> ConfigParser:
    """Configs laid over one another, with ids on top."""
    parser = ConfigParser()
    parser.read_config([str(BUNDLE / "configs" / f"{name}.json") for name in names])
    parser.update({"bundle_root": str(BUNDLE), "device": "cpu", **ids})
    return parser


def prepared(overlay: str, source: str, path: Path, patch: list[int]) -> NDArray[np.float32]:
    """One slice as the network sees it."""
    parser = configured("inference", overlay, source=source, patch=patch)
    with importable(BUNDLE):
        image = parser.get_parsed_content("preprocessing")({"image": str(path)})["image"]
    return np.asarray(image.as_tensor()[0, ..., 0])


@pytest.mark.parametrize(("folder", "modality"), [("CT", "ct"), ("MRT1", "mr")])
def test_pictures_of_the_bile_duct_study_are_scaled_as_published(tmp_path: Path, folder: str, modality: str) -> None:
    """The study maps 8-bit grey from 0 to 255 linearly to [-1, 1], rows before columns."""
    grey = np.random.default_rng(0).integers(0, 256, (20, 24)).astype(np.uint8)
    for name in ("CT", "MRT1"):
        (tmp_path / f"set/{name}/p1").mkdir(parents=True)
        Image.fromarray(grey).save(tmp_path / f"set/{name}/p1/1.png")
    new = tmp_path / "new"
    convert_layout(
        tmp_path / "set",
        "pictures-patients",
        str(new),
        {},
        NOTHING_HELD_OUT,
        window=(-1000, 1040),
        slice_thickness=None,
    )
    seen = prepared("bile_duct", modality, next(new.glob(f"*/{modality}.nii.gz")), patch=[20, 24])
    np.testing.assert_allclose(seen, 2 * grey.astype(np.float32) / 255 - 1, atol=1e-5)


def test_slices_of_a_published_file_are_padded_and_scaled_as_published(tmp_path: Path) -> None:
    """(N, W, H) with values in [0, 1] becomes rows of H, zero-padded on both sides, then (x - 0.5) / 0.5."""
    values = np.random.default_rng(0).uniform(0, 1, (2, 12, 16)).astype(np.float32)
    (tmp_path / "set").mkdir()
    for name in ("T1", "T2"):
        with h5py.File(tmp_path / f"set/{name}.mat", "w") as file:
            file["data_fs"] = values
    new = tmp_path / "new"
    convert_layout(tmp_path / "set", "mat", str(new), {}, NOTHING_HELD_OUT, window=None, paired=None)
    seen = prepared("t1_t2", "t1", sorted(new.glob("*/t1.nii.gz"))[1], patch=[20, 18])
    published = (np.pad(values[1].T, ((2, 2), (3, 3))) - 0.5) / 0.5
    np.testing.assert_allclose(seen, published, atol=1e-6)


@pytest.mark.parametrize("overlays", [(), ("bile_duct",), ("t1_t2",), ("small",), ("t1_t2", "small")])
def test_flips_are_between_left_and_right(overlays: tuple[str, ...]) -> None:
    parser = configured("train", *overlays)
    axis = parser.get_parsed_content("axcodes")[parser.get_parsed_content("flip_axis")]
    assert axis in "LR"


@pytest.mark.parametrize("overlay", ["bile_duct", "t1_t2"])
@pytest.mark.parametrize("other", [False, True])
def test_an_overlay_after_evaluate_scores_both_directions(overlay: str, other: bool) -> None:
    parser = configured("inference", "evaluate", overlay)
    contrasts = parser.get_parsed_content("contrasts")
    parser.update({"source": contrasts[other]})
    target = contrasts[not other]
    for table in ("similarity", "baselines", "intensity", "body"):
        assert target in parser.get_parsed_content(table)
