"""Whether a generated CT explains the radiograph it was made from: its own radiograph beside the given one.

A CT that fits the radiograph need not be right, since many do; one that does not fit is wrong.
"""

from __future__ import annotations

import csv
import logging
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import ignite.distributed as idist
import torch
import torch.nn.functional as F
from ignite.engine import Engine
from monai.data import MetaTensor
from torch import Tensor

from transmodal.errors import InputError
from transmodal.files import write_atomically
from transmodal.handlers import Collecting, by_case
from transmodal.metrics import structural_similarity
from transmodal.projection import Projector, attenuation
from transmodal.transforms import IntensityScale, isocentric_affine
from xray2ctpa_bundle.outputs import Output, outputs_of
from xray2ctpa_bundle.projected import projected

__all__ = ["MEASURES", "ConsistencyReport", "consistency"]

logger = logging.getLogger(__name__)

MEASURES = ("ncc", "ssim", "gradient_correlation")
TRUE = "true_"
WHOLE = 0.9  # of the longest way through the volume; shorter rays leave it above or below
RANGE = (-1.0, 1.0)
Rows = dict[str, dict[str, float]]


class ConsistencyReport(Collecting[Rows]):
    """Compares the radiograph of each generated CT with the given one; writes ``consistency.csv``, a row per case.

    Attach it to the evaluator of an inference or an evaluation; where there are true CTs, theirs are compared as well
    (columns ``true_ncc`` and so on): no result is expected to be better than the truth. Of a CT without any density
    correlations are undefined, and their cells empty. Means are left in ``engine.state.metrics`` as ``drr_ncc``,
    ``drr_ssim`` and ``drr_gradient_correlation``; processes exchange their cases, rank 0 writes.

    Args:
        output_dir: where the file goes.
        projector: makes the radiograph of a CT, with as many pixels as the network takes and in the geometry of the
            given ones.
        intensity: intensity scale of radiographs, which the given ones have been through.
        density: of HU, see :class:`~transmodal.transforms.Radiographd`; a
            :class:`~xray2ctpa_bundle.projected.WindowedAttenuation` judges by what the window of the model allows.
        name: of the file.
    Raises:
        InputError: if a radiograph has other pixels than the projector.
    """

    def __init__(
        self,
        output_dir: str | Path,
        projector: Projector,
        intensity: IntensityScale,
        density: Callable[[Tensor], Tensor] = attenuation,
        name: str = "consistency.csv",
    ) -> None:
        self.path, self.projector, self.intensity, self.density = Path(output_dir) / name, projector, intensity, density
        super().__init__()

    def _nothing(self) -> Rows:
        return {}

    def _collect(self, engine: Engine) -> None:
        for output in outputs_of(engine):
            self._check(output)
            row = self._compared(output, output.pred)
            if output.label is not None:
                row |= {TRUE + name: value for name, value in self._compared(output, output.label).items()}
            self._findings[output.case] = row

    @torch.no_grad()
    def _compared(self, output: Output, volume: Tensor) -> dict[str, float]:
        """The measures of one CT (1, F, H, W) in HU."""
        image = MetaTensor(volume, affine=output.affine)
        picture = projected(volume, output.affine, self.projector, self.intensity, self.density)
        way = self.projector.path_lengths(image.shape[1:], isocentric_affine(image))
        seen = (way > 0) & (way >= WHOLE * way.max())
        return consistency(picture[0], output.radiograph[0].float(), seen)

    def _check(self, output: Output) -> None:
        geometry = self.projector.geometry
        if tuple(output.radiograph.shape) != (1, geometry.rows, geometry.columns):
            raise InputError(
                f"consistency of case {output.case}",
                found=f"a radiograph of shape {tuple(output.radiograph.shape)}",
                wanted=f"(1, {geometry.rows}, {geometry.columns}), the pixels of the projector",
                remedy="give the projector's geometry the same number of pixels as 'xray_size'",
            )

    def _finish(self, engine: Engine, shares: Sequence[Rows]) -> None:
        rows = by_case(shares)
        names = list(dict.fromkeys(name for row in rows.values() for name in row))
        means = {name: _mean(rows, name) for name in names}
        engine.state.metrics.update({f"drr_{name}": means[name] for name in MEASURES if name in means})
        if rows and idist.get_rank() == 0:
            write_atomically(self.path, lambda path: _write(path, rows, names))
            told = ", ".join(f"{name} {value:.3f}" for name, value in means.items())
            logger.info("radiographs of the generated CTs against the given ones, %s case(s): %s", len(rows), told)


def consistency(picture: Tensor, radiograph: Tensor, seen: Tensor) -> dict[str, float]:
    """How alike two radiographs are where the volume is seen, whatever the linear scale of the first; NaN if undefined.

    Args:
        picture: radiograph of a CT, (rows, columns).
        radiograph: the given one in [-1, 1], same shape.
        seen: booleans of the same shape.
    Returns:
        ``ncc``, normalised cross-correlation; ``ssim``, with a window of 7 x 7 pixels, after the rising linear map of
        the picture that fits the radiograph best; ``gradient_correlation``, the mean of the correlations of both
        derivatives (Sobel).
    Source:
        G. P. Penney et al., A comparison of similarity measures for use in 2-D-3-D medical image registration, IEEE
        Trans. Med. Imaging 17 (1998).
    """
    inner = -F.max_pool2d(-seen[None, None].double(), 3, stride=1, padding=1)[0, 0] > 0  # where derivatives are seen
    slopes = zip(_derivatives(picture), _derivatives(radiograph), strict=True)
    correlations = [_correlation(a[inner], b[inner]) for a, b in slopes]
    return {
        "ncc": _correlation(picture[seen], radiograph[seen]),
        "ssim": structural_similarity(_fitted(picture, radiograph, seen)[None], radiograph[None], seen[None], RANGE),
        "gradient_correlation": sum(correlations) / len(correlations),
    }


def _fitted(picture: Tensor, radiograph: Tensor, seen: Tensor) -> Tensor:
    """The picture on the scale of the radiograph, by least squares; flat where it only falls as the other rises."""
    x, y = picture[seen].double(), radiograph[seen].double()
    spread = (x - x.mean()).square().sum()
    slope = (((x - x.mean()) * (y - y.mean())).sum() / spread).clamp(min=0) if spread > 0 else spread
    return y.mean() + slope * (picture.double() - x.mean())


def _derivatives(picture: Tensor) -> Tensor:
    """Along rows and columns, (2, rows, columns)."""
    sobel = torch.tensor([[-1.0, -2.0, -1.0], [0.0, 0.0, 0.0], [1.0, 2.0, 1.0]], dtype=torch.float64)
    padded = F.pad(picture.double()[None, None], (1, 1, 1, 1), mode="replicate")
    return F.conv2d(padded, torch.stack([sobel, sobel.T])[:, None])[0]


def _correlation(x: Tensor, y: Tensor) -> float:
    x, y = (values.double() - values.double().mean() for values in (x, y))
    power = float(x.square().sum() * y.square().sum())
    return float((x * y).sum()) / math.sqrt(power) if power > 0 else math.nan


def _mean(rows: Mapping[str, Mapping[str, float]], name: str) -> float:
    """Over the cases that have it."""
    values = [row[name] for row in rows.values() if math.isfinite(row.get(name, math.nan))]
    return statistics.fmean(values) if values else math.nan


def _write(path: Path, rows: Mapping[str, Mapping[str, float]], names: list[str]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["case", *names])
        for case, row in rows.items():
            values = [row.get(name, math.nan) for name in names]
            writer.writerow([case, *(f"{value:.6g}" if math.isfinite(value) else "" for value in values)])
