"""How large latents are, by how many voxels each stands for along each axis."""

from __future__ import annotations

from collections.abc import Sequence

from transmodal.errors import InputError

__all__ = ["latent_size_of"]


def latent_size_of(size: Sequence[int], factors: Sequence[int]) -> tuple[int, int, int]:
    """Size (f, h, w) of the latents of a volume.

    Args:
        size: of the volume, (F, H, W), in voxels.
        factors: voxels that one latent stands for along each axis.
    Raises:
        InputError: if a size is not divisible by its factor.
    """
    if len(size) != 3 or any(length < 1 or length % factor for length, factor in zip(size, factors, strict=True)):
        raise InputError(
            "size of a volume for the autoencoder",
            found=" × ".join(map(str, size)) + " voxels",
            wanted=f"slices, height and width that are multiples of {', '.join(map(str, factors))}",
            remedy="choose such a `grid` in the configuration, for example [64, 256, 256]",
        )
    slices, height, width = (length // factor for length, factor in zip(size, factors, strict=True))
    return slices, height, width
