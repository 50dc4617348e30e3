"""Figures of a model card: which cases are shown, from which files, and what is refused."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

import make_figures
from make_figures import evaluation, files, main
from transmodal.errors import InputError

SHAPE = (32, 28, 6)
MEASURES = {"mae": {"unit": "HU", "higher_is_better": False}, "psnr": {"unit": "dB", "higher_is_better": True}}
MAE = {"case_a": 30.0, "case_b": 90.0, "case_c": 60.0, "case_d": 10.0}


def save(path: Path, values: np.ndarray, spacing: float = 2.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(values.astype(np.float32), np.diag([-spacing, -spacing, spacing, 1.0])), path)
    return path


def body() -> np.ndarray:
    """A bright ellipse in the dark, 0 to 1."""
    x, y, _ = np.meshgrid(*(np.linspace(-1, 1, size) for size in SHAPE), indexing="ij")
    return np.where(x**2 + y**2 < 0.6, 1.0 - 0.5 * x**2, 0.0)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    for case in MAE:
        save(tmp_path / "data" / case / "mr.nii.gz", 800 * body())
        save(tmp_path / "data" / case / "ct.nii.gz", 1060 * body() - 1000)
    return tmp_path / "data"


@pytest.fixture
def results(tmp_path: Path) -> Path:
    folder = tmp_path / "results"
    for case, error in MAE.items():
        save(folder / case / "ct.nii.gz", 1060 * body() - 1000 + error * (body() > 0))
    (folder / "summary.json").write_text(json.dumps({"protocol": {"measures": MEASURES}}))
    rows = [f"{case},model,{error},{100 - error},0.1" for case, error in MAE.items()]
    rows += [f"{case},identity,1.0,1.0," for case in MAE]
    (folder / "metrics.csv").write_text("\n".join(["case,method,mae,psnr,ssim_to_input", *rows]))
    return folder


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What is handed to the drawing, instead of a picture."""
    calls: list[dict[str, Any]] = []
    monkeypatch.setattr(
        make_figures, "draw_translations", lambda views, path, **told: calls.append({**told, "views": views})
    )
    return calls


def test_each_plane_of_a_case_is_a_row(
    results: Path, dataset: Path, tmp_path: Path, drawn: list[dict[str, Any]]
) -> None:
    evaluation(
        str(results), str(dataset), str(tmp_path / "figure.png"), cases=["case_a"], planes="axial,coronal,sagittal"
    )
    views = drawn[0]["views"]
    assert [view.case for view in views] == [f"case_a\n{plane}" for plane in ("axial", "coronal", "sagittal")]
    assert [bool(view.note) for view in views] == [True, False, False]
    assert [view.source.shape[0] for view in views] == [views[0].source.shape[0], 6, 6]


def test_an_evaluation_is_drawn_by_its_best_median_and_worst_case(
    results: Path, dataset: Path, tmp_path: Path, drawn: list[dict[str, Any]]
) -> None:
    evaluation(str(results), str(dataset), str(tmp_path / "figure.png"))
    views = drawn[0]["views"]
    assert [view.case for view in views] == ["case_d\n(best)", "case_a\n(median)", "case_b\n(worst)"]
    assert [view.note for view in views] == ["MAE 10 HU", "MAE 30 HU", "MAE 90 HU"]


def test_where_higher_is_better_the_highest_is_the_best(
    results: Path, dataset: Path, tmp_path: Path, drawn: list[dict[str, Any]]
) -> None:
    measures = {"mae": {"unit": "", "higher_is_better": True}}
    (results / "summary.json").write_text(json.dumps({"protocol": {"measures": measures}}))
    evaluation(str(results), str(dataset), str(tmp_path / "figure.png"))
    assert drawn[0]["views"][0].case == "case_b\n(best)"


def test_named_cases_are_drawn_in_their_order(
    results: Path, dataset: Path, tmp_path: Path, drawn: list[dict[str, Any]]
) -> None:
    evaluation(str(results), str(dataset), str(tmp_path / "figure.png"), cases=["case_c", "case_a"])
    assert [view.case for view in drawn[0]["views"]] == ["case_c", "case_a"]


