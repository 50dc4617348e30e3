"""Inferers whose call translates: ``inferer(inputs, network) -> pred``."""

from transmodal.inferers.ddgan import DDGANInferer
from transmodal.inferers.noise_prediction import NoisePredictionInferer
from transmodal.inferers.planes import PlaneAverage
from transmodal.inferers.sampling import SamplingInferer, check_arguments, mean_and_deviation
from transmodal.inferers.slicewise import NumberedInferer, SliceWiseInferer, TargetInferer, with_metadata_of
from transmodal.schedulers.noise import NormalNoise

__all__ = [
    "DDGANInferer",
    "NoisePredictionInferer",
    "NormalNoise",
    "NumberedInferer",
    "PlaneAverage",
    "SamplingInferer",
    "SliceWiseInferer",
    "TargetInferer",
    "check_arguments",
    "mean_and_deviation",
    "with_metadata_of",
]
