"""3D convolutions that keep the size of volumes, or halve or double it, with edge voxels repeated beyond the border.

Each may take what comes behind a group norm and an activation, and make its result a few slices at a time: the norm
looks at the whole volume, but its two numbers per channel are found without a copy of it, so that only input and result
are ever whole. Source of the padding: W. Yan et al., VideoGPT, 2021, arXiv:2104.10157.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["SameConv", "SameTransposed", "Stride"]

Stride = tuple[int, ...]


class SameConv(nn.Conv3d):
    """A convolution whose result has the size of the input divided by the stride.

    Args:
        in_channels, out_channels: of input and result.
        kernel_size: at least the stride, along every axis.
        stride: along each axis.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: Stride = (1, 1, 1)) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride)
        self.beyond = [_beyond(kernel_size, step) for step in stride]

    def forward(self, features: Tensor, norm: nn.GroupNorm | None = None, slab: int | None = None) -> Tensor:
        """Convolve ``features``, (B, C, F, H, W), behind ``norm`` and SiLU if there is a norm.

        Args:
            features: with sizes divisible by the stride.
            norm: of the input.
            slab: slices of the result that are made together; all if None.
        """
        kernel, step = self.kernel_size[0], self.stride[0]
        length = features.shape[2] // step

        def window(start: int, stop: int) -> tuple[int, int]:
            return start * step, (stop - 1) * step + kernel

        return _in_slabs(super().forward, features, norm, self.beyond, window, length, slab or length)


class SameTransposed(nn.ConvTranspose3d):
    """A transposed convolution whose result has the size of the input times the stride; arguments as above."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: Stride = (1, 1, 1)) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, padding=kernel_size - 1)
        self.beyond = [_beyond(kernel_size, step) for step in stride]

    def forward(self, features: Tensor, norm: nn.GroupNorm | None = None, slab: int | None = None) -> Tensor:
        """As for :class:`SameConv`; a slab is made longer where it has no whole number of steps."""
        kernel, step = self.kernel_size[0], self.stride[0]
        length = features.shape[2] * step

        def window(start: int, stop: int) -> tuple[int, int]:
            return start // step, (stop + kernel - 2) // step + 1

        at_once = -(-(slab or length) // step) * step
        return _in_slabs(super().forward, features, norm, self.beyond, window, length, at_once)


def _beyond(kernel: int, step: int) -> tuple[int, int]:
    """How many voxels are repeated before and behind an axis; the larger half comes first."""
    total = kernel - step
    return total - total // 2, total // 2


def _in_slabs(
    convolve: Callable[[Tensor], Tensor],
    features: Tensor,
    norm: nn.GroupNorm | None,
    beyond: Sequence[tuple[int, int]],
    window: Callable[[int, int], tuple[int, int]],
    length: int,
    slab: int,
) -> Tensor:
    """Results of ``convolve`` for slices from 0 to ``length``, ``slab`` at a time.

    Args:
        beyond: repeated voxels before and behind each axis.
        window: slices of the padded input that those from start to stop of the result depend on.
    """
    if norm is not None and slab >= length:
        features, norm = F.silu(norm(features)), None
    normalise = _normalisation(features, norm)
    before, sides = beyond[0][0], [amount for axis in (beyond[2], beyond[1]) for amount in axis]

    def part(start: int) -> Tensor:
        first, last = window(start, min(start + slab, length))
        slices = torch.arange(first - before, last - before, device=features.device).clamp(0, features.shape[2] - 1)
        normalised = normalise(features.index_select(2, slices))
        return convolve(F.pad(normalised, [*sides, 0, 0], mode="replicate") if any(sides) else normalised)

    return _joined(map(part, range(0, length, slab)), length)


def _joined(parts: Iterator[Tensor], length: int) -> Tensor:
    """Parts of ``length`` slices in all, put together; without gradients none is kept beside the whole."""
    first = next(parts)
    done = first.shape[2]
    if done == length:
        return first
    if torch.is_grad_enabled():
        return torch.cat([first, *parts], dim=2)
    whole = first.new_empty(*first.shape[:2], length, *first.shape[3:])
    whole[:, :, :done] = first
    for part in parts:
        whole[:, :, done : done + part.shape[2]] = part
        done += part.shape[2]
    return whole


def _normalisation(features: Tensor, norm: nn.GroupNorm | None) -> Callable[[Tensor], Tensor]:
    """Group norm by the whole of ``features``, and SiLU, for any of its slices; nothing without a norm."""
    if norm is None:
        return lambda part: part
    with torch.autocast(features.device.type, enabled=False):
        grouped = features.float().unflatten(1, (norm.num_groups, -1)).flatten(2)
        variance, mean = torch.var_mean(grouped, dim=2, correction=0)
        per_group = features.shape[1] // norm.num_groups
        gain = torch.rsqrt(variance + norm.eps).repeat_interleave(per_group, dim=1) * norm.weight
        shift = norm.bias - mean.repeat_interleave(per_group, dim=1) * gain
    gain, shift = (value[:, :, None, None, None].to(features.dtype) for value in (gain, shift))
    return lambda part: F.silu(part * gain + shift)
