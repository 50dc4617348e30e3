"""DenseNet-121 for volumes of uneven resolution, and for latents of volumes: MONAI's, with a first stride of its own.

Source: G. Huang, Z. Liu, L. van der Maaten, K. Q. Weinberger, Densely connected convolutional networks, CVPR 2017
(arXiv:1608.06993), table 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from monai.networks.nets import DenseNet
from monai.utils.misc import ensure_tuple_rep
from torch.nn.modules.conv import _ConvNd

from transmodal.errors import InputError

__all__ = ["VolumeDenseNet121"]


class VolumeDenseNet121(DenseNet):
    """MONAI's ``DenseNet``, whose first convolution may step differently along each axis.

    A stack of thick slices, or of latents of slices, is already coarse along its first axis: with a first stride of
    (1, 2, 2) only the slices are halved. Otherwise it is MONAI's network, weight for weight and key for key.

    Args:
        spatial_dims: 2 for radiographs, 3 for volumes.
        in_channels: channels of the image.
        out_channels: logits; one for a finding that is there or not.
        first_stride: of the first convolution, for all axes or for each of them.
        init_features: width of the first convolution.
        growth_rate: what each dense layer adds to the width.
        block_config: dense layers of each block; the default is DenseNet-121.
        norm: a MONAI norm. Batch norm needs several images in a batch; group norm does not depend on them.
        dropout: behind each dense layer, in training.
    """

    def __init__(
        self,
        spatial_dims: int = 3,
        in_channels: int = 1,
        out_channels: int = 1,
        first_stride: int | Sequence[int] = 2,
        init_features: int = 64,
        growth_rate: int = 32,
        block_config: Sequence[int] = (6, 12, 24, 16),
        norm: str | tuple[str, dict[str, object]] = "batch",
        dropout: float = 0.0,
    ) -> None:
        super().__init__(
            spatial_dims=spatial_dims,
            in_channels=in_channels,
            out_channels=out_channels,
            init_features=init_features,
            growth_rate=growth_rate,
            block_config=block_config,
            norm=norm,
            dropout_prob=dropout,
        )
        first = cast(_ConvNd, self.features.get_submodule("conv0"))
        first.stride = _strides(first_stride, spatial_dims)


def _strides(stride: int | Sequence[int], spatial_dims: int) -> tuple[int, ...]:
    try:
        strides = ensure_tuple_rep(stride, spatial_dims)
    except ValueError:
        strides = ()
    if not strides or any(isinstance(each, bool) or not isinstance(each, int) or each < 1 for each in strides):
        raise InputError(
            "VolumeDenseNet121, first_stride",
            found=repr(stride),
            wanted=f"one whole number of 1 or more, or {spatial_dims} of them",
            remedy="correct 'first_stride'; (1, 2, 2) leaves the first axis as it is",
        )
    return tuple(strides)
