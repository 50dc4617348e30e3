"""The history of fakes that discriminators are trained on (Shrivastava et al. 2017, arXiv:1612.07828, section 2.3)."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from transmodal.errors import InputError, require_integer


class ImagePool:
    """Up to ``size`` past images; a query swaps about half of the new ones for images of the past.

    While the pool fills, each image is stored and returned. From then on each image, with probability 1/2, takes the
    place of a random stored one, which is returned instead of it; otherwise it is returned itself and not stored.

    The pool has its own random numbers and takes part in `transmodal.handlers.Resume`, for each process by itself.

    Args:
        size: how many images to hold; 0 returns every query unchanged.
        seed: of the pool's own random numbers.
    """

    per_rank = True

    def __init__(self, size: int = 50, seed: int = 0) -> None:
        require_integer("ImagePool, size", size, 0, "give the number of images to hold, 0 for no history")
        self.size = size
        self.images: list[Tensor] = []
        self._random = random.Random(seed)

    def query(self, images: Tensor) -> Tensor:
        """Exchange a batch of new images for one of new and past images.

        Args:
            images: fakes, (B, C, H, W[, D]); every query of a pool must have the same C, H, W[, D].
        Returns:
            Detached images of the same shape, type and device.
        Raises:
            InputError: for images of another shape than the stored ones.
        """
        images = images.detach()
        if self.size == 0:
            return images
        if self.images and self.images[0].shape != images.shape[1:]:
            raise InputError(
                "ImagePool",
                found=f"images of shape {tuple(images.shape[1:])} for a history of {tuple(self.images[0].shape)}",
                wanted="images of one shape (channels, height, width[, depth])",
                remedy="crop or pad all training images to one size, use a pool per size, or set the pool's size to 0",
            )
        return torch.stack([self._exchange(image).to(image) for image in images])

    def _exchange(self, image: Tensor) -> Tensor:
        if len(self.images) < self.size:
            self.images.append(image.clone())
            return image
        if self._random.uniform(0, 1) <= 0.5:
            return image
        place = self._random.randint(0, self.size - 1)
        past, self.images[place] = self.images[place], image.clone()
        return past

    def state_dict(self) -> dict[str, Any]:
        """The stored images and the random state, as tensors and plain values."""
        return {"images": [image.cpu() for image in self.images], "random": self._random.getstate()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where `state_dict` was taken.

        Raises:
            ValueError: if the state holds more images than this pool may.
        """
        if len(state["images"]) > self.size:
            raise ValueError(f"a pool of {self.size} images cannot hold the {len(state['images'])} of the saved state")
        self.images = list(state["images"])
        self._random.setstate(state["random"])
