"""The figure of a comparison: all ROC curves on the common cases, and the areas with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from embolism_bundle.figure import GREY, canvas, draw_curve
from embolism_bundle.predictions import Prediction

__all__ = ["draw_comparison"]

COLOURS = ("#1b6ca8", "#d1672a", "#3a8f4a", "#8a4fa3", "#777777")


def draw_comparison(common: Mapping[str, Sequence[Prediction]], summary: Mapping[str, Any], path: Path) -> None:
    """Write a figure of two panels.

    Args:
        common: predictions of each row on the common cases.
        summary: what ``comparison.json`` holds.
        path: the file.
    """
    scores = next(iter(summary["common_cases"].values()))
    title = f"{summary['title']}: {scores['cases']} common cases, {scores['positive']} positive"
    figure, (left, right) = canvas(2, title)
    for number, (name, predictions) in enumerate(common.items()):
        draw_curve(left, predictions, name, COLOURS[number % len(COLOURS)])
    _areas(right, summary)
    figure.savefig(path, dpi=130, format="png")


def _areas(axes: Axes, summary: Mapping[str, Any]) -> None:
    """Area of each row with its bootstrap interval, and below the p-value of each pair."""
    names = list(summary["common_cases"])
    for number, name in enumerate(names):
        area = summary["common_cases"][name]["auc"]
        if area["value"] is None:
            continue
        colour, (low, high) = COLOURS[number % len(COLOURS)], area["bootstrap_95"]
        axes.plot([low, high], [-number, -number], color=colour)
        axes.plot(area["value"], -number, "o", color=colour)
        axes.text(high, -number + 0.12, f"{area['value']:.3f} [{low:.3f}, {high:.3f}]", ha="right", fontsize="small")
    lines = [f"{p['first']} − {p['second']}: {p['difference']:+.3f}, p = {p['p']:.2g}" for p in summary["pairs"]]
    axes.text(0.02, 0.02, "\n".join(lines), transform=axes.transAxes, fontsize="x-small", va="bottom")
    axes.axvline(0.5, color=GREY, linewidth=0.7, linestyle=":")
    axes.set_yticks([-number for number in range(len(names))], names)
    axes.set(xlabel="area under the ROC curve", xlim=(0, 1.02), ylim=(-len(names) - 0.2 * len(lines), 0.6))
    axes.set_title("bootstrap 95 % intervals; p after DeLong", fontsize="medium")
