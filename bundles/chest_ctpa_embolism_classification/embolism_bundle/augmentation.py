"""What changes from one view of a training image to the next: place, side, contrast and noise, never the finding."""

from __future__ import annotations

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor

from transmodal.errors import InputError

__all__ = ["Augmentation"]


class Augmentation:
    """Random views of an image in [-1, 1], or of latents of about that size.

    Args:
        shift: of the image along each axis, at most this share of its size, in whole voxels; its border is repeated.
        flip: probability of exchanging left and right, the last axis. A mirrored chest has its heart on the other side,
            which no patient of a test will have, but as many emboli. Leave it at 0 for latents: those of a mirrored
            slice are not the mirrored latents.
        contrast: the values are multiplied by 1 and shifted by 0, give or take so much and half as much.
        noise: largest standard deviation of added normal noise.
    """

    def __init__(self, shift: float = 0.06, flip: float = 0.5, contrast: float = 0.1, noise: float = 0.05) -> None:
        shares = {"shift": shift, "flip": flip, "contrast": contrast, "noise": noise}
        wrong = [
            name
            for name, share in shares.items()
            if isinstance(share, bool | str) or not 0 <= share <= (name == "flip") * 0.5 + 0.5
        ]
        if wrong:
            raise InputError(
                f"Augmentation, {' and '.join(wrong)}",
                found=", ".join(repr(shares[name]) for name in wrong),
                wanted="a number of 0 to 0.5, or to 1 for flip",
                remedy="correct 'augmentation' in the configuration; 0 switches a change off",
            )
        self.shift, self.flip, self.contrast, self.noise = shift, flip, contrast, noise

    def __call__(self, image: Tensor, draw: Generator) -> Tensor:
        """A view of ``image``, (C, H, W) or (C, F, H, W), of the same size."""
        for axis, size in enumerate(image.shape[1:], start=1):
            step = round(size * self.shift * draw.uniform(-1.0, 1.0))
            if step:
                image = image.index_select(axis, (torch.arange(size) + step).clamp(0, size - 1))
        image = image.flip(-1) if draw.random() < self.flip else image
        gain, offset = 1 + self.contrast * draw.uniform(-1.0, 1.0), 0.5 * self.contrast * draw.uniform(-1.0, 1.0)
        deviation = self.noise * draw.random()
        image = image * gain + offset
        if deviation:
            image = image + deviation * torch.from_numpy(draw.standard_normal(tuple(image.shape), dtype=np.float32))
        return image
