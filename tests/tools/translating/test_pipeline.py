"""One scan through the pipeline: whatever kind it is, it ends in a complete folder or in none."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from contract.bundle import Bundle
from importing.layers import Layers
from tests.bundles.tiny import TINY
from tests.packaging.tiny import edit
from tests.parity.fill import fill
from tests.tools.translating.scans import AFFINE, ct_values, mr_values, write_picture, write_volume
from translating import picture
from translating.inputs import Scan
from translating.masks import NoMask
from translating.model import model_of
from translating.models import Models
from translating.pipeline import Pipeline, Wishes
from transmodal.checkpoints import save_weights
from transmodal.files import sha256_of
from transmodal.modality import Verdict
from transmodal.trained_range import TrainedRange, range_beside

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
    assert record["outputs"]["mr.nii.gz"]["sha256"] == sha256_of(folder / "mr.nii.gz")
    assert record["modality"]["by"] == "hounsfield"
    assert record["versions"].keys() >= {"transmodal", "monai", "torch", "numpy", "python", "nibabel", "pydicom", "itk"}
    assert record["effective"] == {"seed": None, "samples": None, "device": "cpu", "device_name": None}
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
    assert outcome.traceback == ""
    assert list((tmp_path / "results").iterdir()) == []


def test_the_traceback_of_a_program_error_is_kept_until_the_next_try(
    pipeline: Make, ct: Scan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError("of the program")

    with monkeypatch.context() as patched:
        patched.setattr(picture, "draw", broken)
        outcome = pipeline()(ct)
    assert (outcome.status, outcome.text) == ("failed", "KeyError: 'of the program'")
    assert outcome.traceback == str(tmp_path / "results" / "knee.error.txt")
    text = Path(outcome.traceback).read_text(encoding="utf-8")
    assert "in broken" in text
    assert "in _present" in text
    assert visible(tmp_path / "results") == ["knee.error.txt"]
    assert pipeline()(ct).status == "translated"
    assert not Path(outcome.traceback).exists()


def test_a_seed_that_changes_nothing_is_told(pipeline: Make, ct: Scan) -> None:
    warnings = pipeline(seed=3, masks=NoMask())(ct).warnings
    assert any(warning.startswith("--seed 3 changes nothing") for warning in warnings)


def test_samples_of_a_bundle_that_draws_none_are_refused(pipeline: Make, ct: Scan) -> None:
    outcome = pipeline(samples=4)(ct)
    assert outcome.status == "failed"
    assert "--samples 4: found ct_mr_cyclegan_translation, which draws nothing at random" in outcome.text


def test_the_input_stays_as_it_is(pipeline: Make, ct: Scan) -> None:
    before = sha256_of(ct.path)
    pipeline()(ct)
    assert sha256_of(ct.path) == before
    assert not ct.path.is_symlink()


@pytest.fixture
def drawing(root: Path, tmp_path: Path) -> Models:
    """SynDiff, tiny: a bundle that draws."""
    syndiff, weights = root / "bundles" / "ct_mr_syndiff_translation", tmp_path / "drawn.pt"
    layers = Layers(Bundle(syndiff), (), TINY[syndiff.name].network)
    with layers.bundle.importable():
        save_weights(fill(layers.parser.get_parsed_content("network_def").state_dict()), weights)
    return Models([model_of(syndiff, ckpt_path=weights, ids={**layers.ids, "device": "cpu"})])


def test_samples_of_a_bundle_that_draws_give_their_deviation_and_follow_the_seed(
    ct: Scan, drawing: Models, tmp_path: Path
) -> None:
    made = {}
    for seed in (1, 2):
        outcome = Pipeline(drawing, Wishes(seed=seed, samples=2), tmp_path / f"results_{seed}")(ct)
        assert outcome.status == "translated", outcome.text
        folder = tmp_path / f"results_{seed}" / "knee"
        made[seed] = np.asanyarray(nibabel.load(folder / "mr.nii.gz").dataobj)
        assert np.asanyarray(nibabel.load(folder / "mr_std.nii.gz").dataobj).max() > 0
        effective = record_of(folder)["effective"]
        assert (effective["seed"], effective["samples"]) == (seed, 2)
    assert (made[1] != made[2]).any()


def test_a_seed_that_is_not_given_is_recorded_as_the_bundle_has_it(ct: Scan, drawing: Models, tmp_path: Path) -> None:
    outcome = Pipeline(drawing, Wishes(samples=2), tmp_path / "results")(ct)
    assert outcome.status == "translated", outcome.text
    record = record_of(tmp_path / "results" / "knee")
    assert record["request"]["seed"] is None
    assert record["effective"]["seed"] == 0


def test_what_lies_outside_of_the_training_is_told_wherever_the_result_is(
    pipeline: Make, ct: Scan, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Figure] = []
    save = Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda figure, *args, **how: (drawn.append(figure), save(figure, *args, **how))
    )
    bundle = tmp_path / "of_thin_slices" / tiny.name
    shutil.copytree(tiny, bundle)
    thin = {"ct": {"volumes": 2, "units": "HU", "range": {"slice_mm": [0.4, 0.5]}}}
    TrainedRange(thin).save(range_beside(bundle / "models" / "model.pt"))
    outcome = pipeline(bundle)(ct)
    (warning,) = (warning for warning in outcome.warnings if warning.startswith("unlike the training: "))
    assert "slice spacing" in warning
    assert warning in record_of(tmp_path / "results" / "knee")["warnings"]
    shown = " ".join(text.get_text().strip() for figure in drawn for text in figure.texts)
    assert f"! {warning}" in shown
