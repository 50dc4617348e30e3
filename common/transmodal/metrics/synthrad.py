"""Image similarity as the SynthRAD challenges measure it, in float64, inside the body mask.

Sources: E. M. C. Huijben et al., Generating synthetic computed tomography for radiotherapy: SynthRAD2023 challenge
report, Med. Image Anal. 97 (2024); SynthRAD2025 challenge, https://github.com/SynthRAD2025/evaluation; Z. Wang et al.,
Image quality assessment: from error visibility to structural similarity, IEEE TIP 13 (2004); Z. Wang, E. P. Simoncelli
and A. C. Bovik, Multiscale structural similarity for image quality assessment, Asilomar (2003).

Every function takes a volume (H, W, D) or (1, H, W, D), or a picture (H, W) or (1, H, W), which counts as a volume of
one slice, and a mask of the same shape whose non-zero voxels are the body. What the challenges leave open is settled
here:

- A body mask without voxels, or a value in it that is not finite, leaves every measure undefined: NaN, which no mean
  may take in. Outside the body anything is allowed.
- A perfect prediction gets ``PSNR_CEILING`` instead of infinity, and no PSNR is higher.
- SSIM averages windows that lie wholly in the volume, so an axis shorter than the window is first extended by its edge
  values, such that each of its slices counts.
- MS-SSIM extends every axis to 97 in the same way. Where a small body vanishes at a coarse scale it is undefined.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from transmodal.errors import InputError, require_flag

__all__ = [
    "PSNR_CEILING",
    "Measure",
    "SynthRAD2023",
    "SynthRAD2025",
    "fault_of",
    "mean_absolute_error",
    "multi_scale_structural_similarity",
    "peak_signal_to_noise_ratio",
    "structural_similarity",
]

PSNR_CEILING = 100.0
"""In dB. On the CT range this is a root mean squared error of 0.04 HU, far below the 1 HU in which CT is stored."""
WINDOW = 7
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
SHORTEST_SIDE = 97  # halved four times, rounding up, this is one window

Range = tuple[float, float]


class Measure(NamedTuple):
    """How to read one number of a protocol: its unit, empty for a ratio, and which direction is good."""

    unit: str
    higher_is_better: bool


class SynthRAD2025:
    """MAE, PSNR and MS-SSIM of SynthRAD2025.

    The challenge's two repositories disagree on the range to which images are clipped: ``metrics``, which participants
    run, says [-1024, 3000] HU and ``evaluation``, which made the leaderboard, [-1024, 3071] HU, 0.05 dB apart.

    Args:
        dynamic_range: clipping range in HU, and the peak of PSNR and SSIM by its width.
        corrected: take the luminance of MS-SSIM at the coarsest scale only, as Wang 2003 defines it. The challenge
            takes it at every scale; that is the default.
    Raises:
        InputError: if ``corrected`` is not a boolean.
        ValueError: if the range is empty.
    """

    measures: Mapping[str, Measure] = {
        "mae": Measure("HU", higher_is_better=False),
        "psnr": Measure("dB", higher_is_better=True),
        "ms_ssim": Measure("", higher_is_better=True),
    }

    def __init__(self, dynamic_range: Sequence[float] = (-1024.0, 3000.0), corrected: bool = False) -> None:
        require_flag(
            "SynthRAD2025, corrected", corrected, "in JSON write true or false; on a command line True or False"
        )
        self.dynamic_range, self.corrected = _checked_range(dynamic_range), corrected

    @property
    def name(self) -> str:
        """Name of the protocol in tables and summaries, with its range."""
        low, high = self.dynamic_range
        return f"SynthRAD2025 [{low:g}, {high:g}]" + (", luminance as Wang 2003" if self.corrected else "")

    def comparable(self, target: Tensor, mask: Tensor) -> Tensor:
        """The target in the units of a prediction: HU are HU."""
        return target

    def __call__(self, pred: Tensor, target: Tensor, mask: Tensor, region: Tensor | None = None) -> dict[str, float]:
        """Measures of a prediction in HU inside the body, or inside a region if given, by name; NaN where undefined."""
        mask = mask if region is None else region
        if fault_of(pred, target, mask):
            return dict.fromkeys(self.measures, float("nan"))
        return {
            "mae": mean_absolute_error(pred, target, mask),
            "psnr": peak_signal_to_noise_ratio(pred, target, mask, self.dynamic_range),
            "ms_ssim": multi_scale_structural_similarity(
                pred, target, mask, self.dynamic_range, luminance_at_every_scale=not self.corrected
            ),
        }


class SynthRAD2023:
    """MAE, PSNR and SSIM of SynthRAD2023, on the range [-1024, 3000] HU."""

    name = "SynthRAD2023 [-1024, 3000]"
    dynamic_range: Range = (-1024.0, 3000.0)
    measures: Mapping[str, Measure] = {
        "mae": Measure("HU", higher_is_better=False),
        "psnr": Measure("dB", higher_is_better=True),
        "ssim": Measure("", higher_is_better=True),
    }

    def comparable(self, target: Tensor, mask: Tensor) -> Tensor:
        """The target in the units of a prediction: HU are HU."""
        return target

    def __call__(self, pred: Tensor, target: Tensor, mask: Tensor, region: Tensor | None = None) -> dict[str, float]:
        """Measures of a prediction in HU inside the body, or inside a region if given, by name; NaN where undefined."""
        mask = mask if region is None else region
        if fault_of(pred, target, mask):
            return dict.fromkeys(self.measures, float("nan"))
        return {
            "mae": mean_absolute_error(pred, target, mask),
            "psnr": peak_signal_to_noise_ratio(pred, target, mask, self.dynamic_range),
            "ssim": structural_similarity(pred, target, mask, self.dynamic_range),
        }


def fault_of(pred: Tensor, target: Tensor, mask: Tensor) -> str | None:
    """Why a case cannot be scored, in words, or None if it can."""
    prediction, reference, body = _volumes(pred, target, mask)
    if not body.any():
        return "the body mask is empty"
    for image, name in ((reference, "target"), (prediction, "prediction")):
        count = int((~torch.isfinite(image[body])).sum())
        if count:
            return f"the {name} has no finite value at {count} of {int(body.sum())} voxels inside the body"
    return None


def mean_absolute_error(pred: Tensor, target: Tensor, mask: Tensor) -> float:
    """Mean absolute difference inside the mask, unclipped, in the images' unit; NaN for an empty mask."""
    prediction, reference, body = _volumes(pred, target, mask)
    return float((prediction[body] - reference[body]).abs().mean())


