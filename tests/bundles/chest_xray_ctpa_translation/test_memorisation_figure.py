"""The figure of the check for copies: what its histograms count."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from xray2ctpa_bundle.memorisation_figure import draw_memorisation

FOUND = {"generated": [(0.1, 0.2), (0.5, 0.9)], "true": [(0.7, 0.8), (0.8, 0.95), (1.2, 0.99)]}


@pytest.fixture
def panels(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Axes]:
    """Left and right panel; nothing is rendered."""
    figures: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: figures.append(figure))
    draw_memorisation(FOUND, tmp_path / "f.png", to_own=[0.3, 1.9], limit=0.25, title="Test", verdict="no sign")
    return list(figures[0].axes)


def counts(panel: Axes, label: str) -> tuple[list[float], list[float]]:
    """Counts of a histogram and the edges of its bins."""
    handles, labels = panel.get_legend_handles_labels()
    data: Any = handles[labels.index(label)].get_data()
    return list(data.values), list(data.edges)


def test_every_case_is_counted_in_both_panels(panels: list[Axes]) -> None:
    for panel in panels:
        assert sum(counts(panel, "generated CTs")[0]) == 2
        assert sum(counts(panel, "true CTs")[0]) == 3


def test_distances_reach_as_far_as_the_farthest_and_ratios_to_one(panels: list[Axes]) -> None:
    values, edges = counts(panels[0], "generated to its own true CT")
    assert sum(values) == 2
    assert edges[-1] == pytest.approx(1.05 * 1.9)
    assert counts(panels[1], "true CTs")[1][-1] == 1


def test_the_limit_of_copies_is_drawn_among_the_ratios(panels: list[Axes]) -> None:
    assert panels[1].lines[0].get_xdata()[0] == 0.25
    assert len(panels[0].lines) == 0


def test_a_file_is_written(tmp_path: Path) -> None:
    draw_memorisation(FOUND, tmp_path / "f.png")
    assert (tmp_path / "f.png").stat().st_size > 10_000
