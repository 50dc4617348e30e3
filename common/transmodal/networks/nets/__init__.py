"""Whole networks, 2D and 3D from one class."""

from transmodal.networks.nets.deeplab import DeepLabV3, DeepLabV3Plus
from transmodal.networks.nets.densenet import VolumeDenseNet121
from transmodal.networks.nets.finding_classifier import Decision, FindingClassifier
from transmodal.networks.nets.ncsnpp import NCSNpp, NCSNppTrunk
from transmodal.networks.nets.pixel_discriminator import PixelDiscriminator
from transmodal.networks.nets.resnet_generator import ResNetGenerator
from transmodal.networks.nets.slice_classifier import CalibratedClassifier, SliceClassifier
from transmodal.networks.nets.time_discriminator import TimeDiscriminator

__all__ = [
    "CalibratedClassifier",
    "Decision",
    "DeepLabV3",
    "DeepLabV3Plus",
    "FindingClassifier",
    "NCSNpp",
    "NCSNppTrunk",
    "PixelDiscriminator",
    "ResNetGenerator",
    "SliceClassifier",
    "TimeDiscriminator",
    "VolumeDenseNet121",
]
