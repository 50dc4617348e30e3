"""Where the body comes from."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from monai.bundle import ConfigWorkflow

from tests.packaging.tiny import edit
from tests.tools.translating.scans import ct_values, mr_values, write_volume
from translating.inputs import Scan
from translating.masks import AutomaticMask, NoMask, SegmentedMask
from translating.model import model_of
from translating.staging import Stage
from transmodal.errors import InputError

CT = ct_values()


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    path = write_volume(tmp_path / "knee.nii.gz", CT)
    stage = Stage(tmp_path / "work" / "stage", Scan("knee", path), path)
    return stage


@pytest.fixture
def workflow(tiny: Path) -> Iterator[ConfigWorkflow]:
    with model_of(tiny, ids={"device": "cpu", "body#ct#threshold": 200}).opened(source="ct") as opened:
        yield opened


def test_the_automatic_mask_is_found_by_the_finder_of_the_bundle(stage: Stage, workflow: ConfigWorkflow) -> None:
    mask = AutomaticMask()(stage.read(), "ct", stage, workflow)
    assert np.mean((mask > 0) == (CT > 200)) > 0.97


def test_no_mask_is_none(stage: Stage, workflow: ConfigWorkflow) -> None:
    assert NoMask()(stage.read(), "ct", stage, workflow) is None


@pytest.fixture
def segmenting(tiny: Path, tmp_path: Path) -> SegmentedMask:
    """A stand-in for it: the translating bundle, its output named mask, which is not zero but in the air."""
    bundle = tmp_path / "ct_mr_tiny_segmentation"
    shutil.copytree(tiny, bundle)

    def name_it_mask(config: dict[str, Any]) -> None:
        saving = config["postprocessing"]["transforms"][-1]
        saving["folder_layout"]["name"] = "mask"

    edit(bundle, "inference", name_it_mask)
    return SegmentedMask(model_of(bundle, ids={"device": "cpu"}))


def test_a_bundle_that_segments_gives_its_mask(
    stage: Stage, segmenting: SegmentedMask, tmp_path: Path, workflow: Any
) -> None:
    image = stage.read()
    stage.name("ct", image)
    mask = segmenting(image, "ct", stage, workflow)
    written = nibabel.load(tmp_path / "work" / "segmentation" / "knee" / "mask.nii.gz")
    np.testing.assert_array_equal(mask, np.asanyarray(written.dataobj) > 0)
    assert json.dumps(segmenting.identity)


def test_a_contrast_is_mr_to_a_bundle_that_segments(segmenting: SegmentedMask, tmp_path: Path, workflow: Any) -> None:
    path = write_volume(tmp_path / "head.nii.gz", mr_values())
    stage = Stage(tmp_path / "work" / "stage", Scan("head", path), path)
    image = stage.read()
    stage.name("t1", image)
    assert segmenting(image, "t1", stage, workflow).any()


def test_a_bundle_that_writes_no_mask_is_refused(stage: Stage, tiny: Path, workflow: ConfigWorkflow) -> None:
    image = stage.read()
    stage.name("ct", image)
    with pytest.raises(InputError, match=r"a bundle that wrote no <case>/mask\.nii\.gz"):
        SegmentedMask(model_of(tiny, ids={"device": "cpu"}))(image, "ct", stage, workflow)
