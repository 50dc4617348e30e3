"""Networks and their parts: tensors in, tensors out."""

from transmodal.networks.initialisation import fan_average_, fan_out_, initialized
from transmodal.networks.task import Task

__all__ = ["Task", "fan_average_", "fan_out_", "initialized"]
