"""What the segmenter found, case by case: outlines of the true and the found lesions on the real and synthetic target.

Slices are axial, as seen from the feet: anterior up, the patient's right on the left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from monai.data import MetaTensor
from monai.transforms import Orientation
from numpy.typing import NDArray
from torch import Tensor

from downstream.data import Subject
from downstream.scoring import Score, targets_of

TRUTH, FOUND = "gold", "deeppink"
PANEL = 2.6  # inches
MARGIN = 5  # pixels around the body
FOOTER = "synthetic image, research use only"


@dataclass(frozen=True)
class Panel:
    """A target's slice, rows from anterior to posterior, columns from the patient's right to left, with lesions."""

    image: NDArray[np.float32]
    truth: NDArray[np.bool_]
    found: NDArray[np.bool_]
    aspect: float
    dice: float


def panels_of(
    subject: Subject, found: Mapping[str, Tensor], scores: Sequence[Score], target: str, mean: float
) -> dict[str, Panel]:
    """A panel per method at the slice with most true lesion, or the middle one without any, cropped to the body."""
    targets = targets_of(subject, target, mean)
    masks = [subject.body, subject.lesion, *found.values()]
    images = [targets[method].as_tensor() for method in found]
    affine = subject.contrasts[target].affine
    everything = MetaTensor(torch.cat([*(mask.float() for mask in masks), *images]), affine=affine)
    upright = Orientation(axcodes="LPS", labels=None)(everything)
    volumes = upright.as_tensor().numpy().transpose(0, 2, 1, 3)  # rows are posterior, columns left
    area = volumes[1].sum(axis=(0, 1))
    depth = int(area.argmax()) if area.any() else volumes.shape[3] // 2
    planes = volumes[(slice(None), *_around(volumes[0].any(axis=2)), depth)]
    across, along = (float(size) for size in upright.pixdim[:2])
    dice = {each.method: each.dice for each in scores}
    return {
        method: Panel(image, planes[1] > 0, lesion > 0, along / across, dice[method])
        for method, lesion, image in zip(found, planes[2 : 2 + len(found)], planes[2 + len(found) :], strict=True)
    }


def _around(body: NDArray[np.bool_]) -> tuple[slice, slice]:
    """Rows and columns of the body with a margin; of everything where there is none."""
    sides = []
    for axis in (1, 0):
        inside = np.flatnonzero(body.any(axis=axis))
        first, last = (inside[0], inside[-1]) if inside.size else (0, body.shape[1 - axis])
        sides.append(slice(max(int(first) - MARGIN, 0), int(last) + 1 + MARGIN))
    return sides[0], sides[1]


def draw(rows: Mapping[str, Mapping[str, Panel]], target: str, path: Path) -> None:
    """Write a figure with a row per case and a column per method; the suffix of ``path`` chooses the format."""
    methods = list(next(iter(rows.values())))
    figure = Figure(figsize=(PANEL * len(methods), PANEL * 1.15 * len(rows) + 0.9), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(rows), len(methods), squeeze=False)
    for line, (case, panels) in zip(grid, rows.items(), strict=True):
        for axes, (method, panel) in zip(line, panels.items(), strict=True):
            _show(axes, panel, f"{method} {target}")
        line[0].set_ylabel(case, fontsize=8)
    names = {"true lesion": TRUTH, "found with this image": FOUND}
    lines = [Line2D([], [], color=colour, label=name) for name, colour in names.items()]
    figure.legend(handles=lines, loc="outside upper left", ncols=2, fontsize=8, frameon=False)
    figure.supxlabel(f"{FOOTER}; each image by its percentiles in the body", fontsize=7, color="0.35", style="italic")
    figure.savefig(path, dpi=150)


def _show(axes: Axes, panel: Panel, title: str) -> None:
    axes.imshow(panel.image, cmap="gray", vmin=-1, vmax=1, aspect=panel.aspect)
    for mask, colour in ((panel.truth, TRUTH), (panel.found, FOUND)):
        if mask.any() and not mask.all():
            axes.contour(mask, levels=[0.5], colors=colour, linewidths=0.8)
    axes.set(xticks=[], yticks=[])
    axes.set_title(f"{title}\nDice of the volume {panel.dice:.2f}", fontsize=8)
    for place, side in ((0.02, "R"), (0.95, "L")):
        axes.text(place, 0.5, side, transform=axes.transAxes, color="white", fontsize=7)
