"""Volumes through the autoencoder in bounded memory, with the result of the whole volume.

Nearly all of the autoencoder's memory is taken by its layers above the size of the latents, whose reach is short: a
strided or transposed convolution of width 4 looks one voxel beyond its own. Through all stages together that is less
than one latent voxel, so a slab with one latent slice more at each side is right everywhere but there. The layers at
the size of the latents reach far and take little; they run whole.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from mddga_bundle.padding import cropped_to
from mddga_bundle.vqvae import VQVAE, padded
from transmodal.errors import InputError

HALO = 1


def encode_in_slabs(autoencoder: VQVAE, image: Tensor, slab: int | None = None) -> Tensor:
    """Latents before quantisation, as ``autoencoder.encode`` makes them.

    Args:
        autoencoder: whose strided layers run on slabs.
        image: (B, 1, *S) in [-1, 1].
        slab: slices of the latents, along the first axis, in a slab; all at once if None.
    Returns:
        (B, E, *S / 4) with sizes rounded up.
    Raises:
        InputError: if ``slab`` is no positive number.
    """
    factor = autoencoder.downsampling
    image = padded(image, factor)

    def down(start: int, stop: int) -> Tensor:
        features: Tensor = autoencoder.encoder.down(image[:, :, factor * start : factor * stop])
        return features

    return autoencoder.encoder.latents(_in_slabs(down, image.shape[2] // factor, slab, factor=1))


def decode_in_slabs(
    autoencoder: VQVAE, codes: Tensor, size: list[int] | None = None, slab: int | None = None
) -> Tensor:
    """Image of quantised latents, as ``autoencoder.decode`` makes it.

    Args:
        autoencoder: whose transposed layers run on slabs.
        codes: (B, E, …).
        size: of the image, as for ``autoencoder.decode``.
        slab: as for :func:`encode_in_slabs`.
    Returns:
        (B, 1, *size) in [-1, 1].
    Raises:
        InputError: if ``slab`` is no positive number.
    """
    features = autoencoder.decoder.features(codes)

    def up(start: int, stop: int) -> Tensor:
        part: Tensor = autoencoder.decoder.up(features[:, :, start:stop])
        return part

    image = _in_slabs(up, codes.shape[2], slab, factor=autoencoder.downsampling)
    return image if size is None else cropped_to(image, size)


def _in_slabs(layers: Callable[[int, int], Tensor], length: int, slab: int | None, factor: int) -> Tensor:
    """Results of ``layers`` on latent slices from start to stop, put together; ``factor`` slices come of one."""
    if slab is not None and slab < 1:
        raise InputError("slab", found=str(slab), wanted="a positive number of slices, or null", remedy="set it to 8")
    if slab is None or slab >= length:
        return layers(0, length)
    parts = []
    for start in range(0, length, slab):
        stop = min(start + slab, length)
        first = max(start - HALO, 0)
        part = layers(first, min(stop + HALO, length))
        parts.append(part.narrow(2, factor * (start - first), factor * (stop - start)).clone())
    return torch.cat(parts, dim=2)
