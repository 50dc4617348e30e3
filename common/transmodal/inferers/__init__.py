"""Inferers whose call translates: ``inferer(inputs, network) -> pred``."""

from transmodal.inferers.slicewise import SliceWiseInferer, TargetInferer

__all__ = ["SliceWiseInferer", "TargetInferer"]
