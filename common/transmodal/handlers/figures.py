"""Draw translations side by side, in the orientation and the units a radiologist expects.

Axial slices are seen from the feet: anterior up, the patient's right on the left. Windows are fixed and stated, the
error is symmetric about zero, and the predicted deviation goes from zero to the range of the error. Figures are drawn
on their own canvas, never through pyplot's global state.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from transmodal.handlers.slice_view import SOURCE_PERCENTILES, SliceView, Window

__all__ = ["draw_translations"]

PANEL, GAP, LEFT, TOP, HEAD, BAR, FOOT = 2.1, 0.05, 0.4, 0.3, 0.4, 0.48, 0.18  # inches


@dataclass(frozen=True, eq=False)
class _Scale:
    """Colours and the range they span, by default each source's own percentiles; columns of one scale share a bar."""

    colours: str
    window: Window | None
    units: str

    def __str__(self) -> str:
        if self.window is None:
            return f"percentiles {SOURCE_PERCENTILES[0]:g} to {SOURCE_PERCENTILES[1]:g} in the body"
        return f"[{self.window[0]:g}, {self.window[1]:g}] {self.units}".rstrip()


@dataclass(frozen=True)
class _Column:
    """What a column of panels shows of each case, and how.

    ``image`` gives None for a case that has none; ``in_body`` tells that it has values inside the body only, whose
    outline is drawn, and ``noted`` that the case's note is written into it.
    """

    head: str
    image: Callable[[SliceView], Any]
    scale: _Scale
    in_body: bool = False
    noted: bool = False


def draw_translations(
    views: Sequence[SliceView],
    path: str | Path,
    *,
    title: str = "",
    source: str = "source",
    target: str = "target",
    units: str = "",
    source_units: str = "",
    target_window: Window,
    source_window: Window | None = None,
    error_range: float | None = None,
    footer: str = "",
) -> None:
    """Write a figure: a row for each case; source, translation and, where all views have one, target and error.

    Where all views have a predicted deviation, it comes last.

    Args:
        views: at least one.
        path: the file; its suffix chooses the format.
        title: line above the panels.
        source, target: names of the modalities.
        units, source_units: unit of the translation and the target, and of the source.
        target_window: display range of the translation and the target, in ``units``.
        source_window: display range of the source; without it each source's own percentiles.
        error_range: the error is shown from minus to plus this, the predicted deviation from zero to this; by default
            a fifth of the target's window.
        footer: line below, such as "synthetic image, research use only".
    """
    limit = error_range or (target_window[1] - target_window[0]) / 5
    given, shown = _Scale("gray", source_window, source_units), _Scale("gray", target_window, units)
    possible = [
        _Column(f"{source} (source)\n{given}", lambda view: view.source, given),
        _Column(f"{target} (translated)\n{shown}", lambda view: view.translated, shown),
        _Column(f"{target} (target)\n{shown}", lambda view: view.target, shown),
        *_columns_in_body(limit, units),
    ]
    columns = [column for column in possible if all(column.image(view) is not None for view in views)]
    figure, panels = _canvas([view.shape_ratio for view in views], [column.head for column in columns], title, footer)
    for view, row in zip(views, panels, strict=True):
        for axes, column in zip(row, columns, strict=True):
            _show(axes, view, column)
        for axes in row:
            _outline(axes, view, view.regions, "#ffb000")
        row[0].set_ylabel(view.case, fontsize=8)
        _annotate(row[0], view)
    for scale, group in groupby(zip(columns, panels[-1], strict=True), key=lambda pair: pair[0].scale):
        _colour_bar(figure, [axes for _, axes in group], scale)
    figure.savefig(path, dpi=200)


def _columns_in_body(limit: float, units: str) -> list[_Column]:
    """Error and predicted deviation, up to one limit."""
    error, deviation = _Scale("RdBu_r", (-limit, limit), units), _Scale("viridis", (0.0, limit), units)
    return [
        _Column(f"translated − target\n±{limit:g} {units}, in the body", lambda view: view.error, error, True, True),
        _Column(f"predicted deviation\n{deviation}, in the body", lambda view: view.uncertainty, deviation, True),
    ]


