"""The figure of an evaluation: who was taken for what, how sure the network was, and where nobody answered.

Drawn on its own canvas, never through pyplot's global state.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from modality_bundle.findings import Finding
from transmodal.modality import CLASSES

__all__ = ["draw"]

COLOURS = ("#1b6ca8", "#d1672a", "#777777")


def draw(findings: Sequence[Finding], path: Path, title: str) -> None:
    """Write a figure of three panels: both confusion tables and the histogram of the mean probability of MR."""
    figure = Figure(figsize=(11, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    left, middle, right = figure.subplots(1, 3, width_ratios=[1, 1, 1.6])
    figure.suptitle(f"{title}; {len(findings)} images of {len({finding.case for finding in findings})} cases")
    _table(left, findings, [finding.network.modality for finding in findings], "network alone")
    _table(middle, findings, [finding.verdict.modality for finding in findings], "all evidence")
    _histogram(right, findings)
    figure.savefig(path, dpi=130, format="png")


def _table(axes: Axes, findings: Sequence[Finding], answers: Sequence[str | None], title: str) -> None:
    """Truth in rows, answers in columns, counts in cells."""
    rows, columns = (*CLASSES, "neither"), (*CLASSES, None)
    counts = np.zeros((len(rows), len(columns)), dtype=int)
    for finding, answer in zip(findings, answers, strict=True):
        counts[min(int(finding.label or 0), len(CLASSES)), columns.index(answer)] += 1
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row in range(len(rows)):
        for column in range(len(columns)):
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=colour)
    axes.set_xticks(range(len(columns)), [*(name.upper() for name in CLASSES), "no answer"])
    axes.set_yticks(range(len(rows)), [*(name.upper() for name in CLASSES), "neither"])
    axes.set_xlabel("answer")
    axes.set_ylabel("truth")
    axes.set_title(title)


def _histogram(axes: Axes, findings: Sequence[Finding]) -> None:
    """Mean probability of MR by truth, abstentions of the network marked below; the thresholds as lines."""
    shown = [finding for finding in findings if finding.scores]
    means = np.array([np.mean(finding.scores, axis=0) for finding in shown]).reshape(-1, len(CLASSES) + 1)
    labels = np.array([min(int(finding.label or 0), len(CLASSES)) for finding in shown], dtype=int)
    groups = [means[labels == label, 1] for label in range(len(CLASSES) + 1)]
    names = [*(name.upper() for name in CLASSES), "neither"]
    axes.hist(groups, bins=list(np.linspace(0, 1, 21)), stacked=True, color=list(COLOURS), label=names)
    silent = [mean[1] for mean, finding in zip(means, shown, strict=True) if finding.network.modality is None]
    axes.plot(silent, np.zeros(len(silent)), "kx", clip_on=False, label=f"no answer ({len(silent)})")
    if len(means):
        threshold = float(means[0, -1])
        for position in (1 - threshold, threshold):
            axes.axvline(position, color="black", linewidth=0.8, linestyle="--")
    axes.set_xlabel("mean probability of MR")
    axes.set_ylabel("images")
    axes.set_title("network alone; threshold dashed")
    axes.legend(frameon=False, fontsize="small")
