"""Draw translations side by side, in the orientation and the units a radiologist expects.

Slices are axial, as seen from the feet: anterior up, the patient's right on the left. Windows are fixed and stated, the
error is symmetric about zero. Figures are drawn on their own canvas, never through pyplot's global state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from nibabel.orientations import apply_orientation, io_orientation
from numpy.typing import NDArray
from torch import Tensor

from transmodal.errors import InputError

__all__ = ["SliceView", "draw_translations", "mid_body_view"]

Window = tuple[float, float]
Image = NDArray[np.float32]

PANEL, GAP, LEFT, TOP, HEAD, BAR, FOOT = 2.1, 0.05, 0.3, 0.3, 0.4, 0.48, 0.18  # inches
MARGIN = 10.0  # mm around the body
SOURCE_PERCENTILES = (0.5, 99.5)


@dataclass(frozen=True)
class SliceView:
    """One case's slice as it is displayed: rows from anterior to posterior, columns from the patient's right to left.

    ``spacing`` is in mm per row and column, ``source_window`` the source's percentiles inside the body of the volume,
    ``note`` a short text for the error panel, and ``regions`` masks that are outlined on all panels.
    """

    case: str
    source: Image
    translated: Image
    target: Image | None
    body: NDArray[np.bool_]
    spacing: tuple[float, float]
    source_window: Window
    note: str = ""
    regions: tuple[NDArray[np.bool_], ...] = ()

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Left, right, bottom and top in mm, as matplotlib wants them."""
        rows, columns = self.source.shape
        return 0.0, columns * self.spacing[1], rows * self.spacing[0], 0.0

    @property
    def shape_ratio(self) -> float:
        """Height by width, kept within what a row of panels can show."""
        _, width, height, _ = self.extent
        return min(max(height / width, 0.45), 1.35)


def mid_body_view(
    case: str,
    source: Tensor,
    translated: Tensor,
    target: Tensor | None = None,
    mask: Tensor | None = None,
    affine: Tensor | None = None,
    note: str = "",
    regions: Sequence[Tensor] = (),
) -> SliceView:
    """Cut the axial slice through the middle of the body, or where the first region is largest, cropped to the body.

    Args:
        case: name of the row.
        source, translated, target: (C, H, W[, D]) on one grid; the first channel is shown.
        mask: body, (1, H, W[, D]); the whole volume without it.
        affine: 4 × 4, voxel indices to mm in RAS (first axis to the patient's right); identity without it.
        note: short text for the error panel.
        regions: masks to outline, (1, H, W[, D]).
    Raises:
        InputError: if the grids differ.
    """
    images = {"source": source, "translated": translated, "target": target, "mask": mask}
    images |= {f"region {number}": region for number, region in enumerate(regions, 1)}
    shapes = {name: tuple(image.shape[1:]) for name, image in images.items() if image is not None}
    if len(set(shapes.values())) > 1:
        raise InputError(
            f"figure of case {case}",
            found=", ".join(f"{name} {shape}" for name, shape in shapes.items()),
            wanted="images on one grid",
            remedy="bring the prediction back to the native grid before drawing it",
        )
    matrix = np.eye(4) if affine is None else np.asarray(affine, dtype=np.float64)
    volume, front = _upright(source, matrix), None if target is None else _upright(target, matrix)
    body = (
        np.ones_like(volume, dtype=bool) if mask is None or not bool((mask > 0).any()) else _upright(mask, matrix) > 0
    )
    outlined = [_upright(region, matrix) != 0 for region in regions]
    marked = bool(outlined) and outlined[0].any()
    depth = int(outlined[0].sum(axis=(0, 1)).argmax()) if marked else _middle(body)
    rows, columns = _crop(body[:, :, depth], spacing := _display_spacing(matrix))
    low, high = np.nanpercentile(volume[body], SOURCE_PERCENTILES)
    return SliceView(
        case=case,
        source=volume[rows, columns, depth],
        translated=_upright(translated, matrix)[rows, columns, depth],
        target=None if front is None else front[rows, columns, depth],
        body=body[rows, columns, depth],
        spacing=spacing,
        source_window=(float(low), float(high)),
        note=note,
        regions=tuple(region[rows, columns, depth] for region in outlined),
    )


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

    Args:
        views: at least one.
        path: the file; its suffix chooses the format.
        title: line above the panels.
        source, target: names of the modalities.
        units, source_units: unit of the translation and the target, and of the source.
        target_window: display range of the translation and the target, in ``units``.
        source_window: display range of the source; without it each source's own percentiles.
        error_range: the error is shown from minus to plus this; by default a fifth of the target's window.
        footer: line below, such as "synthetic image, research use only".
    """
    compared = all(view.target is not None for view in views)
    limit = error_range or (target_window[1] - target_window[0]) / 5
    heads = [_head(source, "source", source_window, source_units), _head(target, "translated", target_window, units)]
    if compared:
        heads += [
            _head(target, "target", target_window, units),
            f"translated − target\n±{limit:g} {units}, in the body",
        ]
    figure, panels = _canvas([view.shape_ratio for view in views], heads, title, footer)
    for view, row in zip(views, panels, strict=True):
        _show(row[0], view, view.source, "gray", source_window or view.source_window)
        _show(row[1], view, view.translated, "gray", target_window)
        if view.target is not None and compared:
            _show(row[2], view, view.target, "gray", target_window)
            _show_error(row[3], view, view.translated - view.target, limit)
        for axes in row:
            _outline(axes, view, view.regions, "#ffb000")
        row[0].set_ylabel(view.case, fontsize=8)
        _annotate(row[0], view)
    last = panels[-1]
    _colour_bar(figure, last[:1], "gray", source_window, source_units)
    _colour_bar(figure, last[1 : 3 if compared else 2], "gray", target_window, units)
    if compared:
        _colour_bar(figure, last[3:], "RdBu_r", (-limit, limit), units)
    figure.savefig(path, dpi=200)


def _upright(image: Tensor, affine: NDArray[np.float64]) -> Image:
    """First channel in display order (rows to posterior, columns to the left, slices to superior), float32."""
    array = np.asarray(image.detach().cpu().float())[0]
    array = array[..., None] if array.ndim == 2 else array
    right_anterior_superior = apply_orientation(array, _orientation(affine))  # type: ignore[no-untyped-call]
    displayed: Image = np.flip(right_anterior_superior, (0, 1)).transpose(1, 0, 2)
    return displayed


def _display_spacing(affine: NDArray[np.float64]) -> tuple[float, float]:
    """Millimetres per displayed row and column."""
    axes = _orientation(affine)[:, 0].tolist()
    sizes = np.linalg.norm(affine[:3, :3], axis=0)
    return float(sizes[axes.index(1)]), float(sizes[axes.index(0)])


def _orientation(affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """For each voxel axis the world axis nearest to it (0, 1, 2) and its direction (1 or -1)."""
    orientation: NDArray[np.float64] = io_orientation(affine)  # type: ignore[no-untyped-call]
    return orientation


def _middle(body: NDArray[np.bool_]) -> int:
    """The slice that halves the body's extent; where it is empty there, the nearest that is not."""
    filled = np.flatnonzero(body.any(axis=(0, 1)))
    return int(filled[np.abs(filled - (filled[0] + filled[-1]) / 2).argmin()])