def peak_signal_to_noise_ratio(pred: Tensor, target: Tensor, mask: Tensor, dynamic_range: Range) -> float:
    """PSNR in dB inside the mask, both images clipped to the range whose width is the peak; at most PSNR_CEILING."""
    low, high = dynamic_range
    prediction, reference, body = _volumes(pred, target, mask)
    error = (prediction[body].clamp(low, high) - reference[body].clamp(low, high)).square().mean()
    return float((10.0 * torch.log10((high - low) ** 2 / error)).clamp(max=PSNR_CEILING))


def structural_similarity(pred: Tensor, target: Tensor, mask: Tensor, dynamic_range: Range) -> float:
    """SSIM with a uniform window of 7³ voxels, averaged over the mask where the whole window lies in the volume.

    Both images are clipped to the range and set to its lower end outside the mask.
    """
    x, y, body = _background_free(pred, target, mask, dynamic_range)
    margin = [WINDOW // 2 if side < WINDOW else 0 for side in x.shape]
    x, y, body = (_edge_padded(volume, margin, margin) for volume in (x, y, body))
    luminance, structure = _window_terms(x, y, dynamic_range)
    return _body_mean(luminance * structure, body)


def multi_scale_structural_similarity(
    pred: Tensor, target: Tensor, mask: Tensor, dynamic_range: Range, luminance_at_every_scale: bool = True
) -> float:
    """MS-SSIM over five scales with a uniform window of 7³ voxels, each scale averaged over the mask.

    At scale j of weight w_j the map is (l · cs)^w_j, cs clipped at zero; the result is the product of the five means.
    Images are halved by averaging 2³ voxels, the mask by taking every other voxel.

    Args:
        luminance_at_every_scale: as the challenge computes it; otherwise l enters at the coarsest scale only.
    """
    x, y, body = _background_free(pred, target, mask, dynamic_range)
    missing = [max(SHORTEST_SIDE - side, 0) for side in x.shape]
    before, after = [count // 2 for count in missing], [count - count // 2 for count in missing]
    x, y, body = (_edge_padded(volume, before, after) for volume in (x, y, body))
    product = 1.0
    for scale, weight in enumerate(SCALE_WEIGHTS):
        if scale:
            x, y, body = _halved(x), _halved(y), body[::2, ::2, ::2]
        luminance, structure = _window_terms(x, y, dynamic_range)
        similarity = structure.clamp(min=0)
        if luminance_at_every_scale or scale == len(SCALE_WEIGHTS) - 1:
            similarity = luminance * similarity
        product *= _body_mean(similarity**weight, body)
    return product


def _window_terms(x: Tensor, y: Tensor, dynamic_range: Range) -> tuple[Tensor, Tensor]:
    """Luminance l, and contrast times structure cs, of every window, with sample (co)variances (Wang 2004).

    With C3 = C2 / 2 the deviations cancel in c · s = (2 σ_xy + C2) / (σ_x² + σ_y² + C2), which has the sign of s since
    c > 0. Images are non-negative, so l > 0 too.
    """
    width = dynamic_range[1] - dynamic_range[0]
    c1, c2 = (0.01 * width) ** 2, (0.03 * width) ** 2
    sample = WINDOW**3 / (WINDOW**3 - 1)
    mean_x, mean_y = _box_mean(x, WINDOW), _box_mean(y, WINDOW)
    product, power = mean_x * mean_y, mean_x**2 + mean_y**2
    covariance = sample * (_box_mean(x * y, WINDOW) - product)
    variances = sample * (_box_mean(x * x + y * y, WINDOW) - power)
    return (2 * product + c1) / (power + c1), (2 * covariance + c2) / (variances + c2)


def _box_mean(volume: Tensor, size: int) -> Tensor:
    """Mean of every size³ window inside the volume; each axis gets ``size - 1`` shorter.

    One axis after the other and by shifted sums: four times as fast as ``avg_pool3d`` on a CPU in float64.
    """
    for axis in range(3):
        length = volume.shape[axis] - size + 1
        total = volume.narrow(axis, 0, length).clone()
        for shift in range(1, size):
            total += volume.narrow(axis, shift, length)
        volume = total
    return volume / size**3


def _halved(volume: Tensor) -> Tensor:
    """Every other mean of 2³ voxels, the first one reaching beyond the volume, where it is zero."""
    return _box_mean(F.pad(volume, (1, 0) * 3), 2)[::2, ::2, ::2]


def _body_mean(similarity: Tensor, body: Tensor) -> float:
    """Mean of a map of windows over the body voxels at their centres."""
    inner = slice(WINDOW // 2, -(WINDOW // 2))
    return float(similarity[body[inner, inner, inner] > 0].mean())


def _background_free(pred: Tensor, target: Tensor, mask: Tensor, dynamic_range: Range) -> tuple[Tensor, Tensor, Tensor]:
    """Both images clipped and shifted to start at 0, which is also their value outside the body; and the body."""
    low, high = dynamic_range
    prediction, reference, body = _volumes(pred, target, mask)
    x, y = (torch.where(body, image.clamp(low, high), low) - low for image in (prediction, reference))
    return x, y, body.double()


def _edge_padded(volume: Tensor, before: Sequence[int], after: Sequence[int]) -> Tensor:
    pads = [count for pair in zip(reversed(before), reversed(after), strict=True) for count in pair]
    return F.pad(volume[None, None], pads, mode="replicate")[0, 0] if any(pads) else volume


def _volumes(pred: Tensor, target: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Prediction and target as float64 and the body as booleans, all (H, W, D) and without metadata.

    Raises:
        InputError: if the shapes differ or are not those of a single-channel image.
    """
    shapes = [tuple(image.shape) for image in (pred, target, mask)]
    single = len(shapes[0]) in (2, 3) or (len(shapes[0]) == 4 and shapes[0][0] == 1)
    if len(set(shapes)) > 1 or not single:
        raise InputError(
            "images to compare",
            found=f"prediction {shapes[0]}, target {shapes[1]} and mask {shapes[2]}",
            wanted="three equal shapes (H, W, D) or (1, H, W, D)",
            remedy="bring the prediction back to the native grid of the target before scoring it",
        )
    prediction, reference, inside = (_volume(image) for image in (pred, target, mask))
    return prediction.double(), reference.double(), inside > 0


def _volume(image: Tensor) -> Tensor:
    plain = image.detach().as_subclass(Tensor)
    return plain[..., None] if plain.ndim == 2 else plain.reshape(plain.shape[-3:])


def _checked_range(dynamic_range: Sequence[float]) -> Range:
    low, high = (float(bound) for bound in dynamic_range)
    if low >= high:
        raise ValueError(f"a dynamic range needs low < high, got [{low:g}, {high:g}]")
    return low, high
