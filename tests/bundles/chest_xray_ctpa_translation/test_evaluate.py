"""The evaluation as configured: on small phantoms, by a network that was never trained."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser
from PIL import Image

from transmodal.phantom import Chest, write_phantoms

CONFIGS = Path("bundles/chest_xray_ctpa_translation/configs")
SMALL = {
    "grid": [16, 16, 16], "xray_size": 16, "autoencoder_channels": [4, 4], "autoencoder_groups": 2,
    "autoencoder_blocks": 1, "encoder_channels": [8, 8], "embedding_dim": 4, "denoiser_channels": 4,
    "channel_mult": [1, 2], "norm_groups": 2, "num_steps": 1, "num_samples": 2, "previews": True,
}  # fmt: skip
TRAINED, HELD_OUT, GIVEN = ["phantom_000", "phantom_001", "phantom_002"], "phantom_003", "phantom_004"


@pytest.fixture(scope="module")
def evaluated(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an evaluation of two chests; one has a radiograph, that of the other is made of its CT."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("evaluate")
    data = folder / "data"
    write_phantoms(data, cases=5, shape=(40, 40, 27), modalities=("ct",), regions=[Chest()], seed=3)
    Image.fromarray(np.tile(np.linspace(20, 200, 32).astype(np.uint8), (32, 1))).save(data / GIVEN / "xray.png")
    sections = {"training": TRAINED, "validation": [], "test": [HELD_OUT, GIVEN]}
    listed = {section: [_case(data / name) for name in names] for section, names in sections.items()}
    (folder / "split.json").write_text(json.dumps(listed))
    config = _config(root, folder, data)
    torch.save(config.get_parsed_content("network_def").state_dict(), folder / "model.pt")
    config.parse(True)
    config.get_parsed_content("evaluator").run()
    return folder / "output"


def _case(folder: Path) -> dict[str, str]:
    case = {"case": folder.name, "ct": str(folder / "ct.nii.gz")}
    return {**case, "xray": str(folder / "xray.png")} if (folder / "xray.png").is_file() else case


def _config(root: Path, folder: Path, data: Path) -> ConfigParser:
    config = ConfigParser()
    config.read_config([str(root / CONFIGS / f"{name}.json") for name in ("inference", "evaluate")])
    places = {"dataset_dir": data, "output_dir": folder / "output", "ckpt_path": folder / "model.pt"}
    ids: Mapping[str, Any] = {**SMALL, **{name: str(path) for name, path in places.items()}, "check_chest": False}
    for name, value in {**ids, "datalist": str(folder / "split.json")}.items():
        config[name] = value
    return config


def summary(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "summary.json").read_text())


def rows(path: Path) -> dict[str, dict[str, str]]:
    with path.open(newline="") as file:
        return {row["case"]: row for row in csv.DictReader(file)}


def test_everything_of_an_evaluation_is_written(evaluated: Path) -> None:
    assert sorted(path.name for path in evaluated.iterdir()) == [
        "calibration.json", "calibration.png", "consistency.csv", "figure.png", "memorisation.csv", "memorisation.json",
        "memorisation.png", "metrics.csv", HELD_OUT, GIVEN, "summary.json",
    ]  # fmt: skip
    assert sorted(path.name for path in (evaluated / GIVEN).iterdir()) == [
        "ct.nii.gz", "ct_std.nii.gz", "preview.gif",
    ]  # fmt: skip


def test_the_model_stands_beside_baselines_of_the_training_cases(evaluated: Path) -> None:
    found = summary(evaluated)
    assert list(found["methods"]) == ["model", "all-water", "mean training CT", "nearest training patient"]
    assert found["cases"] == [HELD_OUT, GIVEN]
    assert found["left_out"] == {}
    for method in found["methods"].values():
        assert [method[name]["n"] for name in ("mae", "ssim", "window_mae", "window_ssim")] == [2, 2, 2, 2]
    assert found["methods"]["mean training CT"]["ssim"]["mean"] > found["methods"]["all-water"]["ssim"]["mean"]


def test_results_lie_where_the_true_cts_do(evaluated: Path) -> None:
    result = nib.load(evaluated / HELD_OUT / "ct.nii.gz")
    true = nib.load(evaluated.parent / "data" / HELD_OUT / "ct.nii.gz")
    corners = np.array([[0, 0, 0, 1], [*(size - 1 for size in true.shape), 1]])
    middle = (corners @ true.affine.T).mean(axis=0)[:3]
    centre = result.affine @ [*((size - 1) / 2 for size in result.shape), 1]
    assert nib.aff2axcodes(result.affine) == ("S", "P", "L")
    assert np.abs(centre[:3] - middle).max() < 60
    assert np.abs(result.affine[:3, 3] - middle).max() > 100


def test_a_radiograph_that_is_there_is_taken_and_else_one_is_made_of_the_ct(evaluated: Path) -> None:
    found = rows(evaluated / "consistency.csv")
    assert float(found[HELD_OUT]["true_ncc"]) > 0.8
    assert float(found[GIVEN]["true_ncc"]) < 0.6


def test_results_are_compared_with_the_training_cases(evaluated: Path) -> None:
    found = json.loads((evaluated / "memorisation.json").read_text())
    assert (found["training_cases"], found["cases"]) == (3, 2)
    assert {row["nearest"] for row in rows(evaluated / "memorisation.csv").values()} <= set(TRAINED)
