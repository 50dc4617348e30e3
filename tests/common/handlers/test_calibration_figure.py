"""The calibration figure: drawn for whatever bins there are, with axes that tell what they show."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.image import imread

from transmodal.handlers.calibration_figure import draw_calibration
from transmodal.metrics import CalibrationSums, reliability


def area(deviation: torch.Tensor, factor: float = 1.0) -> tuple[object, object]:
    sums = CalibrationSums.of(factor * deviation, deviation)
    return reliability(sums), sums.distribution()


DEVIATIONS = torch.linspace(3, 80, 500)


@pytest.fixture
def drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that are saved."""
    figures: list[Figure] = []
    save = Figure.savefig

    def keep(figure: Figure, *arguments: object, **options: object) -> None:
        figures.append(figure)
        save(figure, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", keep)
    return figures


def test_axes_have_names_and_units(tmp_path: Path, drawn: list[Figure]) -> None:
    draw_calibration({"body": area(DEVIATIONS)}, [], tmp_path / "figure.png", units="a.u.")
    left, right = drawn[0].axes
    assert left.get_xlabel() == right.get_xlabel() == "predicted standard deviation (a.u.)"
    assert left.get_ylabel() == "root mean squared error (a.u.)"


def test_cases_are_thin_and_areas_thick_and_calibration_is_the_diagonal(tmp_path: Path, drawn: list[Figure]) -> None:
    areas = {"body": area(DEVIATIONS, 2), "lesion": area(DEVIATIONS, 3)}
    draw_calibration(areas, [areas["body"][0]] * 2, tmp_path / "figure.png")
    lines = drawn[0].axes[0].get_lines()
    assert [line.get_linewidth() for line in lines] == [0.6, 0.6, 2, 2, 0.8]
    assert (lines[2].get_ydata() / lines[2].get_xdata()).tolist() == pytest.approx([2] * 20)
    assert list(lines[-1].get_xdata()) == list(lines[-1].get_ydata())


def test_both_axes_of_the_comparison_have_the_same_range(tmp_path: Path, drawn: list[Figure]) -> None:
    draw_calibration({"body": area(DEVIATIONS, 5)}, [], tmp_path / "figure.png")
    left = drawn[0].axes[0]
    assert left.get_xlim() == left.get_ylim()
    assert left.get_xlim()[1] > 80 * 5 / 1.2


@pytest.mark.parametrize("deviation", [torch.zeros(10), torch.ones(1), torch.tensor([0.0, 1e-3, 5e3])])
def test_degenerate_deviations_are_drawn_all_the_same(tmp_path: Path, deviation: torch.Tensor) -> None:
    draw_calibration({"body": area(deviation)}, [], tmp_path / "figure.png")
    assert imread(tmp_path / "figure.png").shape == (840, 1680, 4)


def test_global_state_of_pyplot_is_left_alone(tmp_path: Path) -> None:
    before = plt.get_fignums()
    draw_calibration({"body": area(DEVIATIONS)}, [], tmp_path / "figure.png")
    assert plt.get_fignums() == before
