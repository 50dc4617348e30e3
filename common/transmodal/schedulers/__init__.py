"""Schedules: of learning rates, and of diffusion; and the samplers that walk a diffusion back."""

from transmodal.schedulers.condition_start import ConditionStartDDPMSampler, ConditionStartSampler
from transmodal.schedulers.cosine import CosineAnnealing
from transmodal.schedulers.ddgan import DDGANScheduler
from transmodal.schedulers.ddim import DDIMSampler
from transmodal.schedulers.gaussian import GaussianDiffusion
from transmodal.schedulers.linear_decay import LinearDecay
from transmodal.schedulers.noise import NormalNoise, SeededNoise, mixed
from transmodal.schedulers.sampler import ReverseSampler

__all__ = [
    "ConditionStartDDPMSampler",
    "ConditionStartSampler",
    "CosineAnnealing",
    "DDGANScheduler",
    "DDIMSampler",
    "GaussianDiffusion",
    "LinearDecay",
    "NormalNoise",
    "ReverseSampler",
    "SeededNoise",
    "mixed",
]
