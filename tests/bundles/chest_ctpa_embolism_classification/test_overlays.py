"""The same network on radiographs and on latents, trained and asked in small."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from embolism_bundle.predictions import read_predictions
from monai.bundle import ConfigParser, ConfigWorkflow

from tests.bundles.conftest import Trained
from tests.bundles.tiny import ROOT, TINY, importable

BUNDLE = ROOT / "bundles" / "chest_ctpa_embolism_classification"
ONCE = {"max_epochs": 1, "val_interval": 1, "batch_size": 1, "pos_weight": 1.0}


def run(configs: Sequence[str], folder: Path, data: Path, **ids: Any) -> None:
    files = {"dataset_dir": str(data), "output_dir": str(folder), "ckpt_path": str(folder / "model.pt")}
    workflow = ConfigWorkflow(
        config_file=[str(BUNDLE / "configs" / f"{name}.json") for name in configs],
        meta_file=str(BUNDLE / "configs" / "metadata.json"),
        workflow_type="train" if configs[0] == "train" else "infer",
        logging_file=False,
        **{"bundle_root": str(BUNDLE), "device": "cpu", **TINY[BUNDLE.name].network, **files, **ids},
    )
    with importable(BUNDLE):
        workflow.initialize()
        workflow.run()
        workflow.finalize()


def test_cases_without_a_radiograph_are_seen_by_projections_of_their_ct(
    train_once: Callable[[Path], Trained], tmp_path: Path
) -> None:
    data = train_once(BUNDLE).data
    run(["train", "xray"], tmp_path, data, xray_size=32, **ONCE)
    run(["inference", "xray", "evaluate"], tmp_path, data, xray_size=32)
    predictions = read_predictions(tmp_path / "predictions.csv")
    assert [each.case for each in predictions] == sorted(path.name for path in data.iterdir() if path.is_dir())
    assert all(0 < each.probability < 1 for each in predictions)


@pytest.mark.parametrize("bounds", [None, [-3.0, 3.0]])
def test_latents_are_judged_with_the_labels_of_a_table(bounds: list[float] | None, tmp_path: Path) -> None:
    data, draw = tmp_path / "data", np.random.default_rng(0)
    for name in "abcd":
        (data / name).mkdir(parents=True)
        np.save(data / name / "latent.npy", draw.standard_normal((4, 8, 8, 8)).astype(np.float32))
    (data / "labels.csv").write_text("case,embolism\na,0\nb,1\nc,0\nd,1\n")
    run(["train", "latents"], tmp_path / "out", data, latent_range=bounds, **ONCE)
    run(["inference", "latents", "evaluate"], tmp_path / "out", data, latent_range=bounds)
    predictions = read_predictions(tmp_path / "out" / "predictions.csv")
    assert [(each.case, each.label) for each in predictions] == [("a", 0), ("b", 1), ("c", 0), ("d", 1)]


@pytest.mark.parametrize("config", ["train", "inference"])
def test_images_of_another_folder_stay_where_their_grid_has_them(config: str) -> None:
    """A CT that was generated may show no lungs, which real CT is centred on."""
    parser = ConfigParser()
    parser.read_config(str(BUNDLE / "configs" / f"{config}.json"))
    centres = []
    for folder in (None, "generated"):
        parser["images_dir"] = folder
        parser.parse(reset=True)
        centres.append(parser.get_parsed_content("centre"))
    assert centres == ["lungs", "image"]


def test_inverted_radiographs_are_turned_over_where_that_is_asked_for() -> None:
    """By the id that the error about them recommends."""
    parser = ConfigParser()
    parser.read_config([str(BUNDLE / "configs" / f"{name}.json") for name in ("inference", "xray")])
    parser["invert"] = True
    assert parser.get_parsed_content("preprocessing").transforms[0].invert is True
