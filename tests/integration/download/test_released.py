"""What this checkout releases, packed: the zip's plain inference.json is what the weights need."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from monai.bundle import ConfigParser

from contract import Bundle
from contract.running import network_of
from releasing.building import Hosting, build
from releasing.checking import problems_of
from releasing.weights import FOLDER, released
from translating.model import model_of
from transmodal.checkpoints import load_weights
from transmodal.phantom import write_phantoms

NAMES = sorted(path.parent.name for path in FOLDER.glob("*/weights.json"))
TRANSLATING = "ct_mr_cyclegan_translation"


@pytest.fixture(scope="module")
def unpacked(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Every released bundle as its zip unpacks."""
    folder, got = tmp_path_factory.mktemp("release") / "dist", tmp_path_factory.mktemp("unpacked")
    build(folder, [Bundle(root / "bundles" / name) for name in NAMES], Hosting(owner="someone"), FOLDER)
    assert list(problems_of(folder)) == []
    for archive in folder.glob("*.zip"):
        shutil.unpack_archive(archive, got)
    yield got
    shutil.rmtree(got)
    shutil.rmtree(folder)


@pytest.mark.parametrize("name", NAMES)
def test_its_network_takes_the_weights_without_any_overlay(unpacked: Path, name: str) -> None:
    bundle = Bundle(unpacked / name)
    with bundle.importable():
        load_weights(network_of(bundle), bundle.weights)


@pytest.mark.parametrize("name", NAMES)
def test_it_claims_the_scores_of_its_weights_and_names_the_licence_of_their_data(unpacked: Path, name: str) -> None:
    weights, bundle = released()[name], Bundle(unpacked / name)
    assert bundle.metadata["eval_metrics"] == weights.eval_metrics
    text = (bundle.root / "docs" / "data_license.txt").read_text(encoding="utf-8")
    assert weights.record["training"]["licence"] in text
    assert "no weight" not in text.lower()


@pytest.mark.parametrize("name", NAMES)
def test_it_tells_the_direction_and_the_data_of_its_weights(unpacked: Path, name: str) -> None:
    bundle = Bundle(unpacked / name)
    assert bundle.metadata["data_source"] == released()[name].record["training"]["data"]
    parser = ConfigParser(json.loads((bundle.configs / "inference.json").read_text(encoding="utf-8")))
    if "sources" not in parser:
        return
    with bundle.importable():
        sources, target = parser.get_parsed_content("sources"), parser.get_parsed_content("target")
    assert bundle.metadata["translation"]["directions"] == [[*sources, target]]
    channels = bundle.metadata["network_data_format"]["inputs"]["image"]["channel_def"]
    assert [title.split()[0].lower() for title in channels.values()] == [name.replace("t1ce", "t1") for name in sources]


@pytest.mark.skipif(TRANSLATING not in NAMES, reason="its weights are not released")
def test_it_translates_as_the_checkout_does_with_overlay_and_ids(root: Path, unpacked: Path, tmp_path: Path) -> None:
    write_phantoms(tmp_path / "data", cases=1, seed=1000, shape=(48, 48, 4), modalities=("mr",))
    made = []
    for home in (root / "bundles" / TRANSLATING, unpacked / TRANSLATING):
        output = tmp_path / f"output_{len(made)}"
        with model_of(home).opened(dataset_dir=str(tmp_path / "data"), output_dir=str(output), source="mr") as workflow:
            workflow.run()
        made.append(nib.load(next(output.rglob("ct.nii.gz"))).get_fdata())
    np.testing.assert_array_equal(made[0], made[1])
    assert made[0].std() > 10
