"""The radiograph laid into the volume: features of its picture where the rays that made them may have passed.

A frontal radiograph tells where in height and width something is, and nothing about its depth. So its features are
taken to the height and width of the volume and repeated along the depth. Rays are taken as parallel, whereas those of a
cone-beam diverge by a few per cent within the patient; what the network learns from the features absorbs that.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from transmodal.errors import InputError


def resampling_matrix(out_size: int, in_size: int, share: float = 1.0, device: torch.device | None = None) -> Tensor:
    """Weights that take ``in_size`` samples of an axis to ``out_size`` samples of its middle.

    Weights fall linearly with the distance over the wider of both spacings, so that nothing is skipped where the new
    samples lie farther apart. Beyond its ends the axis goes on with the value there.

    Args:
        share: of the axis that the new samples cover, about its middle; above 1 they reach beyond it.
    Returns:
        (out_size, in_size), float32; rows sum to 1.
    """
    spacing = share * in_size / out_size  # between new samples, in old samples
    inwards = torch.arange(out_size, dtype=torch.float32, device=device) - (out_size - 1) / 2
    wanted = ((in_size - 1) / 2 + inwards * spacing).clamp(min=0.0, max=float(in_size - 1))
    given = torch.arange(in_size, dtype=torch.float32, device=device)
    weights = (1 - (wanted[:, None] - given[None, :]).abs() / max(spacing, 1.0)).clamp(min=0)
    return weights / weights.sum(dim=1, keepdim=True)


def back_projected(plane: Tensor, frames: int, height: int, width: int, coverage: float) -> Tensor:
    """Lay features of a frontal radiograph into a volume.

    Args:
        plane: (B, P, h, w), rows from head to feet, columns from the patient's right to left.
        frames, height, width: of the volume: feet to head, front to back, right to left.
        coverage: extent of the volume along the frames, as a share of that of the plane along its rows; both are as
            wide as each other.
    Returns:
        (B, P, frames, height, width), the same at every depth; a view that shares the memory of one depth.
    """
    rows = resampling_matrix(frames, plane.shape[2], coverage, plane.device).to(plane.dtype).flip(0)
    columns = resampling_matrix(width, plane.shape[3], 1.0, plane.device).to(plane.dtype)
    return (rows @ plane @ columns.t())[:, :, :, None, :].expand(-1, -1, -1, height, -1)


class BackProjection(nn.Module):
    """Joins the back-projected radiograph to the noisy volume, as further channels.

    Args:
        channels: of the plane, P.
        coverage: extent of the volume from feet to head, as a share of that of the radiograph.
    Raises:
        InputError: if ``coverage`` is no positive number.
    """

    def __init__(self, channels: int, coverage: float = 320 / 384) -> None:
        super().__init__()
        if isinstance(coverage, str) or not coverage > 0:
            raise InputError(
                "BackProjection, coverage",
                found=repr(coverage),
                wanted="a positive number",
                remedy="give the height of the field of view as a share of its width, such as 0.8333",
            )
        self.coverage = coverage
        self.null = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, noisy: Tensor, plane: Tensor, drop: Tensor | None = None) -> Tensor:
        """Join both.

        Args:
            noisy: (B, C, F, H, W).
            plane: (B, P, h, w), rows from head to feet, columns from the patient's right to left.
            drop: samples that see the learnt value instead of the plane, (B,) bool.
        Returns:
            (B, C + P, F, H, W), in the type of ``noisy``.
        """
        if drop is not None:
            plane = torch.where(drop[:, None, None, None], self.null.to(plane.dtype), plane)
        laid = back_projected(plane, noisy.shape[2], noisy.shape[3], noisy.shape[4], self.coverage)
        return torch.cat([noisy, laid.to(noisy.dtype)], dim=1)
