"""A picture to check a translation by: three planes of the source, its translation and the outline of the body mask.

Planes are shown as radiologists see them: axial from the feet, coronal from the front, sagittal from the left.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from nibabel.orientations import apply_orientation, inv_ornt_aff, io_orientation
from numpy.typing import NDArray

from make_figures import CT, MR, Display
from translating.provenance import MARK
from transmodal.data.layout import MAGNETIC
from transmodal.handlers.slice_view import SOURCE_PERCENTILES

__all__ = ["DISPLAY", "draw"]

DISPLAY: Mapping[str, Display] = {"ct": CT, **dict.fromkeys(MAGNETIC, MR)}
PANEL, GAP, LEFT, HEAD, LINE, CHARACTERS, MOST = 2.6, 0.08, 0.35, 0.7, 0.15, 118, 14  # inches, characters, lines
PLANES = {"axial": 2, "coronal": 1, "sagittal": 0}
SIDES = {"axial": ("R", "L"), "coronal": ("R", "L"), "sagittal": ("A", "P")}
OUTLINE = "#ffb000"

Array = NDArray[np.float32]


@dataclass(frozen=True)
class _Upright:
    """A volume with axes to the right, anterior and superior, and its voxel sizes in mm."""

    values: Array
    sizes: tuple[float, float, float]

    @classmethod
    def of(cls, values: NDArray[np.generic], affine: NDArray[np.float64]) -> _Upright:
        turned = io_orientation(affine)
        matrix = affine @ inv_ornt_aff(turned, values.shape)
        return cls(apply_orientation(values, turned), tuple(np.linalg.norm(matrix[:3, :3], axis=0).tolist()))

    def plane(self, name: str, index: int) -> Array:
        """Rows from anterior, or superior, down; columns from the patient's right, or anterior, on."""
        cut = np.take(self.values, index, axis=PLANES[name])
        flipped: Array = cut[::-1, ::-1].T
        return flipped

    def extent(self, name: str) -> tuple[float, float, float, float]:
        """Left, right, bottom and top in mm."""
        across, down = (axis for axis in range(3) if axis != PLANES[name])
        return (
            0.0,
            self.values.shape[across] * self.sizes[across],
            self.values.shape[down] * self.sizes[down],
            0.0,
        )


def draw(
    path: Path,
    images: Mapping[str, NDArray[np.generic]],
    affine: NDArray[np.float64],
    source: str,
    target: str,
    title: str,
    warnings: Sequence[str] = (),
    footer: str = "",
) -> None:
    """Write the picture of a case.

    Args:
        path: a PNG file.
        images: ``source``, ``target`` and perhaps ``mask`` and ``deviation`` on one grid, (H, W, D), physical units.
        affine: of that grid, voxel indices to mm in RAS.
        source, target: their modalities.
        title: line above the panels.
        warnings: what to be wary of, listed below.
        footer: where it comes from.
    """
    upright = {name: _Upright.of(image, affine) for name, image in images.items()}
    body = upright.get("mask")
    where = body if body is not None and body.values.any() else None
    inside = upright["source"].values[where.values > 0] if where else upright["source"].values
    windows = _windows(inside, source, target)
    columns = _columns(images, source, target, windows)
    planes = [name for name, axis in PLANES.items() if name == "axial" or min(upright["source"].values.shape) > 1]
    notes = _wrapped(warnings)
    figure, panels = _canvas([_ratio(upright["source"], name) for name in planes], len(columns), len(notes))
    for row, plane in zip(panels, planes, strict=True):
        index = _fullest(where or upright["source"], PLANES[plane], flat=where is None)
        for axes, (head, name, window, colours) in zip(row, columns, strict=True):
            shown, extent = upright[name].plane(plane, index), upright[name].extent(plane)
            axes.imshow(shown, cmap=colours, vmin=window[0], vmax=window[1], extent=extent)
            if head.startswith("mask") and body is not None and len(np.unique(outline := body.plane(plane, index))) > 1:
                axes.contour(outline, levels=[0.5], colors=OUTLINE, linewidths=0.8, extent=extent, origin="upper")
            if row is panels[0]:
                axes.set_title(head, fontsize=8, pad=4, linespacing=1.25)
            if name == "target":
                _text(axes, 0.97, 0.97, "SYNTHETIC", ha="right", va="top", color=OUTLINE)
        row[0].set_ylabel(plane, fontsize=8)
        _text(row[0], 0.03, 0.5, SIDES[plane][0], va="center")
        _text(row[0], 0.97, 0.5, SIDES[plane][1], va="center", ha="right")
    _texts(figure, title, notes, f"{MARK}. {footer}".strip())
    figure.savefig(path, dpi=130)


