"""Networks and their parts: tensors in, tensors out."""

from transmodal.networks.initialisation import fan_average_, fan_out_, initialized
from transmodal.networks.latent_scale import LatentScale
from transmodal.networks.task import Task

__all__ = ["LatentScale", "Task", "fan_average_", "fan_out_", "initialized"]
