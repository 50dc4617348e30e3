"""Networks and their parts: tensors in, tensors out."""

from transmodal.networks.initialisation import fan_average_, fan_out_, initialized

__all__ = ["fan_average_", "fan_out_", "initialized"]