def test_a_single_case_has_one_row(results: Path, dataset: Path, tmp_path: Path, drawn: list[dict[str, Any]]) -> None:
    table = (results / "metrics.csv").read_text().splitlines()
    (results / "metrics.csv").write_text("\n".join(table[:2]))
    evaluation(str(results), str(dataset), str(tmp_path / "figure.png"))
    assert [view.case for view in drawn[0]["views"]] == ["case_a\n(best and median and worst)"]


def test_the_error_is_the_translation_minus_the_target(
    results: Path, dataset: Path, tmp_path: Path, drawn: list[dict[str, Any]]
) -> None:
    evaluation(str(results), str(dataset), str(tmp_path / "figure.png"), cases=["case_c"])
    (view,) = drawn[0]["views"]
    np.testing.assert_allclose((view.translated - view.target)[view.body], 60.0, rtol=0, atol=1e-3)


def test_a_deviation_beside_a_translation_is_shown(
    results: Path, dataset: Path, tmp_path: Path, drawn: list[dict[str, Any]]
) -> None:
    save(results / "case_a" / "ct_std.nii.gz", 25 * body())
    evaluation(str(results), str(dataset), str(tmp_path / "figure.png"), cases=["case_a", "case_b"])
    files(str(dataset / "case_a/mr.nii.gz"), str(results / "case_a/ct.nii.gz"), str(tmp_path / "figure.png"))
    certain, bare, single = *drawn[0]["views"], *drawn[1]["views"]
    assert certain.deviation.max() == pytest.approx(25, abs=0.5)
    assert bare.deviation is None
    np.testing.assert_array_equal(single.deviation, certain.deviation)


def test_a_deviation_on_another_grid_is_refused(results: Path, dataset: Path, tmp_path: Path) -> None:
    save(results / "case_a" / "ct_std.nii.gz", body(), spacing=3.0)
    with pytest.raises(InputError, match=r"found another grid than .*ct_std\.nii\.gz"):
        evaluation(str(results), str(dataset), str(tmp_path / "figure.png"), cases=["case_a"])


def test_an_mr_target_is_shown_on_the_scale_of_synthetic_mr(
    dataset: Path, tmp_path: Path, drawn: list[dict[str, Any]]
) -> None:
    case = dataset / "case_a"
    arguments = (str(case / "ct.nii.gz"), str(case / "mr.nii.gz"), str(tmp_path / "figure.png"))
    files(*arguments, target_file=str(case / "mr.nii.gz"), source="ct", target="mr")
    (view,) = drawn[0]["views"]
    assert drawn[0]["units"] == "a.u."
    assert drawn[0]["target_window"] == (0.0, 1000.0)
    assert view.target[view.body].max() == pytest.approx(1000, abs=20)


def test_a_picture_is_written_from_files_without_a_target(dataset: Path, results: Path, tmp_path: Path) -> None:
    path = files(
        str(dataset / "case_a" / "mr.nii.gz"),
        str(results / "case_a" / "ct.nii.gz"),
        str(tmp_path / "docs" / "figure.png"),
        window=(-200.0, 200.0),
    )
    assert path == tmp_path / "docs" / "figure.png"
    with Image.open(path) as picture:
        assert np.asarray(picture.convert("L")).std() > 10


def test_a_folder_without_an_evaluation_is_refused(tmp_path: Path, dataset: Path) -> None:
    with pytest.raises(InputError, match=r"metrics\.csv: found no such file; wanted the results of an evaluation"):
        evaluation(str(tmp_path), str(dataset), str(tmp_path / "figure.png"))


def test_a_case_that_the_data_lacks_is_refused(results: Path, dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"found no mr of case case_z; wanted the data of the evaluation"):
        evaluation(str(results), str(dataset), str(tmp_path / "figure.png"), cases=["case_z"])


def test_a_translation_on_another_grid_is_refused(results: Path, dataset: Path, tmp_path: Path) -> None:
    save(results / "case_a" / "ct.nii.gz", body(), spacing=3.0)
    with pytest.raises(InputError, match=r"mr\.nii\.gz: found another grid than .*ct\.nii\.gz"):
        evaluation(str(results), str(dataset), str(tmp_path / "figure.png"), cases=["case_a"])


def test_the_command_line_tells_an_error_without_a_traceback(
    tmp_path: Path, dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["make_figures.py", "evaluation", str(tmp_path), str(dataset), "figure.png"])
    with pytest.raises(SystemExit, match=r"metrics\.csv: found no such file"):
        main()
