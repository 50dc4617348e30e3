"""The critic that judges each pixel by itself: the 1×1 PatchGAN of Isola et al. 2017 (arXiv:1611.07004, section 3.2.2).

MONAI's ``PatchDiscriminator`` cannot express it, because its first layer always halves the image.
"""

from __future__ import annotations

from collections import OrderedDict

from monai.networks.layers import Conv
from monai.networks.layers.utils import get_norm_layer
from torch import Tensor, nn

from transmodal.networks.nets.resnet_generator import INSTANCE_NORM, Norm


class PixelDiscriminator(nn.Module):
    """Three pointwise convolutions: it sees intensities and no structure.

    Args:
        spatial_dims: 2 for slices, 3 for volumes.
        channels: width of the first layer; the second is twice as wide.
        in_channels: channels of the image.
        norm: a MONAI norm without a shift of its own, its name or its name and arguments.
    """

    def __init__(
        self, spatial_dims: int = 2, channels: int = 64, in_channels: int = 1, norm: Norm = INSTANCE_NORM
    ) -> None:
        super().__init__()
        conv = Conv[Conv.CONV, spatial_dims]
        self.initial = nn.Sequential(
            OrderedDict(conv=conv(in_channels, channels, kernel_size=1), activation=nn.LeakyReLU(0.2))
        )
        self.middle = nn.Sequential(
            OrderedDict(
                conv=conv(channels, 2 * channels, kernel_size=1),
                norm=get_norm_layer(norm, spatial_dims=spatial_dims, channels=2 * channels),
                activation=nn.LeakyReLU(0.2),
            )
        )
        self.head = conv(2 * channels, 1, kernel_size=1)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Judge ``image``, (B, in_channels, H, W[, D]).

        Returns:
            The features of both layers and, last, a logit per pixel (B, 1, H, W[, D]), as MONAI's patch critics do.
        """
        first = self.initial(image)
        second = self.middle(first)
        return [first, second, self.head(second)]
