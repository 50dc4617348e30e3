"""Networks and their parts: tensors in, tensors out."""

from transmodal.networks.initialisation import initialized

__all__ = ["initialized"]