def _windows(inside: NDArray[np.generic], source: str, target: str) -> dict[str, tuple[float, float]]:
    """Display ranges; MR, which has no scale of its own, by the percentiles inside the body."""
    low, high = (float(value) for value in np.percentile(inside, SOURCE_PERCENTILES))
    shown = (low, high if high > low else low + 1)
    return {"source": DISPLAY["ct"].window if source == "ct" else shown, "target": DISPLAY[target].window}


def _columns(
    images: Mapping[str, NDArray[np.generic]], source: str, target: str, windows: Mapping[str, tuple[float, float]]
) -> list[tuple[str, str, tuple[float, float], str]]:
    """Head, image, window and colours of each column."""

    def head(name: str, modality: str, window: tuple[float, float]) -> str:
        return f"{name}\n{modality.upper()} [{window[0]:.4g}, {window[1]:.4g}] {DISPLAY[modality].units}"

    columns = [
        (head("source", source, windows["source"]), "source", windows["source"], "gray"),
        (head("synthetic translation", target, windows["target"]), "target", windows["target"], "gray"),
    ]
    outlined = "mask, outlined on the source" if "mask" in images else "no mask was asked for"
    columns.append((f"{outlined}\n ", "source", windows["source"], "gray"))
    if "deviation" in images:
        width = (windows["target"][1] - windows["target"][0]) / 5
        columns.append((head("deviation of samples", target, (0.0, width)), "deviation", (0.0, width), "viridis"))
    return columns


def _fullest(volume: _Upright, axis: int, flat: bool) -> int:
    """The plane with most body; the middle one where there is no mask."""
    if flat:
        return volume.values.shape[axis] // 2
    others = tuple(each for each in range(3) if each != axis)
    return int((volume.values > 0).sum(axis=others).argmax())


def _ratio(volume: _Upright, plane: str) -> float:
    """Height by width, kept within what a row can show."""
    _, width, height, _ = volume.extent(plane)
    return min(max(height / width, 0.25), 1.6)


def _wrapped(warnings: Sequence[str]) -> list[str]:
    lines = [
        line
        for warning in warnings
        for line in textwrap.wrap(f"! {warning}", CHARACTERS, subsequent_indent="  ") or ["!"]
    ]
    return lines if len(lines) <= MOST else [*lines[: MOST - 1], "… more in provenance.json"]


def _canvas(ratios: Sequence[float], columns: int, lines: int) -> tuple[Figure, list[list[Axes]]]:
    """An empty figure with a row of panels for each ratio, and room for lines of text below."""
    width = LEFT + columns * (PANEL + GAP) + GAP
    height = HEAD + sum(ratio * PANEL + GAP for ratio in ratios) + (lines + 2) * LINE
    figure = Figure(figsize=(width, height), facecolor="white")
    FigureCanvasAgg(figure)
    panels, bottom = [], height - HEAD
    for ratio in ratios:
        bottom -= ratio * PANEL + GAP
        row = []
        for column in range(columns):
            box = (LEFT + column * (PANEL + GAP), bottom, PANEL, ratio * PANEL)
            axes = figure.add_axes((box[0] / width, box[1] / height, box[2] / width, box[3] / height))
            axes.set(xticks=[], yticks=[], facecolor="black")
            axes.spines[:].set_visible(False)
            row.append(axes)
        panels.append(row)
    return figure, panels


def _text(axes: Axes, x: float, y: float, text: str, **style: str) -> None:
    drawn = axes.text(x, y, text, transform=axes.transAxes, fontsize=7, **{"color": "white", **style})
    drawn.set_path_effects([patheffects.withStroke(linewidth=1.5, foreground="black")])


def _texts(figure: Figure, title: str, notes: Sequence[str], footer: str) -> None:
    width, height = figure.get_size_inches()
    figure.text(LEFT / width, 1 - 0.1 / height, title, fontsize=10, weight="bold", va="top")
    for number, line in enumerate(notes):
        y = (LINE * (len(notes) - number) + 0.1) / height
        figure.text(LEFT / width, y, line, fontsize=7, color="#b00020", va="bottom")
    figure.text(LEFT / width, 0.05 / height, footer, fontsize=7, color="0.35", style="italic", va="bottom")
