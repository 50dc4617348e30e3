"""One figure of an evaluation: radiographs, those that the generated CTs would give, and these CTs beside the true."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import ignite.distributed as idist
import numpy as np
from ignite.engine import Engine
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from transmodal.files import write_atomically
from transmodal.handlers import Collecting, SliceView, by_case, mid_body_view
from transmodal.handlers.slice_view import PLANES
from transmodal.projection import Projector, attenuation
from transmodal.transforms import IntensityScale
from xray2ctpa_bundle.outputs import Output, outputs_of
from xray2ctpa_bundle.previews import MARK
from xray2ctpa_bundle.projected import projected

__all__ = ["RadiographFigure"]

PANEL, LEFT, TOP, HEAD, FOOT = 1.6, 0.3, 0.32, 0.36, 0.2  # inches


@dataclass
class Row:
    """One case as it is shown: two radiographs in [-1, 1], and its slices by plane."""

    case: str
    radiograph: NDArray[np.float32]
    projected: NDArray[np.float32]
    slices: dict[str, SliceView] = field(default_factory=dict)


class RadiographFigure(Collecting[dict[str, Row]]):
    """Draws ``figure.png``: radiograph, DRR of the generated CT, and the middle of three planes, generated and true.

    Works without true CTs as well. Processes exchange their cases, rank 0 draws.

    Args:
        output_dir: where the figure goes.
        projector: makes the radiograph of a CT, in the geometry of the given ones.
        intensity: intensity scale of radiographs.
        window: lowest and highest HU shown.
        cases_in_figure: the first so many cases by name.
        title, footer: first and last line.
        density: of HU, as for :class:`~xray2ctpa_bundle.consistency.ConsistencyReport`.
        name: of the file.
    """

    def __init__(
        self,
        output_dir: str | Path,
        projector: Projector,
        intensity: IntensityScale,
        window: Sequence[float] = (-250.0, 450.0),
        cases_in_figure: int = 3,
        title: str = "",
        footer: str = MARK,
        density: Callable[[Tensor], Tensor] = attenuation,
        name: str = "figure.png",
    ) -> None:
        self.path, self.projector, self.intensity = Path(output_dir) / name, projector, intensity
        self.density = density
        self.window = float(window[0]), float(window[1])
        self.cases_in_figure, self.title, self.footer = cases_in_figure, title, footer
        super().__init__()

    def _nothing(self) -> dict[str, Row]:
        return {}

    def _collect(self, engine: Engine) -> None:
        for output in outputs_of(engine):
            shown = sorted({*self._findings, output.case})[: self.cases_in_figure]
            if output.case in shown:
                self._findings[output.case] = self._row(output)
            self._findings = {case: self._findings[case] for case in shown}

    def _row(self, output: Output) -> Row:
        images = (output.pred, output.pred, output.label, output.mask, output.affine)
        return Row(
            case=output.case,
            radiograph=output.radiograph[0].float().numpy(),
            projected=self._projected(output),
            slices={plane: mid_body_view(output.case, *images, plane=plane) for plane in PLANES},
        )

    def _projected(self, output: Output) -> NDArray[np.float32]:
        picture = projected(output.pred, output.affine, self.projector, self.intensity, self.density)
        pixels: NDArray[np.float32] = picture[0].numpy()
        return pixels

    def _finish(self, engine: Engine, shares: Sequence[dict[str, Row]]) -> None:
        shown = list(by_case(shares).values())[: self.cases_in_figure]
        if shown and idist.get_rank() == 0:
            write_atomically(self.path, lambda path: self._draw(shown, path))

    def _draw(self, rows: Sequence[Row], path: Path) -> None:
        true = all(view.target is not None for row in rows for view in row.slices.values())
        columns = 2 + len(PLANES) * (1 + true)
        width, height = LEFT + columns * PANEL, TOP + HEAD + len(rows) * PANEL + FOOT
        figure = Figure(figsize=(width, height), facecolor="white")
        FigureCanvasAgg(figure)
        figure.text(0.1 / width, 1 - 0.08 / height, self.title, fontsize=10, weight="bold", va="top")
        figure.text(1 - 0.1 / width, 0.05 / height, self.footer, fontsize=8, color="#b00020", ha="right")
        low, high = self.window
        figure.text(LEFT / width, 0.05 / height, f"CT [{low:g}, {high:g}] HU", fontsize=7, color="0.35")
        margins = {"left": LEFT / width, "right": 1 - 0.05 / width, "wspace": 0.03, "hspace": 0.03}
        margins |= {"bottom": FOOT / height, "top": 1 - (TOP + HEAD) / height}
        panels = figure.subplots(len(rows), columns, squeeze=False, gridspec_kw=margins)
        for row, axes in zip(rows, panels, strict=True):
            axes[0].set_ylabel(row.case, fontsize=8)
            self._draw_row(row, list(axes), true)
        kinds = ["generated", "true"] if true else ["generated"]
        heads = ["radiograph", "DRR of the result", *(f"{plane}\n{kind}" for plane in PLANES for kind in kinds)]
        for axes, head in zip(panels[0], heads, strict=True):
            axes.set_title(head, fontsize=8, pad=3)
        figure.savefig(path, dpi=200)

    def _draw_row(self, row: Row, axes: Sequence[Axes], true: bool) -> None:
        for panel, picture in zip(axes, (row.radiograph, row.projected), strict=False):
            _show(panel, picture, (-1.0, 1.0), (0.0, 1.0, 1.0, 0.0), ("R", "L"))
        remaining = iter(axes[2:])
        for view in row.slices.values():
            for image in (view.translated, view.target) if true else (view.translated,):
                if image is not None:
                    _show(next(remaining), image, self.window, view.extent, view.sides)


def _show(
    axes: Axes,
    image: NDArray[np.float32],
    window: tuple[float, float],
    extent: tuple[float, float, float, float],
    sides: tuple[str, str],
) -> None:
    axes.imshow(image, cmap="gray", vmin=window[0], vmax=window[1], extent=extent)
    axes.set_adjustable("datalim")  # panels stay squares whatever the shape of the body
    axes.set(xticks=[], yticks=[], facecolor="black")
    axes.spines[:].set_visible(False)
    outline = [patheffects.withStroke(linewidth=1.5, foreground="black")]
    for place, side, align in ((0.03, sides[0], "left"), (0.97, sides[1], "right")):
        axes.text(place, 0.5, side, transform=axes.transAxes, ha=align, fontsize=6, color="white", path_effects=outline)
