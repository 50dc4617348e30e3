"""paired.json: slices of registered pairs come together, and both translations are held to their pair."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from monai.bundle import ConfigWorkflow

from tests.bundles.tiny import ROOT, TINY, importable
from transmodal.errors import InputError
from transmodal.phantom import write_phantoms

BUNDLE = ROOT / "bundles" / "ct_mr_cyclegan_translation"
ROW = TINY[BUNDLE.name]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_phantoms(folder, cases=3, **ROW.phantoms)
    return folder


def training(data: Path, folder: Path, **ids: Any) -> ConfigWorkflow:
    """The training in small with the overlay, initialized; results, weights included, go into one folder."""
    files = {"bundle_root": BUNDLE, "dataset_dir": data, "output_dir": folder, "ckpt_path": folder / "model.pt"}
    workflow = ConfigWorkflow(
        config_file=[str(BUNDLE / "configs" / f"{name}.json") for name in ("train", "paired")],
        workflow_type="train",
        logging_file=False,
        **{"device": "cpu", **{name: str(path) for name, path in files.items()}, **ROW.network, **ROW.training, **ids},
    )
    with importable(BUNDLE):
        workflow.initialize()
    return workflow


def part(workflow: ConfigWorkflow, name: str) -> Any:
    with importable(BUNDLE):
        return workflow.parser.get_parsed_content(name)


def trained(workflow: ConfigWorkflow) -> ConfigWorkflow:
    with importable(BUNDLE):
        workflow.run()
        workflow.finalize()
    return workflow


@pytest.mark.parametrize("source", ["mr", "ct"])
def test_both_images_of_an_item_are_one_slice_scaled_as_in_unpaired_training(
    source: str, data: Path, tmp_path: Path
) -> None:
    paired = part(training(data, tmp_path, source=source, augmentation=None), "train#dataset")
    alone = [unpaired_domain(data, tmp_path, key, source) for key in ("image", "label")]
    assert len(paired) == len(alone[0]) == 2
    for number in range(len(paired)):
        for key, domain in zip(("image", "label"), alone, strict=True):
            torch.testing.assert_close(paired[number][key], domain[number]["image"], rtol=0, atol=0)


def unpaired_domain(data: Path, folder: Path, key: str, source: str) -> Any:
    """The domain of one key as the training without the overlay reads it."""
    files = {"bundle_root": BUNDLE, "dataset_dir": data, "output_dir": folder / key}
    workflow = ConfigWorkflow(
        config_file=str(BUNDLE / "configs" / "train.json"),
        workflow_type="train",
        logging_file=False,
        **{name: str(path) for name, path in files.items()},
        **{"device": "cpu", "source": source, **ROW.network, **ROW.training},
    )
    with importable(BUNDLE):
        workflow.initialize()
    return part(workflow, "train#dataset").domains[("image", "label").index(key)]


def test_a_training_holds_both_translations_to_their_pair(data: Path, tmp_path: Path) -> None:
    workflow = trained(training(data, tmp_path))
    assert part(workflow, "train#trainer").state.iteration == 2
    terms = part(workflow, "objective").generator_terms(next(iter(part(workflow, "train#dataloader"))))
    assert {"paired_target", "paired_source"} <= terms.keys()
    assert (tmp_path / "model.pt").is_file()


def test_the_range_of_both_modalities_is_written_beside_the_weights(data: Path, tmp_path: Path) -> None:
    trained(training(data, tmp_path))
    found = json.loads((tmp_path / "trained_range.json").read_text())
    assert {"ct", "mr"} <= found["modalities"].keys()


def test_cases_of_one_modality_are_left_out(data: Path, tmp_path: Path) -> None:
    files = {key: str(data / "phantom_000" / f"{key}.nii.gz") for key in ("ct", "mr")}
    held = {key: str(data / "phantom_001" / f"{key}.nii.gz") for key in ("ct", "mr")}
    listed = [{"case": "both", **files}, {"case": "lone", "ct": str(data / "phantom_002" / "ct.nii.gz")}]
    path = tmp_path / "list.json"
    path.write_text(json.dumps({"training": listed, "validation": [{"case": "held", **held}], "test": []}))
    workflow = training(data, tmp_path, datalist=str(path))
    assert [record["case"] for record in part(workflow, "train#data")] == ["both"]


def test_without_a_pair_the_error_says_what_the_overlay_needs(data: Path, tmp_path: Path) -> None:
    lone = [{"case": f"lone_{key}", key: str(data / "phantom_000" / f"{key}.nii.gz")} for key in ("ct", "mr")]
    path = tmp_path / "list.json"
    path.write_text(json.dumps({"training": lone, "validation": [], "test": []}))
    with pytest.raises((InputError, RuntimeError)) as caught:
        part(training(data, tmp_path, datalist=str(path), val_interval=0), "train#data")
    assert "paired.json learns from registered pairs" in str(caught.value.__cause__ or caught.value)
