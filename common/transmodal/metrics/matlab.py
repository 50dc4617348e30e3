"""MSE, PSNR and SSIM of whole images as MATLAB's ``immse``, ``psnr`` and ``ssim`` give them without further arguments.

Sources: the documentation of MATLAB's Image Processing Toolbox; Z. Wang et al., Image quality assessment: from error
visibility to structural similarity, IEEE TIP 13 (2004). Studies quote these numbers without saying more, and what is
not said matters. For floating-point images MATLAB takes 1 as peak of PSNR and as dynamic range of SSIM, whatever values
they hold: of images in [-1, 1] it finds 20 log10(2) = 6.02 dB less than with their true peak of 2. There is no mask;
where a body fills half of a volume, the air around it halves the MSE.

Every function takes two images of one shape with any number of axes, picture or volume. An axis of length 1, such as
that of the channel, changes nothing. Everything is computed in float64. Values that are not finite make a result NaN.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

__all__ = ["matlab_immse", "matlab_psnr", "matlab_ssim"]

SIGMA = 1.5  # voxels
RADIUS = 5  # voxels, at which the Gaussian window ends: three sigma, rounded up
VOXELS = 2**20  # looked at together


def matlab_immse(pred: Tensor, target: Tensor) -> float:
    """Mean squared error over all voxels, in the square of the images' unit.

    Raises:
        ValueError: if the shapes differ or are empty.
    """
    _check_shapes(pred, target)
    squares = (float((x - y).square().sum()) for x, y in zip(_pieces(pred), _pieces(target), strict=True))
    return math.fsum(squares) / target.numel()


def matlab_psnr(pred: Tensor, target: Tensor, peak: float = 1.0) -> float:
    """10 log10(peak² / MSE) in dB over all voxels; infinite for equal images.

    Args:
        pred, target: images in one unit.
        peak: width of their range in this unit; MATLAB's is 1 for floating point.
    Raises:
        ValueError: if the shapes differ or are empty, or the peak is not positive.
    """
    _check_width(peak)
    error = matlab_immse(pred, target)
    return 10.0 * math.log10(peak**2 / error) if error else math.inf


def matlab_ssim(pred: Tensor, target: Tensor, dynamic_range: float = 1.0) -> float:
    """SSIM with a Gaussian window, averaged over all voxels; volumes have a window of 11³ voxels, pictures of 11².

    Of every voxel, with means, variances and covariance weighted by the window, whose weights sum to 1 (moments are
    not corrected for bias), C1 = (0.01 L)² and C2 = (0.03 L)² (Wang 2004, equation 13)::

        SSIM = (2 μx μy + C1) (2 σxy + C2) / ((μx² + μy² + C1) (σx² + σy² + C2))

    Beyond the border an image goes on with its nearest value, so every voxel has a window. The volume is passed slab by
    slab: of 160 × 224 × 168 voxels 0.3 GB are held besides the images.

    Args:
        pred, target: images in one unit.
        dynamic_range: L in this unit; MATLAB's is 1 for floating point.
    Raises:
        ValueError: if the shapes differ or are empty, or the range is not positive.
    """
    _check_width(dynamic_range)
    _check_shapes(pred, target)
    x, y = (_plain(image) for image in (pred, target))
    c1, c2 = (0.01 * dynamic_range) ** 2, (0.03 * dynamic_range) ** 2
    window = _window()
    total = 0.0
    for slices in _slabs(x):
        mean_x, mean_y, product, power = _moments(x[slices].double(), y[slices].double(), window)
        means, squares = mean_x * mean_y, mean_x.square() + mean_y.square()
        structure = (2 * (product - means) + c2) / (power - squares + c2)
        total += float(((2 * means + c1) / (squares + c1) * structure).sum())
    return total / x.numel()


def _moments(x: Tensor, y: Tensor, window: Tensor) -> Tensor:
    """Weighted means of x, y, xy and x² + y² around every voxel of a slab that still has its margins."""
    moments = torch.stack([x, y, x * y, x.square() + y.square()])
    moments = _weighted(moments, 1, window)
    for axis in range(2, moments.ndim):
        margins = [moments.narrow(axis, end, 1).expand(_with(moments, axis)) for end in (0, moments.shape[axis] - 1)]
        moments = _weighted(torch.cat([margins[0], moments, margins[1]], dim=axis), axis, window)
    return moments


def _weighted(image: Tensor, axis: int, window: Tensor) -> Tensor:
    """Weighted mean along one axis, which loses ``RADIUS`` at either end.

    By shifted sums, which for float64 on a CPU are faster than a convolution.
    """
    length = image.shape[axis] - 2 * RADIUS
    total = image.narrow(axis, RADIUS, length) * float(window[RADIUS])
    for shift in range(1, RADIUS + 1):
        for start in (RADIUS - shift, RADIUS + shift):
            total.add_(image.narrow(axis, start, length), alpha=float(window[RADIUS + shift]))
    return total


def _slabs(image: Tensor) -> Iterator[Tensor]:
    """Indices along the first axis of each slab and its margins; beyond the border the nearest is taken again."""
    length = len(image)
    height = max(VOXELS // max(image[0].numel(), 1), 1)
    for start in range(0, length, height):
        stop = min(start + height, length)
        yield torch.arange(start - RADIUS, stop + RADIUS).clamp(0, length - 1)


def _window() -> Tensor:
    weights = torch.exp(-0.5 * (torch.arange(-RADIUS, RADIUS + 1, dtype=torch.float64) / SIGMA).square())
    return weights / weights.sum()


def _with(image: Tensor, axis: int) -> list[int]:
    shape = list(image.shape)
    shape[axis] = RADIUS
    return shape


def _plain(image: Tensor) -> Tensor:
    """Without metadata, gradient and axes of length 1, on the CPU; at least one axis."""
    plain = image.detach().as_subclass(Tensor).cpu().squeeze()
    return plain if plain.ndim else plain[None]


def _pieces(image: Tensor) -> Iterator[Tensor]:
    """All values, some at a time, in float64."""
    values = _plain(image).flatten()
    return (values[start : start + VOXELS].double() for start in range(0, len(values), VOXELS))


def _check_shapes(pred: Tensor, target: Tensor) -> None:
    if pred.shape != target.shape or not target.numel():
        raise ValueError(f"wanted two images of one shape, got {tuple(pred.shape)} and {tuple(target.shape)}")


def _check_width(width: float) -> None:
    if not width > 0:
        raise ValueError(f"wanted a peak or dynamic range above 0, got {width}")
