"""Latents of one's own CTs as files: from volumes on the working grid to ``<case>/latent.npy``."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.inferers import Inferer
from monai.transforms import MapTransform
from torch import Tensor, nn

from transmodal.checkpoints import load_weights, read_checkpoint
from transmodal.errors import InputError
from transmodal.files import write_atomically
from transmodal.inferers import plain_input

__all__ = ["Encoding", "SaveLatentd", "with_autoencoder"]

logger = logging.getLogger(__name__)

WITHIN = "autoencoder."
"""Beginning of the autoencoder's keys in the weights of the whole network."""
COMMAND = (
    "train the autoencoder with `python -m monai.bundle run --config_file "
    "\"['configs/train.json','configs/train_autoencoder.json']\"` and give --ckpt_path models/autoencoder.pt, or "
    "import a published one with `tools/import_weights.py`"
)


def with_autoencoder(network: nn.Module, path: str | Path) -> nn.Module:
    """Load a network, or its autoencoder alone, which is what makes latents.

    Args:
        network: with a child ``autoencoder``; receives the weights in place.
        path: weights of the whole network, which also tell what it was trained for, or of the autoencoder alone.
    Returns:
        ``network``.
    Raises:
        InputError: if the file is missing, unreadable or not wholly of this network or its autoencoder.
    """
    if not Path(path).exists():
        raise InputError(path, found="no such file", wanted="weights with a trained autoencoder", remedy=COMMAND)
    whole = any(key.startswith(WITHIN) for key in read_checkpoint(path))
    load_weights(network if whole else network.get_submodule("autoencoder"), path)
    return network


class Encoding(Inferer):
    """Encode CT volumes; memory is bounded by the autoencoder's own settings, ``slices_at_once`` or ``slab``."""

    @torch.no_grad()
    def __call__(self, inputs: Tensor, network: nn.Module, *args: Any, **kwargs: Any) -> Tensor:
        """The raw latents of volumes, as a training of the denoiser makes them.

        Args:
            inputs: (B, 1, F, H, W) in [-1, 1].
            network: an autoencoder, or a network with one as its child ``autoencoder``, on the device to compute on.
            args, kwargs: not used; MONAI's engines and applications may hand over more than the image.
        Returns:
            (B, C, f, h, w), float32.
        Raises:
            InputError: if ``inputs`` are no volumes of one channel.
        """
        autoencoder: Any = getattr(network, "autoencoder", network)
        volume = plain_input(inputs, autoencoder, "Encoding", 3, "encode volumes on the working grid, not pictures")
        latents: Tensor = autoencoder.encode(volume)
        return latents.float()


class SaveLatentd(MapTransform):
    """Writes latents as ``<output_dir>/<case>/latent.npy``, which :func:`transmodal.data.read_latent` reads.

    Args:
        keys: of the latents of one case, (C, f, h, w); each file appears whole or not at all, as float32.
        output_dir: root of the results.
        name: of the files, without extension.
        case_key: of the name of the case.
        allow_missing_keys: do without a key that is not there.
    """

    def __init__(
        self,
        keys: KeysCollection,
        output_dir: str | Path,
        name: str = "latent",
        case_key: str = "case",
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.output_dir, self.name, self.case_key = Path(output_dir), name, case_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Write the latents of a sample, and return it unchanged."""
        for key in self.key_iterator(data):
            latents = np.asarray(torch.as_tensor(data[key]).detach().cpu(), dtype=np.float32)
            path = self.output_dir / str(data[self.case_key]) / f"{self.name}.npy"
            write_atomically(path, lambda place, latents=latents: np.save(place, latents))  # type: ignore[misc]
            logger.info("wrote %s", path)
        return dict(data)
