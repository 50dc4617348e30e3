"""Schedules: of learning rates, and of diffusion; and the samplers that walk a diffusion back."""

from transmodal.schedulers.condition_start import ConditionStartDDPMSampler, ConditionStartSampler
from transmodal.schedulers.cosine import CosineAnnealing
from transmodal.schedulers.cosine_diffusion import CosineDiffusion
from transmodal.schedulers.ddgan import DDGANScheduler
from transmodal.schedulers.ddim import DDIMSampler
from transmodal.schedulers.gaussian import BetaDiffusion, Diffusion, GaussianDiffusion
from transmodal.schedulers.linear_decay import LinearDecay
from transmodal.schedulers.noise import NormalNoise, SeededNoise, mixed
from transmodal.schedulers.rectified_flow import RectifiedFlow, RectifiedFlowSampler
from transmodal.schedulers.sampler import ReverseSampler
from transmodal.schedulers.thresholding import DynamicThreshold
from transmodal.schedulers.velocity import VelocityNet, VelocityWeight

__all__ = [
    "BetaDiffusion",
    "ConditionStartDDPMSampler",
    "ConditionStartSampler",
    "CosineAnnealing",
    "CosineDiffusion",
    "DDGANScheduler",
    "DDIMSampler",
    "Diffusion",
    "DynamicThreshold",
    "GaussianDiffusion",
    "LinearDecay",
    "NormalNoise",
    "RectifiedFlow",
    "RectifiedFlowSampler",
    "ReverseSampler",
    "SeededNoise",
    "VelocityNet",
    "VelocityWeight",
    "mixed",
]
