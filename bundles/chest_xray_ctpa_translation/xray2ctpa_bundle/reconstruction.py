"""Volumes through an autoencoder and back: what a diffusion of its latents could reach at best."""

from __future__ import annotations

from typing import Any

import torch
from monai.inferers import Inferer
from torch import Tensor, nn

from transmodal.inferers import check_arguments, plain_input, with_metadata_of

__all__ = ["Reconstruction"]


class Reconstruction(Inferer):
    """Encode and decode CT volumes; the validation of an autoencoder's training.

    Memory is bounded by the autoencoder's own settings, ``slices_at_once`` or ``slab``.

    Args:
        amp: run the autoencoder under bfloat16 autocast.
    Raises:
        InputError: if ``amp`` is no truth value.
    """

    def __init__(self, amp: bool = False) -> None:
        self.amp = amp
        check_arguments(self, {}, flags=("amp",))

    @torch.no_grad()
    def __call__(self, inputs: Tensor, network: nn.Module, *args: Any, **kwargs: Any) -> Tensor:
        """Reconstruct volumes.

        Args:
            inputs: (B, 1, F, H, W) in [-1, 1].
            network: an autoencoder, or a network with one as its child ``autoencoder``, on the device to compute on.
            args, kwargs: not used; MONAI's engines and applications may hand over more than the image.
        Returns:
            (B, 1, F, H, W) in [-1, 1], float32, with the metadata of ``inputs``.
        Raises:
            InputError: if ``inputs`` are no volumes of one channel.
        """
        autoencoder = getattr(network, "autoencoder", network)
        volume = plain_input(inputs, autoencoder, "Reconstruction", 3, "reconstruct volumes on the working grid")
        with torch.autocast(volume.device.type, dtype=torch.bfloat16, enabled=self.amp):
            reconstruction = autoencoder.decode(autoencoder.encode(volume))
        return with_metadata_of(inputs, reconstruction.float())
