"""More than two domains, and data that is not what its folders say."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.bundle import ConfigWorkflow

from tests.bundles.conftest import Trained
from tests.bundles.tiny import ROOT, TINY, importable, prepared, read
from transmodal.errors import InputError
from transmodal.phantom import write_phantoms

BUNDLE = ROOT / "bundles" / "ct_mr_stargan_translation"
DOMAINS = ("ct", "t1", "t2")
ROW = TINY[BUNDLE.name]


def run(config: str, data: Path, folder: Path, **ids: Any) -> ConfigWorkflow:
    """Run a config with three domains in small; results, weights included, go into one folder."""
    files = {"bundle_root": BUNDLE, "dataset_dir": data, "output_dir": folder, "ckpt_path": folder / "model.pt"}
    files = {"device": "cpu", **{name: str(path) for name, path in files.items()}}
    workflow = ConfigWorkflow(
        config_file=[str(BUNDLE / "configs" / f"{name}.json") for name in (config, "ct_t1_t2")],
        workflow_type="train" if config == "train" else "infer",
        logging_file=False,
        **{**files, **ROW.network, **(ROW.training if config == "train" else {}), **ids},
    )
    with importable(BUNDLE):
        workflow.initialize()
        workflow.run()
        workflow.finalize()
    return workflow


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Three cases of three domains, of which one lacks a file, and the weights of a training on them."""
    data, folder = tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("trained")
    write_phantoms(data, cases=3, shape=(24, 26, 2), modalities=(*DOMAINS, "mask"))
    (data / "phantom_000" / "t2.nii.gz").unlink()
    split = {"cases#validation": ["phantom_002"], "cases#test": 0}
    workflow = run("train", data, folder, **split)
    assert workflow.parser.get_parsed_content("train#trainer").state.iteration == 6  # 3 domains of 4 slices, in twos
    return data, folder / "model.pt"


def test_the_generator_has_a_label_for_each_of_three_domains(trained: tuple[Path, Path]) -> None:
    weights = torch.load(trained[1], weights_only=True)
    assert weights["generator.stem.conv.weight"].shape[1] == 1 + 3


@pytest.mark.parametrize(("source", "target"), [(a, b) for a in DOMAINS for b in DOMAINS if a != b])
def test_every_direction_of_three_domains_is_made(
    source: str, target: str, trained: tuple[Path, Path], tmp_path: Path
) -> None:
    data, weights = trained
    run("inference", data, tmp_path, source=source, target=target, ckpt_path=str(weights))
    made, _ = read(tmp_path / "phantom_002" / f"{target}.nii.gz")
    given, _ = read(data / "phantom_002" / f"{source}.nii.gz")
    assert made.shape == given.shape
    assert made.dtype == (np.int16 if target == "ct" else np.float32)


def test_two_targets_of_one_image_differ(trained: tuple[Path, Path], tmp_path: Path) -> None:
    data, weights = trained
    made = []
    for target in ("t1", "t2"):
        run("inference", data, tmp_path, source="ct", target=target, ckpt_path=str(weights))
        made.append(read(tmp_path / "phantom_002" / f"{target}.nii.gz")[0])
    assert np.abs(made[0] - made[1]).max() > 0


def test_weights_for_domains_in_another_order_are_refused(trained: tuple[Path, Path], tmp_path: Path) -> None:
    data, weights = trained
    with pytest.raises(RuntimeError) as caught:  # MONAI's
        run("inference", data, tmp_path, domains=["t1", "ct", "t2"], ckpt_path=str(weights))
    error = caught.value.__cause__
    assert isinstance(error, InputError)
    assert error.found == "a network for the domains ct, t1, t2"
    assert list(tmp_path.iterdir()) == []


def test_folders_of_one_modality_are_no_two_domains(train_once: Callable[[Path], Trained], tmp_path: Path) -> None:
    """The published study's data root was one level too high: its two domains were the folders test and train."""
    data = tmp_path / "data"
    shutil.copytree(train_once(BUNDLE).data, data)
    for case in data.iterdir():
        shutil.copy(case / "ct.nii.gz", case / "mr.nii.gz")
    files = {"dataset_dir": str(data), "output_dir": str(tmp_path / "output"), "ckpt_path": str(tmp_path / "model.pt")}
    workflow = prepared(BUNDLE, "train", **files)
    with importable(BUNDLE), pytest.raises(RuntimeError) as caught:
        workflow.parser.get_parsed_content("train#dataset")
    error = caught.value.__cause__
    assert isinstance(error, InputError)
    assert "the same content in the domains" in error.found
    assert not (tmp_path / "model.pt").exists()


@pytest.mark.parametrize("keep_body", [True, False])
def test_a_mask_file_bounds_what_is_translated(keep_body: bool, trained: tuple[Path, Path], tmp_path: Path) -> None:
    """The left half of the slice is body, says the file; the other half is air, unless masks are switched off."""
    data, case = tmp_path / "data", tmp_path / "data" / "phantom_002"
    shutil.copytree(trained[0] / "phantom_002", case)
    image = nib.load(case / "t1.nii.gz")
    half = np.zeros(image.shape, np.uint8)
    half[: image.shape[0] // 2] = 1
    nib.save(nib.Nifti1Image(half, image.affine), case / "mask.nii.gz")
    ids = {"source": "t1", "target": "ct", "body_from": "mask", "keep_body": keep_body, "pixdim": [-1.0, -1.0, -1.0]}
    run("inference", data, tmp_path / "made", ckpt_path=str(trained[1]), **ids)
    made, _ = read(tmp_path / "made" / "phantom_002" / "ct.nii.gz")
    assert bool((made[half == 0] == -1000).all()) is keep_body
    assert made[half == 1].max() > -1000
