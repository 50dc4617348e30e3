"""Draw how near generated and true CTs are to training CTs; on a canvas of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

__all__ = ["draw_memorisation"]

COLOURS = {"generated": "#d1600a", "true": "#1f4e9c"}
OWN = "0.45"
BINS = 25


def draw_memorisation(
    found: Mapping[str, Sequence[tuple[float, float]]],
    path: str | Path,
    *,
    to_own: Sequence[float] = (),
    limit: float = 1 / 3,
    title: str = "",
    verdict: str = "",
    footer: str = "",
) -> None:
    """Write a figure: histograms of distances to the nearest training CT, and of their ratios to the second nearest.

    Args:
        found: distance and ratio of each case, of its ``generated`` and its ``true`` CT.
        path: the file; its suffix chooses the format.
        to_own: distance of each case's generated CT to its true one.
        limit: ratio up to which a CT is called a copy, as a line.
        title, verdict, footer: lines above and below.
    """
    figure = Figure(figsize=(8.4, 3.9), facecolor="white")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, gridspec_kw={"left": 0.07, "right": 0.98, "bottom": 0.17, "top": 0.76})
    figure.text(0.01, 0.975, title, fontsize=10, weight="bold", va="top")
    figure.text(0.01, 0.905, verdict, fontsize=8, va="top", wrap=True)
    figure.text(0.99, 0.01, footer, fontsize=7, color="0.35", style="italic", ha="right")
    distances = {name: [distance for distance, _ in values] for name, values in found.items()}
    _histogram(left, distances, to_own)
    left.set_title("distance to the nearest training CT", fontsize=8)
    left.set_xlabel("1 − correlation; 0 is a copy", fontsize=8)
    _histogram(right, {name: [ratio for _, ratio in values] for name, values in found.items()}, end=1.0)
    right.axvline(limit, color="#b00020", lw=1, ls="--")
    right.text(limit, 0.98, " copies left of this", transform=right.get_xaxis_transform(), fontsize=7, va="top")
    right.set_title("distance to the nearest over that to the second nearest", fontsize=8)
    right.set_xlabel("ratio", fontsize=8)
    left.set_ylabel("cases", fontsize=8)
    figure.savefig(path, dpi=200)


def _histogram(
    axes: Axes, values: Mapping[str, Sequence[float]], to_own: Sequence[float] = (), end: float | None = None
) -> None:
    """Steps on common bins from 0 to ``end``, by default beyond the largest value."""
    every = [*to_own, *(value for each in values.values() for value in each)]
    edges = np.linspace(0, end or 1.05 * max([*every, 1e-3]), BINS + 1)
    for name, each in values.items():
        counts, _ = np.histogram(each, edges)
        axes.stairs(counts, edges, color=COLOURS[name], lw=1.5, fill=True, alpha=0.35)
        axes.stairs(counts, edges, color=COLOURS[name], lw=1.5, label=f"{name} CTs")
    if to_own:
        counts, _ = np.histogram(to_own, edges)
        axes.stairs(counts, edges, color=OWN, lw=1.2, ls=":", label="generated to its own true CT")
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.tick_params(labelsize=7)
    axes.legend(fontsize=7, frameon=False, loc="upper left")
    axes.spines[["top", "right"]].set_visible(False)
