"""Our evaluation protocols per target modality, and the check that a translation happened at all.

CT has an absolute scale, so it is measured in HU as the SynthRAD challenges do. MR has none: the target is normalised
by robust percentiles inside its own body, the prediction by the scale on which it is documented to be written. No range
is ever taken from the prediction.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import torch
from monai.transforms.utils_pytorch_numpy_unification import percentile
from torch import Tensor

from transmodal.metrics.synthrad import (
    Measure,
    Range,
    SynthRAD2023,
    SynthRAD2025,
    fault_of,
    mean_absolute_error,
    multi_scale_structural_similarity,
    peak_signal_to_noise_ratio,
    structural_similarity,
)

__all__ = [
    "NEARLY_IDENTICAL",
    "CTSimilarity",
    "MRSimilarity",
    "Similarity",
    "normalised_cross_correlation",
    "similarity_to_input",
]

NEARLY_IDENTICAL = 0.9
"""SSIM to its own input from which an output is suspected to be a copy. Real pairs lie well below: registered MR and CT
of eight limbs and trunks (Soft-tissue-Sarcoma, TCIA) at 0.16 to 0.33, T1 before and after contrast agent of two brains
(Ljubljana MS lesion database) at 0.67 and 0.78; those MR with 10 % more contrast, against themselves, at 0.98."""


class Similarity(Protocol):
    """How predictions of one target modality are scored."""

    @property
    def name(self) -> str:
        """Protocol and range, as tables and summaries name them."""
        ...

    @property
    def measures(self) -> Mapping[str, Measure]:
        """Unit and direction of each number, in the order of a table; the first one is the key measure."""
        ...

    def comparable(self, target: Tensor, mask: Tensor) -> Tensor:
        """The untouched target, expressed in the units of a prediction."""
        ...

    def __call__(self, pred: Tensor, target: Tensor, mask: Tensor, region: Tensor | None = None) -> dict[str, float]:
        """Score a prediction against the untouched target, images (1, H, W[, D]).

        Args:
            pred: prediction in physical units.
            target: untouched target.
            mask: body, which is scored without a region, and from which alone a scale may be taken.
            region: mask of what is scored instead, such as a lesion. It stands where the body stands in every measure:
                beyond it both images count as background, also in the windows of the structural measures.
        Returns:
            Measures by name, NaN where undefined.
        """
        ...


class CTSimilarity:
    """MAE, PSNR and MS-SSIM of SynthRAD2025 beside the SSIM of SynthRAD2023, for a CT target in HU.

    Args:
        dynamic_range: clipping range of SynthRAD2025 in HU, [-1024, 3000] or [-1024, 3071].
        corrected: luminance of MS-SSIM at the coarsest scale only; see :class:`SynthRAD2025`.
    """

    measures: Mapping[str, Measure] = {**SynthRAD2025.measures, "ssim": SynthRAD2023.measures["ssim"]}

    def __init__(self, dynamic_range: Sequence[float] = (-1024.0, 3000.0), corrected: bool = False) -> None:
        self.challenge = SynthRAD2025(dynamic_range, corrected)

    @property
    def name(self) -> str:
        """Name of the protocol in tables and summaries, with its range."""
        return f"{self.challenge.name}; SSIM: {SynthRAD2023.name}"

    def comparable(self, target: Tensor, mask: Tensor) -> Tensor:
        """The target in the units of a prediction: HU are HU."""
        return target

    def __call__(self, pred: Tensor, target: Tensor, mask: Tensor, region: Tensor | None = None) -> dict[str, float]:
        """Measures of a prediction in HU inside the body, or inside a region if given, by name; NaN where undefined."""
        mask = mask if region is None else region
        scores = self.challenge(pred, target, mask)
        undefined = fault_of(pred, target, mask) is not None
        ssim = float("nan") if undefined else structural_similarity(pred, target, mask, SynthRAD2023.dynamic_range)
        return {**scores, "ssim": ssim}


class MRSimilarity:
    """MAE, PSNR, MS-SSIM and SSIM on the fixed range [0, 1], and normalised cross-correlation, for an MR target.

    The target's percentiles inside its body become 0 and 1. Its body is found by ``body`` rather than taken from the
    mask of the evaluation, which may be drawn wide and hold air: the percentiles must be those that scale the modality
    everywhere else, or a perfect prediction would be found wrong. A prediction, whose model cannot know the target's
    scale, is divided by ``scale``, the documented scale on which synthetic MR is written. As in SynthRAD, MAE and
    correlation take the values as they are, while PSNR and the structural measures clip to the range.

    Args:
        lower, upper: percentiles of the target inside the body, in [0, 100].
        scale: value of a prediction that stands for the upper percentile.
        body: finds the body in a target, such as :class:`~transmodal.transforms.BodyMask`; without it the mask of the
            evaluation serves.
        bounds: values of every target that stand for 0 and 1, instead of percentiles; for a data set that was
            normalised as a whole and whose targets are therefore on one known scale.
    Raises:
        ValueError: if the percentiles are not ``0 <= lower < upper <= 100``, the scale is not positive or the bounds
            have no width.
    """

    dynamic_range: Range = (0.0, 1.0)
    measures: Mapping[str, Measure] = {
        "mae": Measure("of range", higher_is_better=False),
        "psnr": Measure("dB", higher_is_better=True),
        "ms_ssim": Measure("", higher_is_better=True),
        "ssim": Measure("", higher_is_better=True),
        "ncc": Measure("", higher_is_better=True),
    }

    def __init__(
        self,
        lower: float = 0.5,
        upper: float = 99.5,
        scale: float = 1000.0,
        body: Callable[[Tensor], Tensor] | None = None,
        bounds: Sequence[float] | None = None,
    ) -> None:
        if not 0 <= lower < upper <= 100 or scale <= 0:
            raise ValueError(f"wanted 0 <= lower < upper <= 100 and scale > 0, got {lower}, {upper} and {scale}")
        self.lower, self.upper, self.scale, self.body = float(lower), float(upper), float(scale), body
        if bounds is not None and not bounds[0] < bounds[1]:
            raise ValueError(f"wanted bounds with low < high, got {list(bounds)}")
        self.bounds = None if bounds is None else (float(bounds[0]), float(bounds[1]))

    @property
    def name(self) -> str:
        """Name of the protocol in tables and summaries, with its range."""
        if self.bounds is not None:
            return "MR on [0, 1], from {:g} to {:g} in every target".format(*self.bounds)
        return f"MR on [0, 1], target's percentiles {self.lower:g} to {self.upper:g} in the body"

    def comparable(self, target: Tensor, mask: Tensor) -> Tensor:
        """The target on the prediction's scale: percentiles to 0 and ``scale``, linear and unclipped, in float64.

        All NaN where the target has no scale, because it is constant or the mask is empty.
        """
        image, body = target.as_subclass(Tensor).double(), mask.as_subclass(Tensor) > 0
        if self.bounds is not None:
            return (image - self.bounds[0]) * (self.scale / (self.bounds[1] - self.bounds[0]))
        if not body.any():
            return torch.full_like(image, torch.nan)
        if self.body is not None and bool(torch.isfinite(image).all()):
            body = self.body(image if image.ndim == 4 else image[None]).as_subclass(Tensor).reshape(image.shape) > 0
        percentiles: Tensor = percentile(image[body], [self.lower, self.upper])  # type: ignore[assignment]
        low, high = percentiles.tolist()
        return (image - low) * (self.scale / (high - low)) if low < high else torch.full_like(image, torch.nan)

    def __call__(self, pred: Tensor, target: Tensor, mask: Tensor, region: Tensor | None = None) -> dict[str, float]:
        """Measures of a prediction on [0, ``scale``] against a raw target, by name; NaN where undefined.

        The target's percentiles come from its body, whatever region is scored.
        """
        reference = self.comparable(target, mask) / self.scale
        prediction = pred.as_subclass(Tensor).double() / self.scale
        mask = mask if region is None else region
        if fault_of(prediction, reference, mask):
            return dict.fromkeys(self.measures, float("nan"))
        return {
            "mae": mean_absolute_error(prediction, reference, mask),
            "psnr": peak_signal_to_noise_ratio(prediction, reference, mask, self.dynamic_range),
            "ms_ssim": multi_scale_structural_similarity(prediction, reference, mask, self.dynamic_range),
            "ssim": structural_similarity(prediction, reference, mask, self.dynamic_range),
            "ncc": normalised_cross_correlation(prediction, reference, mask),
        }


def normalised_cross_correlation(pred: Tensor, target: Tensor, mask: Tensor) -> float:
    """Pearson correlation inside the mask, in [-1, 1]; 0 where an image is constant and so explains nothing."""
    body = mask.as_subclass(Tensor) > 0
    if not body.any():
        return float("nan")
    x, y = (image.as_subclass(Tensor)[body].double() for image in (pred, target))
    if x.min() == x.max() or y.min() == y.max():
        return 0.0
    x, y = x - x.mean(), y - y.mean()
    return float(x @ y / (x.norm() * y.norm()))


def similarity_to_input(source: Tensor, output: Tensor, mask: Tensor) -> float:
    """SSIM between what a model received and what it returned, to tell translation from copying.

    Args:
        source, output: input and output on the network's scale [-1, 1], (1, H, W[, D]).
        mask: body, same shape.
    Returns:
        SSIM on the range [-1, 1], averaged over the body; from NEARLY_IDENTICAL on the output is suspected to be a
        copy. NaN where undefined.
    """
    if fault_of(output, source, mask):
        return float("nan")
    return structural_similarity(output, source, mask, (-1.0, 1.0))
