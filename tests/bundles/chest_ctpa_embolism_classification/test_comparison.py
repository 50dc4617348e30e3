"""Models side by side: on which cases, by which test, and from which weights."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import pytest
import torch
from embolism_bundle.comparison import Comparison
from embolism_bundle.predictions import Prediction, read_predictions, write_predictions
from monai.transforms import Compose
from PIL import Image

from tests.bundles.chest_ctpa_embolism_classification.conftest import prediction
from tests.bundles.conftest import Trained
from tests.bundles.tiny import ROOT, TINY, run
from transmodal.errors import InputError
from transmodal.metrics import delong_test
from transmodal.transforms import CheckedLoadImaged, EnsureVolumed, FieldOfViewd

BUNDLE = ROOT / "bundles" / "chest_ctpa_embolism_classification"


def rows(folder: Path, **told: list[Prediction]) -> dict[str, dict[str, Any]]:
    """A file of predictions for each row."""
    for name, predictions in told.items():
        write_predictions(folder / f"{name}.csv", predictions)
    return {name: {"predictions": str(folder / f"{name}.csv")} for name in told}


def scored(*probabilities: float, first: int = 0) -> list[Prediction]:
    """Cases in turns with and without the finding."""
    named = enumerate(probabilities, start=first)
    return [prediction(f"case_{number}", value, (number + 1) % 2) for number, value in named]


BETTER, WORSE = scored(0.9, 0.2, 0.8, 0.3, 0.7, 0.75), scored(0.6, 0.5, 0.3, 0.7, 0.8, 0.4)


def test_areas_are_compared_in_pairs_by_delongs_test(tmp_path: Path) -> None:
    given = rows(tmp_path, a=BETTER, b=WORSE, c=WORSE)
    summary = Comparison(given, tmp_path / "out").run()
    tested = delong_test(
        *(torch.tensor([each.probability for each in one]) for one in (BETTER, WORSE)), torch.tensor([1, 0] * 3)
    )
    assert tested is not None
    assert [(pair["first"], pair["second"]) for pair in summary["pairs"]] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert summary["pairs"][0]["p"] == pytest.approx(tested.p)
    assert summary["pairs"][0]["difference"] == pytest.approx(8 / 9 - 5 / 9)
    assert summary["pairs"][2]["p"] == 1.0


def test_only_common_cases_are_compared_and_own_ones_told_beside(tmp_path: Path) -> None:
    more = [*WORSE, *scored(0.1, 0.9, first=6)]
    summary = Comparison(rows(tmp_path, a=BETTER, b=more), tmp_path / "out").run()
    assert [summary[key]["b"]["cases"] for key in ("rows", "common_cases")] == [8, 6]
    with (tmp_path / "out" / "comparison.csv").open(encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert [(line["model"], line["cases"], line["n"]) for line in lines] == [
        ("a", "its own", "6"),
        ("b", "its own", "8"),
        ("a", "common", "6"),
        ("b", "common", "6"),
    ]


def test_rows_of_training_cases_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    seen = [prediction(each.case, each.probability, each.label, section="training") for each in WORSE]
    summary = Comparison(rows(tmp_path, a=BETTER, b=seen), tmp_path / "out").run()
    assert summary["rows"]["b"]["sections"] == {"training": 6}
    assert "b: 6 of 6 cases are TRAINING cases" in caplog.text
    assert "a: 6 of 6 cases are of UNKNOWN section" in caplog.text


def test_table_numbers_and_figure_are_written(tmp_path: Path) -> None:
    summary = Comparison(rows(tmp_path, a=BETTER, b=WORSE), tmp_path / "out", title="Chests").run()
    assert json.loads((tmp_path / "out" / "comparison.json").read_text(encoding="utf-8")) == summary
    with Image.open(tmp_path / "out" / "figure.png") as figure:
        assert figure.width > figure.height


def test_rows_without_a_common_case_are_refused(tmp_path: Path) -> None:
    given = rows(tmp_path, a=BETTER, b=scored(0.1, 0.2, first=20))
    with pytest.raises(InputError, match="found no common case"):
        Comparison(given, tmp_path / "out").run()


def test_rows_that_disagree_about_a_case_are_refused(tmp_path: Path) -> None:
    other = [prediction("case_0", 0.5, 0), *WORSE[1:]]
    with pytest.raises(InputError, match="found other labels of case_0"):
        Comparison(rows(tmp_path, a=BETTER, b=other), tmp_path / "out").run()


@pytest.mark.parametrize(
    ("given", "told"),
    [({"a": {"ckpt_path": "a.pt"}}, "1 rows"), ({"a": {}, "b": {"ckpt_path": ""}}, "no weights of a")],
)
def test_rows_that_cannot_be_compared_are_refused(given: dict[str, Any], told: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"'rows': found {told}"):
        Comparison(given, tmp_path)


def on_its_grid(ct: Path, to: Path) -> None:
    """Write a CT on the grid of the tiny network around its lungs, clipped to -200 to 500 HU."""
    load = Compose([CheckedLoadImaged("image", modality="ct"), EnsureVolumed("image")])
    place = FieldOfViewd("image", field_of_view=[320, 384, 384], grid=TINY[BUNDLE.name].network["grid"])
    image = place(load({"image": str(ct)}))["image"]
    to.parent.mkdir(parents=True)
    nib.save(nib.Nifti1Image(image[0].clamp(-200, 500).numpy(), image.affine.numpy()), to)


def test_one_command_evaluates_each_row_with_its_own_weights_and_images(
    train_once: Callable[[Path], Trained], tmp_path: Path
) -> None:
    """Both rows have the same weights; the images of the second are the first's on their grid, one case is missing.

    They are clipped as CT that was generated with the published window is, so that no lungs can be found in them, and
    are not moved: the window of the classifier makes both alike.
    """
    trained = train_once(BUNDLE)
    names = sorted(path.name for path in trained.data.iterdir() if path.is_dir())
    on_its_grid(trained.data / names[0] / "ct.nii.gz", tmp_path / "generated" / names[0] / "ct.nii.gz")
    (tmp_path / "small.json").write_text(json.dumps(dict(TINY[BUNDLE.name].network)))
    weights = str(trained.weights)
    run(
        BUNDLE,
        "compare",
        dataset_dir=str(trained.data),
        output_dir=str(tmp_path / "out"),
        overlays=[str(tmp_path / "small.json")],
        rows={
            "real": {"ckpt_path": weights},
            "generated": {"ckpt_path": weights, "images_dir": str(tmp_path / "generated")},
        },
    )
    real, generated = (read_predictions(tmp_path / "out" / name / "predictions.csv") for name in ("real", "generated"))
    assert ([each.case for each in real], [each.case for each in generated]) == (names, names[:1])
    assert generated[0].probability == pytest.approx(real[0].probability, rel=1e-6)
    assert (tmp_path / "out" / "comparison.csv").is_file()
