"""Schedules: of learning rates, and of diffusion."""

from transmodal.schedulers.cosine import CosineAnnealing
from transmodal.schedulers.ddgan import DDGANScheduler
from transmodal.schedulers.linear_decay import LinearDecay
from transmodal.schedulers.noise import SeededNoise, mixed

__all__ = ["CosineAnnealing", "DDGANScheduler", "LinearDecay", "SeededNoise", "mixed"]
