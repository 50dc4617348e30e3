"""Whole networks, 2D and 3D from one class."""

from transmodal.networks.nets.deeplab import DeepLabV3, DeepLabV3Plus
from transmodal.networks.nets.ncsnpp import NCSNpp, NCSNppTrunk
from transmodal.networks.nets.pixel_discriminator import PixelDiscriminator
from transmodal.networks.nets.resnet_generator import ResNetGenerator
from transmodal.networks.nets.slice_classifier import CalibratedClassifier, SliceClassifier
from transmodal.networks.nets.time_discriminator import TimeDiscriminator

__all__ = [
    "CalibratedClassifier",
    "DeepLabV3",
    "DeepLabV3Plus",
    "NCSNpp",
    "NCSNppTrunk",
    "PixelDiscriminator",
    "ResNetGenerator",
    "SliceClassifier",
    "TimeDiscriminator",
]
