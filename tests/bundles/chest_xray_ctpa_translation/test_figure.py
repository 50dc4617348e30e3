"""The figure of an evaluation: which panels it has, and that each shows what its head says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from matplotlib.figure import Figure
from xray2ctpa_bundle.figure import RadiographFigure

from tests.bundles.chest_xray_ctpa_translation.chests import anatomy, chest, evaluate
from transmodal.projection import ConeBeam, TrilinearProjector
from transmodal.transforms import RobustPercentiles

PLANES = ("axial", "coronal", "sagittal")


@pytest.fixture
def drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Draw cases and return the figure; nothing is rendered."""
    figures: list[Figure] = []

    def save(figure: Figure, path: Path, **_: Any) -> None:
        figures.append(figure)
        Path(path).write_bytes(b"png")

    def draw(cases: Sequence[dict[str, Any]], **arguments: Any) -> Figure:
        projector = TrilinearProjector(ConeBeam.covering(384.0, pixels=16), step=8.0)
        evaluate(cases, [RadiographFigure(tmp_path, projector, RobustPercentiles(), **arguments)])
        assert (tmp_path / "figure.png").is_file()
        return figures[0]

    monkeypatch.setattr(Figure, "savefig", save)
    return draw


def heads(figure: Figure) -> list[str]:
    return [axes.get_title() for axes in figure.axes if axes.get_title()]


def test_generated_and_true_stand_side_by_side_in_three_planes(drawn: Any) -> None:
    figure = drawn([chest("a", 1), chest("b", 2)])
    assert heads(figure) == [
        "radiograph", "DRR of the result", *(f"{plane}\n{kind}" for plane in PLANES for kind in ("generated", "true")),
    ]  # fmt: skip
    assert len(figure.axes) == 16
    assert [axes.get_ylabel() for axes in figure.axes if axes.get_ylabel()] == ["a", "b"]


def test_without_true_cts_only_generated_ones_are_shown(drawn: Any) -> None:
    case = {key: value for key, value in chest("a", 1).items() if key not in ("label", "mask")}
    assert heads(drawn([case]))[2:] == [f"{plane}\ngenerated" for plane in PLANES]


def test_the_first_cases_by_name_are_shown(drawn: Any) -> None:
    figure = drawn([chest(name, 1) for name in "cab"], cases_in_figure=2)
    assert [axes.get_ylabel() for axes in figure.axes if axes.get_ylabel()] == ["a", "b"]


def test_each_panel_shows_its_own_image(drawn: Any) -> None:
    case = chest("a", 1, anatomy(1) + 111)
    panels = [axes.images[0].get_array() for axes in drawn([case]).axes]
    torch.testing.assert_close(torch.as_tensor(panels[0]), torch.as_tensor(case["image"][0]))
    for generated, true in zip(panels[2::2], panels[3::2], strict=True):
        assert float((generated - true).min()) == pytest.approx(111, abs=1e-3)
        assert float((generated - true).max()) == pytest.approx(111, abs=1e-3)


def test_the_drr_of_a_true_ct_lies_as_the_radiograph_does(drawn: Any) -> None:
    ct = torch.full((1, 8, 16, 16), -1000.0)
    ct[:, 5:7, 6:10, 2:5] = 500.0  # towards the head, on the patient's right
    projected = torch.as_tensor(drawn([chest("a", 1, ct)]).axes[1].images[0].get_array())
    row, column = divmod(int(projected.argmax()), 16)
    assert row < 8
    assert column < 8


def test_processes_show_the_first_cases_of_all(drawn: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere: list[dict[str, Any]] = []

    def gathered(rows: dict[str, Any]) -> list[dict[str, Any]]:
        elsewhere.append({"aa": next(iter(rows.values()))})
        return [rows, *elsewhere]

    monkeypatch.setattr("transmodal.handlers.collecting.gathered", gathered)
    shown = drawn([chest(name, 1) for name in "abc"], cases_in_figure=2)
    assert len([axes for axes in shown.axes if axes.get_ylabel()]) == 2
    assert shown.axes[0].get_ylabel() == "a"
    assert shown.axes[8].get_ylabel() == "a"  # that of the other process, named aa, made of a


def test_the_figure_is_marked_as_synthetic(drawn: Any) -> None:
    texts = [text.get_text() for text in drawn([chest("a", 1)], title="Test").texts]
    assert "synthetic – not for diagnosis" in texts
    assert "CT [-250, 450] HU" in texts
    assert texts[0] == "Test"