def _crop(body: NDArray[np.bool_], spacing: tuple[float, float]) -> tuple[slice, slice]:
    """Rows and columns of the body of a slice, with a margin; all of them where it has none."""
    if not body.any():
        return slice(None), slice(None)
    sides = []
    for axis, size in enumerate(spacing):
        within, margin = np.flatnonzero(body.any(axis=1 - axis)), round(MARGIN / size)
        sides.append(slice(max(int(within[0]) - margin, 0), int(within[-1]) + 1 + margin))
    return sides[0], sides[1]


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


def _show(axes: Axes, view: SliceView, image: Any, colours: str, window: Window) -> None:
    low, high = window
    axes.imshow(image, cmap=colours, vmin=low, vmax=high if high > low else low + 1, extent=view.extent)
    axes.set_adjustable("datalim")  # panels of a row stay aligned whatever the shape of the body
    axes.set_facecolor("white" if colours == "RdBu_r" else "black")


def _show_error(axes: Axes, view: SliceView, error: Image, limit: float) -> None:
    _show(axes, view, np.where(view.body, error, np.nan), "RdBu_r", (-limit, limit))
    _outline(axes, view, [view.body], "0.3")
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
    axes.text(0.03, 0.5, "R", va="center", **style)
    axes.text(0.97, 0.5, "L", va="center", ha="right", **style)
    left, right = axes.get_xlim()
    length = max((step for step in (1, 2, 5, 10, 20, 50, 100) if step <= 0.35 * (right - left)), default=1)
    share = length / (right - left)
    axes.plot([0.03, 0.03 + share], [0.05, 0.05], color="white", lw=1.5, transform=axes.transAxes)
    axes.text(0.03, 0.07, f"{length} mm", va="bottom", **style)


def _colour_bar(figure: Figure, panels: Sequence[Axes], colours: str, window: Window | None, units: str) -> None:
    """A horizontal bar centred below some panels of the last row; without a window it counts percentiles."""
    width, height = figure.get_size_inches()
    first, last = panels[0].get_position(), panels[-1].get_position()
    middle, length = (first.x0 + last.x1) / 2, 0.8 * PANEL / width
    axes = figure.add_axes((middle - length / 2, first.y0 - 0.14 / height, length, 0.07 / height))
    low, high = window or (0.0, 1.0)
    bar = figure.colorbar(ScalarMappable(Normalize(low, high), colours), cax=axes, orientation="horizontal")
    if window is None:
        bar.set_ticks([low, high], labels=[f"{value:g}" for value in SOURCE_PERCENTILES])
    else:
        bar.set_ticks([low, (low + high) / 2, high])
    bar.set_label(units if window else "percentile", fontsize=7, labelpad=1)
    bar.ax.tick_params(labelsize=7, length=2, pad=1.5)
    bar.outline.set_linewidth(0.4)


def _head(modality: str, role: str, window: Window | None, units: str = "") -> str:
    if window is None:
        low, high = SOURCE_PERCENTILES
        return f"{modality} ({role})\npercentiles {low:g} to {high:g} in the body"
    return f"{modality} ({role})\n[{window[0]:g}, {window[1]:g}] {units}".rstrip()
