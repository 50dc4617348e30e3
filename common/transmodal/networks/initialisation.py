"""Random weights to start training from, as the methods published them.

Normal weights for CycleGAN and its kin (Zhu et al. 2017, appendix 7.1); uniform variance scaling for the diffusion
networks (Song et al. 2021, "Score-based generative modeling through SDEs", after Glorot & Bengio 2010).
"""

from __future__ import annotations

import math
from functools import partial

import torch
from monai.networks.utils import normal_init
from torch import Tensor, nn


def initialized(network: nn.Module, device: str | torch.device | None = None, std: float = 0.02) -> nn.Module:
    """Draw convolution and linear weights from N(0, std) and batch-norm scales from N(1, std); biases become 0.

    The global random generator draws before the network moves, so one seed gives the same weights on every device.

    Args:
        network: changed in place.
        device: where it goes; where it is, if None.
        std: standard deviation.
    Returns:
        ``network``.
    """
    network.apply(partial(normal_init, std=std))
    return network if device is None else network.to(device)


def fan_average_(weight: Tensor, scale: float = 1.0) -> Tensor:
    """Draw ``weight`` from U(-b, b) with b = sqrt(3 scale / ((fan_in + fan_out) / 2)), in place.

    Args:
        weight: of a linear layer (out, in) or a convolution (out, in, *kernel).
        scale: of the variance; 1e-10 makes a layer that starts silent, as the last one of a residual branch should.
    Returns:
        ``weight``.
    """
    fan_in, fan_out = _fans(weight)
    return _uniform_(weight, 2 * scale / (fan_in + fan_out))


def fan_out_(weight: Tensor, scale: float = 1.0) -> Tensor:
    """Draw ``weight`` from U(-b, b) with b = sqrt(3 scale / fan_out), in place.

    The published dense layers and critics ask for the average of both fans and get this one.

    Args:
        weight, scale: as for :func:`fan_average_`.
    Returns:
        ``weight``.
    """
    return _uniform_(weight, scale / _fans(weight)[1])


def _fans(weight: Tensor) -> tuple[int, int]:
    receptive_field = math.prod(weight.shape[2:])
    return weight.shape[1] * receptive_field, weight.shape[0] * receptive_field


def _uniform_(weight: Tensor, variance: float) -> Tensor:
    bound = math.sqrt(3 * variance)
    return nn.init.uniform_(weight, -bound, bound)
