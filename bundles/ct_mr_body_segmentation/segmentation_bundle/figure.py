"""Draw masks over the images they belong to, in the orientation a radiologist expects.

Slices are axial, as seen from the feet: anterior up, the patient's right on the left. Figures are drawn on their own
canvas, never through pyplot's global state.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from transmodal.handlers import SliceView

PANEL, GAP, LEFT, TOP, HEAD, KEY = 2.6, 0.05, 0.3, 0.3, 0.25, 0.5  # inches
REFERENCE, MODEL, MISSED, ADDED = "#00b4d8", "#ffb000", "#d62728", "#1f77b4"
COLUMNS = ("image", "outlines", "differences")


def draw_outlines(views: Sequence[SliceView], path: str | Path, *, title: str = "", footer: str = "") -> None:
    """Write a figure: a row for each image; itself, with the outlines of both masks, and where they differ.

    Args:
        views: at least one, its two regions being reference and prediction; the note is written into the last panel.
        path: the file; its suffix chooses the format.
        title: line above the panels.
        footer: line below, such as "research use only".
    """
    width = LEFT + len(COLUMNS) * (PANEL + GAP) + GAP
    height = TOP + HEAD + sum(view.shape_ratio * PANEL + GAP for view in views) + KEY
    figure = Figure(figsize=(width, height), facecolor="white")
    FigureCanvasAgg(figure)
    figure.text(LEFT / width, 1 - 0.1 / height, title, fontsize=10, weight="bold", va="top")
    bottom = height - TOP - HEAD
    for number, view in enumerate(views):
        tall = view.shape_ratio * PANEL
        bottom -= tall + GAP
        for column, head in enumerate(COLUMNS):
            left = LEFT + column * (PANEL + GAP)
            axes = figure.add_axes((left / width, bottom / height, PANEL / width, tall / height))
            _show(axes, view, head)
            if number == 0:
                axes.set_title(head, fontsize=8, pad=4)
            if column == 0:
                axes.set_ylabel(view.case, fontsize=8)
    _explain(figure)
    figure.text(1 - GAP / width, 0.06 / height, footer, fontsize=7, color="0.35", style="italic", ha="right")
    figure.savefig(path, dpi=200)


def _show(axes: Axes, view: SliceView, column: str) -> None:
    low, high = view.source_window
    axes.imshow(view.source, cmap="gray", vmin=low, vmax=high if high > low else low + 1, extent=view.extent)
    axes.set(xticks=[], yticks=[], facecolor="black")
    axes.spines[:].set_visible(False)
    axes.set_adjustable("datalim")
    reference, prediction = view.regions
    if column == "outlines":
        for mask, colour in ((reference, REFERENCE), (prediction, MODEL)):
            if mask.any() and not mask.all():
                axes.contour(mask, levels=[0.5], colors=colour, linewidths=0.8, extent=view.extent, origin="upper")
    elif column == "differences":
        coloured = np.zeros((*reference.shape, 4))
        for mask, colour in ((reference & ~prediction, MISSED), (prediction & ~reference, ADDED)):
            coloured[mask] = [int(colour[digit : digit + 2], 16) / 255 for digit in (1, 3, 5)] + [0.9]
        axes.imshow(coloured, extent=view.extent, interpolation="nearest")
        note = axes.text(0.03, 0.03, view.note, transform=axes.transAxes, fontsize=7, va="bottom")
        note.set_path_effects([patheffects.withStroke(linewidth=2, foreground="white")])
    if column == "image":
        for where, side in ((0.03, "R"), (0.97, "L")):
            axes.text(where, 0.5, side, transform=axes.transAxes, fontsize=7, color="white", ha="center", va="center")


def _explain(figure: Figure) -> None:
    """The colours, below the panels."""
    keys = [
        Line2D([], [], color=REFERENCE, label="reference"),
        Line2D([], [], color=MODEL, label="model"),
        Patch(color=MISSED, label="missed"),
        Patch(color=ADDED, label="added"),
    ]
    figure.legend(handles=keys, loc="lower left", ncols=len(keys), fontsize=7, frameon=False)
