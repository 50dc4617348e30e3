"""The protocol of the MU-Diff study, under its own name: SSIM, PSNR and MAE of 8-bit slices, normalised one by one.

It is here to compare with published numbers, and with nothing else. Prediction and target are each stretched by their
own percentiles and each divided by their own mean, so a wrong brightness or contrast costs nothing; the errors are
averaged over a box, whose pixels outside the mask count as perfect; means are over slices, not patients. Our own
protocol is :class:`transmodal.handlers.EvaluationReport`.

What the published code leaves to chance is settled here. A slice whose mask is empty is skipped, as published. A mask
at the border of the slice whose box cannot grow to 7 pixels, on which the published code stops with an error, and an
image that is blank or not finite have no scores and are counted. An infinite PSNR, of equal slices, is left out of the
mean and counted.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor

from transmodal.handlers import StudyProtocol
from transmodal.handlers.records import CaseRecord
from transmodal.handlers.slice_consistency import SliceConsistency

__all__ = ["PaperProtocol", "SliceScores", "eight_bit", "over_slices", "slice_scores"]

NAME = "MU-Diff metric_calc"
MEASURES = ("ssim", "psnr", "mae")
BRAIN = "brain"
WINDOW = 7  # pixels, of the SSIM
INSIDE = 127  # grey value above which a mask counts

Image = NDArray[np.float64]
Bytes = NDArray[np.uint8]


class SliceScores(NamedTuple):
    """SSIM, PSNR in dB and MAE on [0, 1] of a slice, NaN where undefined, and why they are."""

    ssim: float = math.nan
    psnr: float = math.nan
    mae: float = math.nan
    note: str = ""


class SliceRow(NamedTuple):
    """The scores of a slice, numbered on the native grid, inside the brain or a region."""

    case: str
    region: str
    number: int
    scores: SliceScores


def slice_scores(real: Bytes, synthetic: Bytes, mask: Bytes) -> SliceScores:
    """Score one slice as the published ``metric_calc.py`` does.

    Args:
        real, synthetic: target and prediction, grey values of 8 bits, (H, W).
        mask: above 127 inside, same shape.
    """
    inside = mask > INSIDE
    if not inside.any():
        return SliceScores(note="empty mask")
    box = tuple(_side(np.flatnonzero(inside.any(axis=1 - axis)), size) for axis, size in enumerate(inside.shape))
    if any(side.stop - side.start < WINDOW for side in box):
        return SliceScores(note="mask too small at the border")
    r, s = _stretched(real), _stretched(synthetic)
    if r is None or s is None:
        return SliceScores(note="blank image")
    p, q = ((image / image.mean())[box] * inside[box] for image in (r, s))  # mean of the slice with its background
    mae = float(np.abs(r[box] * inside[box] - s[box] * inside[box]).mean())
    width = max(p.max(), q.max()) - min(p.min(), q.min())
    if width == 0:
        return SliceScores(mae=mae, note="nothing inside the mask")
    ssim = float(structural_similarity(p, q, data_range=width))
    if (p == q).all():
        return SliceScores(ssim, math.inf, mae, "equal images")
    return SliceScores(ssim, float(peak_signal_noise_ratio(p, q, data_range=width)), mae)


def over_slices(scores: Sequence[SliceScores]) -> dict[str, Any]:
    """Mean and population standard deviation over the slices with a finite value, to 4 decimals as published.

    Returns:
        ``mean``, ``sd`` (None without a value) and ``n`` by measure; ``slices``, and how many have each note.
    """
    summary: dict[str, Any] = {"slices": len(scores), "notes": dict(Counter(each.note for each in scores if each.note))}
    for name in MEASURES:
        values = np.array([getattr(each, name) for each in scores], dtype=np.float64)
        values = values[np.isfinite(values)]
        mean, sd = (round(float(values.mean()), 4), round(float(values.std()), 4)) if len(values) else (None, None)
        summary[name] = {"mean": mean, "sd": sd, "n": len(values)}
    return summary


def eight_bit(image: Image) -> Bytes:
    """A slice, (H, W), stretched from its own minimum to its own maximum and rounded to 0 to 255; 0 if it is flat."""
    low, high = float(image.min()), float(image.max())
    if not low < high:  # also if they are not numbers
        return np.zeros(image.shape, dtype=np.uint8)
    return np.rint((image - low) * (255 / (high - low))).astype(np.uint8)


class PaperProtocol(StudyProtocol[SliceRow]):
    """Scores an evaluator's predictions as the study does, and writes ``paper_metrics.csv`` and ``paper_metrics.json``.

    Slices of the native grid that hold body are taken one by one; prediction and target are each stretched to 8 bits by
    their own extremes, as the published test writes its images. Two things differ from it: nothing passes through JPEG
    compression, and slices keep their native size, since the study's 256 x 256 pixels are its training's.

    Args:
        output_dir: where the two files go; each is there whole or not at all.
        regions: key of the mask of each region, by the region's name, such as a lesion; scored beside the brain.
        slice_axis, axcodes: axis along which slices are cut, and the orientation in which it counts.
    Raises:
        ValueError: if ``slice_axis`` or ``axcodes`` is out of range, or a region is called brain.
    """

    files = "paper_metrics"
    columns = ("case", "slice", "region", *MEASURES, "note")

    def __init__(
        self,
        output_dir: str | Path,
        regions: Mapping[str, str] | None = None,
        slice_axis: int = 2,
        axcodes: str = "RAS",
    ) -> None:
        if BRAIN in (regions or {}):
            raise ValueError(f"wanted a region of another name than {BRAIN!r}, which is always scored")
        super().__init__(output_dir, regions)
        self.slices = SliceConsistency(slice_axis, axcodes)

    def rows(self, record: CaseRecord) -> Iterator[SliceRow]:
        """A row per slice with body, and region."""
        masks = {BRAIN: record.mask, **record.regions}
        real, synthetic, *inside = (
            self._cut(image, record.affine) for image in (record.label, record.pred, *masks.values())
        )
        for number in np.flatnonzero((inside[0] > 0).any(axis=(1, 2))).tolist():
            target, prediction = eight_bit(real[number]), eight_bit(synthetic[number])
            for name, mask in zip(masks, inside, strict=True):
                shown = np.where(mask[number] > 0, 255, 0).astype(np.uint8)
                yield SliceRow(record.case, name, number, slice_scores(target, prediction, shown))

    def cells(self, row: SliceRow) -> Sequence[Any]:
        """Undefined and infinite values are empty cells, with a note."""
        return row.case, row.number, row.region, *row.scores

    def summary(self, rows: Sequence[SliceRow]) -> Mapping[str, Any]:
        """Statistics over the slices of the brain and of each region."""
        return {
            "protocol": NAME,
            "where": "axial slices with body on the native grid, each image stretched to 8 bits by its own extremes; "
            "without JPEG compression and without resizing to 256 x 256",
            "over": "slices; population standard deviation",
            "cases": sorted({row.case for row in rows}),
            **{name: over_slices([row.scores for row in rows if row.region == name]) for name in self._areas},
        }

    def sentences(self, summary: Mapping[str, Any]) -> Iterator[str]:
        """One for the brain and one for each region."""
        for name in self._areas:
            result = summary[name]
            numbers = ", ".join(
                f"{measure} {result[measure]['mean']} ± {result[measure]['sd']}" for measure in MEASURES
            )
            yield f"{NAME}, inside the {name}, {result['mae']['n']} slice(s), not comparable with ours: {numbers}"

    @property
    def _areas(self) -> tuple[str, ...]:
        return (BRAIN, *self.regions)

    def _cut(self, image: Tensor, affine: Tensor | None) -> Image:
        """The slices of a volume, (number, H, W)."""
        volume = np.asarray(image[0].double())
        return volume[None] if volume.ndim == 2 else np.moveaxis(volume, self.slices.native_axis(affine), 0)


def _side(filled: NDArray[np.intp], size: int) -> slice:
    """From the first to the last filled index, grown evenly to 7 pixels as far as the image reaches."""
    first, last = int(filled[0]), int(filled[-1]) + 1
    missing = max(WINDOW - (last - first), 0)
    return slice(max(first - missing // 2, 0), min(last + missing - missing // 2, size))


def _stretched(image: Bytes) -> Image | None:
    """Clipped to the 1st and 99th percentile of the pixels above 0, then to [0, 1]; None for an image without range."""
    values = image.astype(np.float64)
    if not (values > 0).any():
        return None
    values = np.clip(values, *np.percentile(values[values > 0], (1, 99)))
    low, high = values.min(), values.max()
    return (values - low) / (high - low) if low < high else None
