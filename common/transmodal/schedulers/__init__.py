"""Schedules: of learning rates, and of diffusion."""

from transmodal.schedulers.linear_decay import LinearDecay

__all__ = ["LinearDecay"]
