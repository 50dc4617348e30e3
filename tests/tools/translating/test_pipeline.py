"""One scan through the pipeline: whatever kind it is, it ends in a complete folder or in none."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
import pytest
import torch

from contract.bundle import Bundle
from importing.layers import Layers
from tests.bundles.tiny import TINY
from tests.packaging.tiny import edit
from tests.parity.fill import fill
from tests.tools.translating.scans import AFFINE, ct_values, mr_values, write_dicom, write_picture, write_volume
from translating.inputs import Scan, find_scans
from translating.masks import NoMask
from translating.models import Models, model_of
from translating.pipeline import Pipeline, Wishes
from transmodal.checkpoints import save_weights
from transmodal.files import sha256_of
from transmodal.modality import Verdict

Make = Callable[..., Pipeline]
CT, MR = ct_values(), mr_values()


@pytest.fixture
def ct(tmp_path: Path) -> Scan:
    return Scan("knee", write_volume(tmp_path / "knee.nii.gz", CT))


@pytest.fixture
def mr(tmp_path: Path) -> Scan:
    return Scan("p1", write_volume(tmp_path / "p1" / "mr.nii.gz", MR), named="mr")


def record_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "provenance.json").read_text(encoding="utf-8"))


def visible(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_ct_becomes_an_mr_on_its_own_grid(pipeline: Make, ct: Scan, tmp_path: Path) -> None:
    outcome = pipeline()(ct)
    assert outcome.status == "translated", outcome.text
    made = nibabel.load(tmp_path / "results" / "knee" / "mr.nii.gz")
    assert made.shape == CT.shape
    np.testing.assert_allclose(made.affine, AFFINE)
    values = np.asanyarray(made.dataobj)
    assert values.dtype == np.float32
    assert 0 <= values.min() < values.max() <= 1000


def test_an_mr_becomes_a_ct_in_hounsfield_units(pipeline: Make, mr: Scan, tmp_path: Path) -> None:
    outcome = pipeline()(mr)
    assert outcome.status == "translated", outcome.text
    values = np.asanyarray(nibabel.load(tmp_path / "results" / "p1" / "ct.nii.gz").dataobj)
    assert values.dtype == np.int16
    assert -1000 <= values.min() < values.max() <= 2000


def test_a_case_is_its_translation_its_mask_a_picture_and_a_record(pipeline: Make, ct: Scan, tmp_path: Path) -> None:
    pipeline()(ct)
    assert visible(tmp_path / "results") == [
        "knee/mask.nii.gz",
        "knee/mr.nii.gz",
        "knee/provenance.json",
        "knee/qc.png",
    ]


def test_the_record_tells_what_was_made_from_what_by_what(pipeline: Make, ct: Scan, tiny: Path, tmp_path: Path) -> None:
    pipeline(command={"output": "results"})(ct)
    folder = tmp_path / "results" / "knee"
    record = record_of(folder)
    request = record["request"]
    assert request["inputs"] == {"knee.nii.gz": sha256_of(ct.path)}
    assert (request["source"], request["target"]) == ("ct", "mr")
    assert request["model"]["bundle"] == "ct_mr_cyclegan_translation"
    assert request["model"]["weights_sha256"] == sha256_of(tiny / "models" / "model.pt")
    assert request["model"]["configs"] == {"inference.json": sha256_of(tiny / "configs" / "inference.json")}
    assert record["outputs"]["mr.nii.gz"] == sha256_of(folder / "mr.nii.gz")
    assert record["modality"]["by"] == "hounsfield"
    assert record["versions"].keys() >= {"transmodal", "monai", "torch", "numpy", "python"}
    assert record["command"] == {"output": "results"}
    assert record["mark"] == "synthetic image, research use only"


def test_the_output_is_that_of_the_bundle_run_by_itself(pipeline: Make, mr: Scan, tiny: Path, tmp_path: Path) -> None:
    made = pipeline()
    made(mr)
    (model,) = made.models.candidates
    with model.opened(dataset_dir=str(mr.path), output_dir=str(tmp_path / "alone"), source="mr") as alone:
        alone.run()
    expected = np.asanyarray(nibabel.load(tmp_path / "alone" / "p1" / "ct.nii.gz").dataobj)
    found = np.asanyarray(nibabel.load(tmp_path / "results" / "p1" / "ct.nii.gz").dataobj)
    np.testing.assert_array_equal(found, expected)


def test_the_mask_is_the_body(pipeline: Make, ct: Scan, tmp_path: Path) -> None:
    pipeline()(ct)
    mask = np.asanyarray(nibabel.load(tmp_path / "results" / "knee" / "mask.nii.gz").dataobj)
    assert mask.dtype == np.uint8
    assert np.mean(mask == (CT > -500)) > 0.97


def test_without_a_mask_none_is_written(pipeline: Make, ct: Scan, tmp_path: Path) -> None:
    outcome = pipeline(masks=NoMask())(ct)
    assert outcome.status == "translated", outcome.text
    assert not (tmp_path / "results" / "knee" / "mask.nii.gz").exists()


def test_a_bundle_that_takes_a_mask_gets_it(pipeline: Make, mr: Scan, tiny: Path, tmp_path: Path) -> None:
    class Corner:
        identity = "corner"

        def __call__(self, image: Any, *_: Any) -> np.ndarray:
            mask = np.zeros(image.shape[1:], np.uint8)
            mask[:4, :4] = 1
            return mask

    bundle = tmp_path / "taking" / tiny.name
    shutil.copytree(tiny, bundle)

    def take(config: dict[str, Any]) -> None:
        config["body_from"] = None
        config["data"]["keys"]["body_image"] = "@body_from"

    edit(bundle, "inference", take)
    pipeline(bundle)(mr)
    automatic = np.asanyarray(nibabel.load(tmp_path / "results" / "p1" / "ct.nii.gz").dataobj)
    outcome = pipeline(bundle, masks=Corner(), force=True)(mr)  # percentiles of a corner are those of air
    assert outcome.status == "translated", outcome.text
    cornered = np.asanyarray(nibabel.load(tmp_path / "results" / "p1" / "ct.nii.gz").dataobj)
    assert (cornered != automatic).mean() > 0.5
    assert np.asanyarray(nibabel.load(tmp_path / "results" / "p1" / "mask.nii.gz").dataobj).sum() == 4 * 4 * 3


def test_a_dicom_series_becomes_a_dicom_series(pipeline: Make, tmp_path: Path) -> None:
    write_dicom(tmp_path / "study" / "leg", CT)
    (scan,), _ = find_scans(tmp_path / "study")
    outcome = pipeline()(scan)
    assert outcome.status == "translated", outcome.text
    folder = tmp_path / "results" / "leg"
    headers = [pydicom.dcmread(file) for file in sorted((folder / "dicom").glob("*.dcm"))]
    assert len(headers) == CT.shape[2]
    assert {header.Modality for header in headers} == {"MR"}
    assert {header.StudyInstanceUID for header in headers} == {"1.2"}
    assert record_of(folder)["modality"]["by"] == "dicom"
    assert len(record_of(folder)["request"]["inputs"]) == CT.shape[2]


def test_a_series_with_a_missing_slice_is_refused(pipeline: Make, tmp_path: Path) -> None:
    write_dicom(tmp_path / "study", ct_values((24, 26, 5)))
    (tmp_path / "study" / "1.2.3.3.dcm").unlink()
    (scan,), _ = find_scans(tmp_path / "study")
    outcome = pipeline()(scan)
    assert outcome.status == "failed"
    assert "1 missing slices" in outcome.text
    assert visible(tmp_path / "results") == []


def test_a_slice_is_translated(pipeline: Make, tmp_path: Path) -> None:
    scan = Scan("slice", write_picture(tmp_path / "slice.png", MR[..., 1] / 4))
    outcome = pipeline(stated="mr")(scan)
    assert outcome.status == "translated", outcome.text
    assert nibabel.load(tmp_path / "results" / "slice" / "ct.nii.gz").shape == (26, 24, 1)


def test_an_input_that_is_the_target_already_is_left_out(pipeline: Make, ct: Scan, tmp_path: Path) -> None:
    outcome = pipeline(target="ct")(ct)
    assert (outcome.status, outcome.text[:16]) == ("left out", "it already is CT")
    assert visible(tmp_path / "results") == []


def test_an_input_nothing_tells_the_modality_of_is_refused_with_the_remedy(pipeline: Make, tmp_path: Path) -> None:
    outcome = pipeline()(Scan("what", write_volume(tmp_path / "what.nii.gz", MR)))
    assert outcome.status == "failed"
    assert "no telling whether it is CT or MR" in outcome.text
    assert "--from ct or --from mr, or give --classifier" in outcome.text


def test_a_modality_that_is_stated_is_not_asked_for(pipeline: Make, tmp_path: Path) -> None:
    outcome = pipeline(stated="mr")(Scan("what", write_volume(tmp_path / "what.nii.gz", MR)))
    assert outcome.status == "translated", outcome.text
    assert record_of(tmp_path / "results" / "what")["modality"]["by"] == "stated"


def test_a_name_that_contradicts_the_values_is_refused(pipeline: Make, tmp_path: Path) -> None:
    scan = Scan("p1", write_volume(tmp_path / "p1" / "mr.nii.gz", CT), named="mr")
    outcome = pipeline()(scan)
    assert outcome.status == "failed"
    assert "an image that is CT by its hounsfield" in outcome.text


def test_a_modality_that_only_the_network_tells_is_a_warning(pipeline: Make, tmp_path: Path) -> None:
    def network(image: torch.Tensor) -> Verdict:
        return Verdict("mr" if image.max() < 950 else "ct", "network", 0.83, "it looks so")

    outcome = pipeline(classifier=network)(Scan("what", write_volume(tmp_path / "what.nii.gz", MR)))
    assert any("only a network says, probability 0.83" in warning for warning in outcome.warnings), outcome
    assert record_of(tmp_path / "results" / "what")["warnings"] == list(outcome.warnings)


def test_a_bad_case_leaves_nothing_and_names_its_own_file(pipeline: Make, tmp_path: Path) -> None:
    scan = Scan("flat", write_volume(tmp_path / "flat.nii.gz", np.full((16, 16, 2), 7, np.float32)))
    outcome = pipeline()(scan)
    assert outcome.status == "failed"
    assert outcome.text.startswith(f"{tmp_path / 'flat.nii.gz'}: found a constant image")
    assert list((tmp_path / "results").iterdir()) == []


def test_a_finished_case_is_not_made_again(pipeline: Make, ct: Scan, tmp_path: Path) -> None:
    pipeline()(ct)
    before = (tmp_path / "results" / "knee" / "qc.png").stat().st_mtime_ns
    assert pipeline()(ct).status == "finished before"
    assert (tmp_path / "results" / "knee" / "qc.png").stat().st_mtime_ns == before


def test_another_request_does_not_replace_a_result_unless_forced(pipeline: Make, ct: Scan, tmp_path: Path) -> None:
    pipeline()(ct)
    other = {"slice_batch": 2}
    refused = pipeline(ids=other)(ct)
    assert refused.status == "failed"
    assert "not what is asked for: another model" in refused.text
    assert pipeline(ids=other, force=True)(ct).status == "translated"
    assert record_of(tmp_path / "results" / "knee")["request"]["model"]["ids"]["slice_batch"] == 2
    assert [path.name for path in (tmp_path / "results").iterdir()] == ["knee"]


def test_a_seed_that_changes_nothing_is_told(pipeline: Make, ct: Scan) -> None:
    (warning,) = pipeline(seed=3, masks=NoMask())(ct).warnings
    assert warning.startswith("--seed 3 changes nothing")


def test_samples_of_a_bundle_that_draws_none_are_refused(pipeline: Make, ct: Scan) -> None:
    outcome = pipeline(samples=4)(ct)
    assert outcome.status == "failed"
    assert "--samples 4: found ct_mr_cyclegan_translation, which draws nothing at random" in outcome.text


def test_the_input_stays_as_it_is(pipeline: Make, ct: Scan) -> None:
    before = sha256_of(ct.path)
    pipeline()(ct)
    assert sha256_of(ct.path) == before
    assert not ct.path.is_symlink()


def test_samples_of_a_bundle_that_draws_give_their_deviation_and_follow_the_seed(
    ct: Scan, root: Path, tmp_path: Path
) -> None:
    syndiff, weights = root / "bundles" / "ct_mr_syndiff_translation", tmp_path / "drawn.pt"
    layers = Layers(Bundle(syndiff), (), TINY[syndiff.name].network)
    with layers.bundle.importable():
        save_weights(fill(layers.parser.get_parsed_content("network_def").state_dict()), weights)
    models = Models([model_of(syndiff, ckpt_path=weights, ids={**layers.ids, "device": "cpu"})])
    made = {}
    for seed in (1, 2):
        outcome = Pipeline(models, Wishes(seed=seed, samples=2), tmp_path / f"results_{seed}")(ct)
        assert (outcome.status, outcome.warnings) == ("translated", ()), outcome
        folder = tmp_path / f"results_{seed}" / "knee"
        made[seed] = np.asanyarray(nibabel.load(folder / "mr.nii.gz").dataobj)
        assert np.asanyarray(nibabel.load(folder / "mr_std.nii.gz").dataobj).max() > 0
    assert (made[1] != made[2]).any()
