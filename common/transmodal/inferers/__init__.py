"""Inferers whose call translates: ``inferer(inputs, network) -> pred``."""

from transmodal.inferers.ddgan import DDGANInferer, NormalNoise
from transmodal.inferers.slicewise import NumberedInferer, SliceWiseInferer, TargetInferer

__all__ = ["DDGANInferer", "NormalNoise", "NumberedInferer", "SliceWiseInferer", "TargetInferer"]
