"""The figure of an evaluation: the ROC curve with the threshold of the validation, probabilities, and the answers.

Drawn on its own canvas, never through pyplot's global state.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from embolism_bundle.predictions import Prediction
from embolism_bundle.scores import labels_of, probabilities_of, reliability, summarised
from transmodal.metrics import confusion, rates, roc_curve

__all__ = ["canvas", "draw", "draw_curve"]

COLOUR, GREY = "#1b6ca8", "#888888"
NOTE = "research use only, not for diagnosis"


def draw(predictions: Sequence[Prediction], path: Path, title: str) -> None:
    """Write a figure of three panels: ROC curve, reliability of the probabilities, and confusion table."""
    summary = summarised(predictions)
    figure, (left, middle, right) = canvas(3, f"{title}: {summary['cases']} cases, {summary['positive']} positive")
    area, interval = summary["auc"]["value"], summary["auc"]["bootstrap_95"]
    told = "AUC undefined" if area is None else f"AUC {area:.3f} [{interval[0]:.3f}, {interval[1]:.3f}]"
    draw_curve(left, predictions, told, COLOUR)
    _reliability(middle, predictions)
    _table(right, predictions)
    figure.savefig(path, dpi=130, format="png")


def canvas(panels: int, title: str) -> tuple[Figure, Sequence[Axes]]:
    """An empty figure with a row of panels."""
    figure = Figure(figsize=(3.9 * panels, 4.0), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title)
    figure.supxlabel(NOTE, fontsize="x-small", color=GREY)
    return figure, list(figure.subplots(1, panels))


def draw_curve(axes: Axes, predictions: Sequence[Prediction], name: str, colour: str) -> None:
    """A ROC curve, and the point of the answers that were given on it."""
    labels = labels_of(predictions)
    curve = roc_curve(probabilities_of(predictions), labels)
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.7, linestyle=":")
    if curve is not None:
        axes.plot(curve.false_positive_rate, curve.sensitivity, color=colour, label=name)
        found = rates(confusion(_answers(predictions), labels))
        specificity, sensitivity = found["specificity"].value, found["sensitivity"].value
        if specificity is not None and sensitivity is not None:
            axes.plot(1 - specificity, sensitivity, "o", color=colour)
        axes.legend(frameon=False, fontsize="small", loc="lower right")
    axes.set(xlabel="1 − specificity", ylabel="sensitivity", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    axes.set_title("ROC curve; point: threshold of the validation", fontsize="medium")


def _reliability(axes: Axes, predictions: Sequence[Prediction]) -> None:
    """Share of positive cases in bins of equal count against their mean probability; all probabilities below."""
    probabilities, labels = probabilities_of(predictions), labels_of(predictions)
    bins = reliability(probabilities, labels)
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.7, linestyle=":")
    axes.plot([each.probability for each in bins], [each.share for each in bins], "o-", color=COLOUR)
    for truth, height in ((True, 1.04), (False, -0.04)):
        chosen = probabilities[labels == truth]
        axes.plot(chosen, np.full(len(chosen), height), "|", color=GREY, clip_on=False)
    axes.axvline(predictions[0].threshold, color="black", linewidth=0.8, linestyle="--")
    axes.set(xlabel="probability", ylabel="share with the finding", xlim=(-0.02, 1.02), ylim=(-0.06, 1.06))
    axes.set_title("probabilities; threshold dashed", fontsize="medium")


def _table(axes: Axes, predictions: Sequence[Prediction]) -> None:
    """Truth in rows, answers in columns, counts in cells."""
    counts = confusion(_answers(predictions), labels_of(predictions))
    table = np.array(
        [[counts.true_negative, counts.false_positive], [counts.false_negative, counts.true_positive]], dtype=float
    )
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row in range(2):
        for column in range(2):
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, f"{table[row, column]:.0f}", ha="center", va="center", color=colour)
    axes.set_xticks([0, 1], ["no", "yes"])
    axes.set_yticks([0, 1], ["absent", "present"])
    axes.set(xlabel="answer", ylabel="truth")
    axes.set_title("answers", fontsize="medium")


def _answers(predictions: Sequence[Prediction]) -> Tensor:
    return torch.tensor([bool(prediction.answer) for prediction in predictions])
