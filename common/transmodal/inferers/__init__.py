"""Inferers whose call translates: ``inferer(inputs, network) -> pred``."""

from transmodal.inferers.ddgan import DDGANInferer
from transmodal.inferers.images import plain_input, with_metadata_of
from transmodal.inferers.noise_prediction import NoisePredictionInferer
from transmodal.inferers.planes import PlaneAverage
from transmodal.inferers.progress import Calls, ProgressInferer, calls_of
from transmodal.inferers.sampling import SamplingInferer, check_arguments, mean_and_deviation
from transmodal.inferers.slicewise import NumberedInferer, SliceWiseInferer, TargetInferer
from transmodal.schedulers.noise import NormalNoise

__all__ = [
    "Calls",
    "DDGANInferer",
    "NoisePredictionInferer",
    "NormalNoise",
    "NumberedInferer",
    "PlaneAverage",
    "ProgressInferer",
    "SamplingInferer",
    "SliceWiseInferer",
    "TargetInferer",
    "calls_of",
    "check_arguments",
    "mean_and_deviation",
    "plain_input",
    "with_metadata_of",
]
