"""Random weights to start training from, as adversarial methods want them (Zhu et al. 2017, appendix 7.1)."""

from __future__ import annotations

from functools import partial

import torch
from monai.networks.utils import normal_init
from torch import nn


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
