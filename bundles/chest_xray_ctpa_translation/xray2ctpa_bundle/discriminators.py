"""Critics of reconstructions, of single slices and of volumes, and the hinge by which they are trained.

Sources: P. Isola et al., Image-to-image translation with conditional adversarial networks, CVPR 2017 (PatchGAN);
J. H. Lim, J. C. Ye, Geometric GAN, 2017, arXiv:1705.02894 (hinge); layers as in S. Ge et al., Long video generation
with time-agnostic VQGAN and time-sensitive transformer, ECCV 2022, arXiv:2204.03638.
"""

from __future__ import annotations

from monai.networks.nets.patchgan_discriminator import PatchDiscriminator
from torch import Tensor
from torch.nn.functional import relu

__all__ = ["HingeLoss", "PatchCritic"]

KERNEL, PADDING = 4, 2


class PatchCritic(PatchDiscriminator):
    """A map of logits, one for each patch of a slice or volume; returns every stage's features, the logits last.

    Convolutions of width 4, all but the last two of which halve the size, batch norm in all but the first and the last.

    Args:
        spatial_dims: 2 for slices, 3 for volumes.
        channels: of the first stage; each further one has twice as many.
        num_layers: stages between the first one and the logits, 3 as published.
    """

    def __init__(self, spatial_dims: int, channels: int = 64, num_layers: int = 3) -> None:
        super().__init__(
            spatial_dims=spatial_dims,
            channels=channels,
            in_channels=1,
            num_layers_d=num_layers,
            kernel_size=KERNEL,
            bias=True,
            padding=PADDING,
        )
        self.final_conv.conv.padding = (PADDING,) * spatial_dims  # MONAI pads the last convolution by one less


class HingeLoss:
    """Half the mean distances of logits from the right side of a margin of 1; a scalar, in float32."""

    def real(self, logits: Tensor) -> Tensor:
        """The cost of logits below 1 for true images."""
        return 0.5 * relu(1 - logits.float()).mean()

    def fake(self, logits: Tensor) -> Tensor:
        """The cost of logits above -1 for made images."""
        return 0.5 * relu(1 + logits.float()).mean()
