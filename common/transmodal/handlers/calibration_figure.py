"""Draw how predicted deviations relate to errors; on a canvas of its own, never through pyplot's global state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from torch import Tensor

from transmodal.metrics import ReliabilityBin

__all__ = ["draw_calibration"]

Area = tuple[Sequence[ReliabilityBin], tuple[Tensor, Tensor]]

COLOURS = ("#1f4e9c", "#d1600a", "#2a7f3f", "#7a3a8c", "#8c6d1f")  # the body, then regions
IN_VIEW = 1e-3  # share of voxels from which on a cell of the distribution sets the range of its axis


def draw_calibration(
    areas: Mapping[str, Area],
    cases: Sequence[Sequence[ReliabilityBin]],
    path: str | Path,
    *,
    units: str = "",
    title: str = "",
    footer: str = "",
) -> None:
    """Write a figure: error against predicted deviation, and how deviations are distributed; logarithmic axes.

    Bins whose deviation or error is zero have no place on them.

    Args:
        areas: by name, the bins pooled over cases and the distribution of deviations, share per cell and edges.
        cases: bins of each case in the first area, as thin lines.
        path: the file; its suffix chooses the format.
        units: of deviation and error.
        title: line above.
        footer: line below.
    """
    figure = Figure(figsize=(8.4, 4.2), facecolor="white")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, gridspec_kw={"left": 0.08, "right": 0.98, "bottom": 0.17, "top": 0.86})
    figure.text(0.01, 0.975, title, fontsize=10, weight="bold", va="top")
    figure.text(0.99, 0.01, footer, fontsize=7, color="0.35", style="italic", ha="right")
    _reliability(left, areas, cases)
    _distribution(right, areas)
    unit = f" ({units})" if units else ""
    left.set_ylabel(f"root mean squared error{unit}", fontsize=8)
    right.set_ylabel("share of voxels per cell of 9 %", fontsize=8)
    for axes in (left, right):
        axes.set_xlabel(f"predicted standard deviation{unit}", fontsize=8)
        for axis in (axes.xaxis, axes.yaxis):
            if axis.get_scale() == "log":
                axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
                axis.set_major_formatter("{x:g}")
                axis.set_minor_formatter(NullFormatter())
        axes.tick_params(which="both", labelsize=7)
        axes.legend(fontsize=7, frameon=False, loc="best")
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=200)


def _reliability(axes: Axes, areas: Mapping[str, Area], cases: Sequence[Sequence[ReliabilityBin]]) -> None:
    axes.set(xscale="log", yscale="log")
    axes.set_title("error against predicted deviation, bins of equal count", fontsize=8)
    for number, bins in enumerate(cases):
        axes.plot(*_points(bins), color=COLOURS[0], lw=0.6, alpha=0.4, label="" if number else "each case")
    for (name, (bins, _)), colour in zip(areas.items(), _colours(len(areas)), strict=True):
        axes.plot(*_points(bins), color=colour, lw=2, marker="o", ms=3, label=f"{name}, all cases")
    everything = [*cases, *(bins for bins, _ in areas.values())]
    drawn = [value for bins in everything for values in _points(bins) for value in values]
    if drawn:
        ends = min(drawn) / 1.2, max(drawn) * 1.2
        axes.plot(ends, ends, color="0.3", lw=0.8, ls="--", label="calibrated")
        axes.set(xlim=ends, ylim=ends, aspect="equal", adjustable="box")


def _distribution(axes: Axes, areas: Mapping[str, Area]) -> None:
    axes.set(xscale="log")
    axes.set_title("predicted deviations, all cases", fontsize=8)
    seen = []
    for (name, (_, (shares, edges))), colour in zip(areas.items(), _colours(len(areas)), strict=True):
        axes.stairs(shares.numpy(), edges.numpy(), color=colour, lw=1.5, label=name)
        seen += [edges[:-1][shares >= IN_VIEW], edges[1:][shares >= IN_VIEW]]
    ends = np.concatenate([each.numpy() for each in seen])
    if ends.size:
        axes.set_xlim(ends.min(), ends.max())
    axes.set_ylim(bottom=0)


def _points(bins: Sequence[ReliabilityBin]) -> tuple[list[float], list[float]]:
    shown = [each for each in bins if each.deviation > 0 and each.error > 0]
    return [each.deviation for each in shown], [each.error for each in shown]


def _colours(count: int) -> list[str]:
    return [COLOURS[number % len(COLOURS)] for number in range(count)]
