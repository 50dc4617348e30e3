"""Sizes that a network can halve: others are reflected up to one, so that it takes any image, or refused."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def reflected_to_multiple(image: Tensor, multiple: int) -> Tensor:
    """Reflect the borders until height and width are multiples, as evenly on both sides as can be.

    Mirrored noise is noise with the same mean and variance, which zeros would not be.

    Args:
        image: (B, C, H, W).
        multiple: of the height and width wanted.
    Returns:
        (B, C, H', W') with the smallest fitting H' >= H and W' >= W; ``image`` itself where it fits.
    Raises:
        ValueError: if the image has too few pixels to be mirrored that far.
    """
    height, width = image.shape[2], image.shape[3]
    rows, columns = -height % multiple, -width % multiple
    if rows == 0 and columns == 0:
        return image
    if (rows + 1) // 2 >= height or (columns + 1) // 2 >= width:
        raise ValueError(
            f"found an image of {height} × {width} pixels; wanted enough to mirror up to a multiple of {multiple}. "
            f"Pad the image to at least {multiple} × {multiple} pixels."
        )
    margins = [columns // 2, (columns + 1) // 2, rows // 2, (rows + 1) // 2]
    return F.pad(image, margins, mode="reflect")


def check_size(image: Tensor, multiple: int, smallest: int) -> None:
    """Refuse an image that a network cannot halve and double again to the same size.

    Args:
        image: (B, C, H, W[, D]).
        multiple: of each spatial size wanted.
        smallest: spatial size that the network takes.
    Raises:
        ValueError: if a spatial size is no multiple, or too small.
    """
    for size in image.shape[2:]:
        if size % multiple != 0 or size < smallest:
            raise ValueError(
                f"found an image of size {list(image.shape[2:])}; wanted multiples of {multiple}, "
                f"at least {smallest}. Pad the image and crop the result. "
                "In a bundle, choose `patch` and `smallest` accordingly."
            )


def cropped_to(padded: Tensor, height: int, width: int) -> Tensor:
    """Undo :func:`reflected_to_multiple`: the middle ``height`` × ``width`` pixels of ``padded``, (B, C, H', W')."""
    top, left = (padded.shape[2] - height) // 2, (padded.shape[3] - width) // 2
    return padded[:, :, top : top + height, left : left + width]
