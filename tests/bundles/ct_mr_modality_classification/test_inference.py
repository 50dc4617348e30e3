"""From files to verdicts: inference, evaluation, one process or two, and in the hands of MONAI Deploy."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from PIL import Image

from tests.bundles.conftest import Trained
from tests.bundles.ct_mr_modality_classification.conftest import BUNDLE
from tests.bundles.tiny import SPLIT, TINY, files_below, run
from tests.packaging.consumers import DeployOperator
from tests.processes import by_forks
from transmodal.errors import InputError
from transmodal.modality import CLASSES, ModalityClassifier, SliceVotes
from transmodal.phantom import Thigh, make_case


def judge(classifier: Trained, data: Path, output: Path, config: str = "inference", **ids: Any) -> Path:
    files = {"dataset_dir": str(data), "output_dir": str(output), "ckpt_path": str(classifier.weights)}
    run(BUNDLE, config, **files, **ids)
    return output


def images_of(output: Path, case: str) -> dict[str, Any]:
    content = json.loads((output / case / "modality.json").read_text())
    assert content["case"] == case
    return dict(content["images"])


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def judged(classifier: Trained, phantoms: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return judge(classifier, phantoms, tmp_path_factory.mktemp("judged"))


def test_every_case_gets_a_file_and_all_together_a_table(judged: Path) -> None:
    names = ["modality.csv", "phantom_000/modality.json", "phantom_001/modality.json"]
    assert sorted(files_below(judged)) == names
    rows = rows_of(judged / "modality.csv")
    assert [(row["case"], row["image"]) for row in rows[:4]] == [
        ("phantom_000", name) for name in ("ct", "mr", "t2", "xray")
    ]


def test_ct_in_hounsfield_units_is_told_whatever_the_network_says(judged: Path) -> None:
    ct = images_of(judged, "phantom_000")["ct"]
    assert (ct["modality"], ct["by"], ct["file"]) == ("ct", "hounsfield", "ct.nii.gz")
    assert ct["network"]["slices"] == sum(ct["network"]["votes"].values()) == 6


def test_the_networks_probability_is_that_of_the_classifier(judged: Path, classifier: Trained, phantoms: Path) -> None:
    """The class loads the same weights by their shapes; files are turned to RAS before, which flips slices."""
    network = ModalityClassifier.load(classifier.weights).network
    volume = torch.from_numpy(nib.load(phantoms / "phantom_001" / "t2.nii.gz").get_fdata(dtype=np.float32))
    scores = SliceVotes(size=16)(volume.flip(0, 1)[None, None], network)[0]
    told = images_of(judged, "phantom_001")["t2"]["network"]["probability_of_ct"]
    assert told == pytest.approx(scores[:, 0].tolist(), abs=1e-3)


def test_the_network_can_be_asked_alone(classifier: Trained, phantoms: Path, tmp_path: Path) -> None:
    output = judge(classifier, phantoms, tmp_path, evidence=["network"])
    assert {image["by"] for image in images_of(output, "phantom_000").values()} == {"network"}


def test_a_folder_of_pictures_is_judged(classifier: Trained, tmp_path: Path) -> None:
    mr = np.asarray(make_case(Thigh(), seed=2, shape=(40, 40, 3), modalities=["mr"])["mr"][0, :, :, 1])
    (tmp_path / "pictures").mkdir()
    for name in ("one", "two"):
        Image.fromarray((mr / mr.max() * 255).astype(np.uint8)).save(tmp_path / "pictures" / f"{name}.png")
    output = judge(classifier, tmp_path / "pictures", tmp_path / "output")
    assert [row["case"] for row in rows_of(output / "modality.csv")] == ["one", "two"]
    assert images_of(output, "one")["image"]["network"]["slices"] == 1


def test_a_real_dicom_folder_is_judged_by_its_header(classifier: Trained, shared: Path, tmp_path: Path) -> None:
    folder = shared / "data" / "dicom_ct_mr" / "MR_T1" / "image"
    mr = images_of(judge(classifier, folder, tmp_path), "image")["image"]
    assert (mr["modality"], mr["by"]) == ("mr", "dicom")


@pytest.fixture(scope="module")
def evaluated(classifier: Trained, phantoms: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return judge(classifier, phantoms, tmp_path_factory.mktemp("evaluated"), "evaluate")


def test_evaluation_tells_network_and_all_evidence_apart(evaluated: Path) -> None:
    summary = json.loads((evaluated / "summary.json").read_text())
    assert summary["files"]["network"]["n"] == summary["files"]["all evidence"]["n"] == 8
    assert summary["pictures"]["network"]["n"] == 6  # two CT in three windows
    assert summary["files"]["all evidence"]["classes"]["ct"]["sensitivity"] == 1.0
    assert summary["files"]["network"]["none_of_these"]["n"] == 2
    assert summary["files"]["network"]["auc_mr"]["n"] == 6
    assert summary["slices"]["n"] > 30
    assert summary["provenance"]["weights_sha256"]


def test_evaluation_writes_a_row_per_image_with_the_truth(evaluated: Path) -> None:
    rows = rows_of(evaluated / "metrics.csv")
    assert len(rows) == 14
    assert {row["truth"] for row in rows} == {*CLASSES, "neither"}
    assert [row["image"] for row in rows if row["case"] == "phantom_000"][:2] == ["ct", "ct, bone window"]


def test_a_picture_of_ct_is_not_judged_by_its_values(evaluated: Path) -> None:
    assert {row["by"] for row in rows_of(evaluated / "metrics.csv") if "window" in row["image"]} == {"network"}


def test_evaluation_draws_a_figure(evaluated: Path) -> None:
    with Image.open(evaluated / "figure.png") as figure:
        assert min(figure.size) > 300


def test_a_section_of_the_trainings_split_is_evaluated(classifier: Trained, tmp_path: Path) -> None:
    ids = {"datalist": str(classifier.output / SPLIT), "section": "validation", "windows": {}}
    output = judge(classifier, classifier.data, tmp_path, "evaluate", **ids)
    assert len({row["case"] for row in rows_of(output / "metrics.csv")}) == 1


@pytest.mark.slow
def test_two_processes_write_what_one_writes(judged: Path, classifier: Trained, phantoms: Path, tmp_path: Path) -> None:
    output = tmp_path / "output"
    files = {"dataset_dir": str(phantoms), "output_dir": str(output), "ckpt_path": str(classifier.weights)}
    configs = ["configs/inference.json", "configs/multi_gpu_inference.json"]
    by_forks(BUNDLE, configs, {**files, "device": "cpu", **TINY[BUNDLE.name].network}, tmp_path)
    assert files_below(output) == files_below(judged)


def test_deploy_gets_the_scores_of_a_slice(classifier: Trained, tmp_path: Path) -> None:
    """Of a volume it gets a row for each slice, where its operator expects one axis to fall away."""
    operator = deploy(classifier, tmp_path)
    image = np.random.default_rng(0).random((20, 24, 1)).astype(np.float32)
    scores = operator(image, np.diag([-1.0, -1.0, 1.0, 1.0]))
    expected = SliceVotes(size=16)(torch.from_numpy(image).flip(0, 1)[None, None], operator.network)  # type: ignore[arg-type]
    np.testing.assert_allclose(scores, expected[0, 0].detach().numpy(), atol=1e-5)


def deploy(classifier: Trained, folder: Path) -> DeployOperator:
    """The bundle in small in the hands of MONAI Deploy."""
    copy = folder / BUNDLE.name
    for name in ("inference", "metadata"):
        content = json.loads((BUNDLE / "configs" / f"{name}.json").read_text())
        content |= TINY[BUNDLE.name].network if name == "inference" else {}
        (copy / "configs").mkdir(parents=True, exist_ok=True)
        (copy / "configs" / f"{name}.json").write_text(json.dumps(content))
    (copy / "models").mkdir()
    (copy / "models" / "model.pt").write_bytes(classifier.weights.read_bytes())
    return DeployOperator(copy)


def chain(error: BaseException | None) -> list[BaseException]:
    return [] if error is None else [error, *chain(error.__cause__)]


def refusal(config: str, classifier: Trained, data: Path, output: Path, **ids: Any) -> InputError:
    """The one error of ours in what the user sees; nothing but the split may have been written."""
    given = {"ckpt_path": str(classifier.weights if config != "train" else output / "model.pt"), **ids}
    with pytest.raises(Exception) as caught:  # noqa: PT011  MONAI wraps errors in RuntimeError or leaves them
        run(BUNDLE, config, dataset_dir=str(data), output_dir=str(output), **given)
    (error,) = [each for each in chain(caught.value) if isinstance(each, InputError)]
    assert [name for name in files_below(output) if name != SPLIT and "tfevents" not in name] == []
    return error


@pytest.mark.parametrize("config", ["inference", "evaluate", "train"])
def test_an_image_that_cannot_be_read_is_named_and_nothing_is_written(
    config: str, classifier: Trained, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    for case in ("a", "b", "c"):
        (data / case).mkdir(parents=True)
        for name in ("ct", "mr"):
            source = classifier.data / "phantom_000" / f"{name}.nii.gz"
            (data / case / source.name).write_bytes(source.read_bytes()[: -200 if case == "b" else None])
    error = refusal(config, classifier, data, tmp_path / "output", **{"cases#test": 0} if config == "train" else {})
    assert f"b{os.sep}" in error.where
    assert "truncated" in error.remedy


@pytest.mark.parametrize("config", ["inference", "evaluate", "train"])
def test_an_empty_folder_is_refused(config: str, classifier: Trained, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    assert "an empty folder" in refusal(config, classifier, tmp_path / "data", tmp_path / "output").found


@pytest.mark.parametrize("absent", ["ct", "mr"])
def test_a_training_without_a_class_is_refused(absent: str, classifier: Trained, tmp_path: Path) -> None:
    other = {"ct": "mr", "mr": "ct"}[absent]
    for number in range(2):
        (tmp_path / "data" / f"{number}").mkdir(parents=True)
        source = classifier.data / f"phantom_00{number}" / f"{other}.nii.gz"
        (tmp_path / "data" / f"{number}" / source.name).write_bytes(source.read_bytes())
    error = refusal("train", classifier, tmp_path / "data", tmp_path / "output")
    assert f"none of the modality {absent}" in error.found


def test_weights_of_another_architecture_are_refused(classifier: Trained, tmp_path: Path) -> None:
    state = torch.load(classifier.weights, weights_only=True)
    torch.save({**state, "classifier.head.weight": torch.zeros(1)}, tmp_path / "other.pt")
    ids = {"ckpt_path": str(tmp_path / "other.pt")}
    error = refusal("inference", classifier, classifier.data, tmp_path / "output", **ids)
    assert "1 misshapen (classifier.head.weight" in error.found