def _canvas(ratios: Sequence[float], heads: Sequence[str], title: str, footer: str) -> tuple[Figure, list[list[Axes]]]:
    """An empty figure with its texts, and its panels row by row."""
    width = LEFT + len(heads) * (PANEL + GAP) + GAP
    height = TOP + HEAD + sum(ratio * PANEL + GAP for ratio in ratios) + BAR + FOOT
    figure = Figure(figsize=(width, height), facecolor="white")
    FigureCanvasAgg(figure)
    figure.text(LEFT / width, 1 - 0.1 / height, title, fontsize=10, weight="bold", va="top")
    figure.text(1 - GAP / width, 0.06 / height, footer, fontsize=7, color="0.35", style="italic", ha="right")
    panels: list[list[Axes]] = []
    bottom = height - TOP - HEAD
    for ratio in ratios:
        bottom -= ratio * PANEL + GAP
        boxes = [(LEFT + column * (PANEL + GAP), bottom, PANEL, ratio * PANEL) for column in range(len(heads))]
        panels.append([_panel(figure, box) for box in boxes])
    for axes, head in zip(panels[0], heads, strict=True):
        axes.set_title(head, fontsize=8, pad=4, linespacing=1.25)
    return figure, panels


def _panel(figure: Figure, box: tuple[float, float, float, float]) -> Axes:
    """Axes without ticks at (left, bottom, width, height) in inches."""
    width, height = figure.get_size_inches()
    axes = figure.add_axes((box[0] / width, box[1] / height, box[2] / width, box[3] / height))
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    return axes


def _show(axes: Axes, view: SliceView, column: _Column) -> None:
    low, high = column.scale.window or view.source_window
    top = high if high > low else low + 1
    axes.imshow(column.image(view), cmap=column.scale.colours, vmin=low, vmax=top, extent=view.extent)
    axes.set_adjustable("datalim")  # panels of a row stay aligned whatever the shape of the body
    axes.set_facecolor("white" if column.in_body else "black")
    if column.in_body:
        _outline(axes, view, [view.body], "0.3")
    if column.noted:
        note = axes.text(0.03, 0.03, view.note, transform=axes.transAxes, fontsize=7, va="bottom")
        note.set_path_effects([patheffects.withStroke(linewidth=2, foreground="white")])


def _outline(axes: Axes, view: SliceView, masks: Sequence[NDArray[np.bool_]], colour: str) -> None:
    """Contours of masks; one that is empty or fills the panel has none."""
    for mask in masks:
        if mask.any() and not mask.all():
            axes.contour(mask, levels=[0.5], colors=colour, linewidths=0.5, extent=view.extent, origin="upper")


def _annotate(axes: Axes, view: SliceView) -> None:
    """Sides of the patient and a scale bar, legible on any image."""
    style: dict[str, Any] = {"transform": axes.transAxes, "fontsize": 7, "color": "white"}
    style["path_effects"] = [patheffects.withStroke(linewidth=1.5, foreground="black")]
    axes.text(0.03, 0.5, view.sides[0], va="center", **style)
    axes.text(0.97, 0.5, view.sides[1], va="center", ha="right", **style)
    left, right = axes.get_xlim()
    length = max((step for step in (1, 2, 5, 10, 20, 50, 100) if step <= 0.35 * (right - left)), default=1)
    share = length / (right - left)
    axes.plot([0.03, 0.03 + share], [0.05, 0.05], color="white", lw=1.5, transform=axes.transAxes)
    axes.text(0.03, 0.07, f"{length} mm", va="bottom", **style)


def _colour_bar(figure: Figure, panels: Sequence[Axes], scale: _Scale) -> None:
    """A horizontal bar centred below some panels of the last row; without a window it counts percentiles."""
    width, height = figure.get_size_inches()
    first, last = panels[0].get_position(), panels[-1].get_position()
    middle, length = (first.x0 + last.x1) / 2, 0.8 * PANEL / width
    axes = figure.add_axes((middle - length / 2, first.y0 - 0.14 / height, length, 0.07 / height))
    low, high = scale.window or (0.0, 1.0)
    bar = figure.colorbar(ScalarMappable(Normalize(low, high), scale.colours), cax=axes, orientation="horizontal")
    if scale.window is None:
        bar.set_ticks([low, high], labels=[f"{value:g}" for value in SOURCE_PERCENTILES])
    else:
        bar.set_ticks([low, (low + high) / 2, high])
    bar.set_label(scale.units if scale.window else "percentile", fontsize=7, labelpad=1)
    bar.ax.tick_params(labelsize=7, length=2, pad=1.5)
    bar.outline.set_linewidth(0.4)
