"""The two generators of a CycleGAN (Zhu et al. 2017) as the one network that inference needs."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Translators(nn.Module):
    """Both directions in one module and one state dict; the direction is chosen at each call.

    Args:
        ct: makes CT from MR; a network from (B, C, H, W[, D]) to the same shape, [-1, 1] to [-1, 1].
        mr: makes MR from CT, likewise.
    """

    def __init__(self, ct: nn.Module, mr: nn.Module) -> None:
        super().__init__()
        self.ct = ct
        self.mr = mr

    def forward(self, image: Tensor, target: str = "ct") -> Tensor:
        """Translate ``image`` to the modality ``target``.

        Args:
            image: the other modality, (B, C, H, W[, D]) in [-1, 1].
            target: ``"ct"`` or ``"mr"``.
        Returns:
            The translation, of the same shape, in [-1, 1].
        Raises:
            ValueError: for another ``target``.
        """
        if target == "ct":
            return self.ct(image)
        if target == "mr":
            return self.mr(image)
        raise ValueError(f"found target '{target}'; wanted 'ct' or 'mr'. Set `target` to the modality to be made.")


class GreyImages(nn.Module):
    """A colour network as a translator of grey images, so that published colour checkpoints serve.

    The grey image is repeated in every channel on the way in; the mean of the channels is the grey on the way out.

    Args:
        network: from (B, channels, H, W[, D]) to any number of channels.
        channels: that ``network`` takes.
    """

    def __init__(self, network: nn.Module, channels: int = 3) -> None:
        super().__init__()
        self.network = network
        self.channels = channels

    def forward(self, image: Tensor) -> Tensor:
        """Translate ``image``, (B, 1, H, W[, D]) in [-1, 1], to the same shape and range."""
        return self.network(torch.cat([image] * self.channels, dim=1)).mean(dim=1, keepdim=True)
