"""Whole networks, 2D and 3D from one class."""

from transmodal.networks.nets.pixel_discriminator import PixelDiscriminator
from transmodal.networks.nets.resnet_generator import ResNetGenerator

__all__ = ["PixelDiscriminator", "ResNetGenerator"]
