"""What networks are trained to make small."""

from transmodal.losses.adversarial import SoftplusLoss
from transmodal.losses.gradient_penalty import LazyR1, r1_penalty
from transmodal.losses.perceptual import LPIPS, FeatureDistance, ResNet50Features, VGG16Features

__all__ = ["LPIPS", "FeatureDistance", "LazyR1", "ResNet50Features", "SoftplusLoss", "VGG16Features", "r1_penalty"]
