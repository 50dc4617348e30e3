"""Any segmentation network as one of bodies: two classes whatever its own are, grey images whatever it was made for."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from transmodal.errors import InputError

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of red, green and blue in the photographs of ImageNet, on the scale [0, 1]."""


class BodySegmenter(nn.Module):
    """Background and body from the classes of any segmentation network.

    The probability of the body is the sum over the classes that count as body. Where one class is the body and one the
    background, their logits pass unchanged.

    Args:
        segmenter: from images to logits, with the attribute ``num_classes``.
        body: numbers of the classes that count as body; of two classes the second, and of more it has to be said.
    Raises:
        InputError: if ``body`` is left out for more than two classes, or names other classes than there are.
    """

    def __init__(self, segmenter: nn.Module, body: Sequence[int] | None = None) -> None:
        super().__init__()
        self.segmenter = segmenter
        background, chosen = _divided(int(segmenter.num_classes), body)
        self.register_buffer("background", torch.tensor(background), persistent=False)
        self.register_buffer("body", torch.tensor(chosen), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """Classify each pixel of ``image``.

        Args:
            image: (B, 1, H, W[, D]) in [-1, 1].
        Returns:
            Logits of background and body, (B, 2, H, W[, D]).
        """
        logits = self.segmenter(image)
        background = logits.index_select(1, self.background).logsumexp(dim=1)
        body = logits.index_select(1, self.body).logsumexp(dim=1)
        return torch.stack([background, body], dim=1)


class ImageNetGrey(nn.Module):
    """A network for photographs as a network for grey images, so that published checkpoints serve.

    The grey image is mapped from [-1, 1] to [0, 1], repeated as red, green and blue, and normalised by the mean and
    the standard deviation of ImageNet.

    Args:
        network: from (B, 3, H, W[, D]) to logits, with the attribute ``num_classes``.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.num_classes = int(network.num_classes)
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """Logits, (B, num_classes, H, W[, D]), of ``image``, (B, 1, H, W[, D]) in [-1, 1]."""
        shape = [1, 3] + [1] * (image.ndim - 2)
        colours = ((image + 1) / 2 - self.mean.view(shape)) / self.std.view(shape)
        return self.network(colours)


def _divided(num_classes: int, body: Sequence[int] | None) -> tuple[list[int], list[int]]:
    """Numbers of the classes that are background, and of those that are body."""
    if body is None and num_classes != 2:
        raise InputError(
            "body_classes",
            found=f"nothing, for a network of {num_classes} classes",
            wanted="the classes that count as body",
            remedy='give their numbers, such as --body_classes "[15]": of the 21 classes of Pascal VOC, 15 is a person',
        )
    chosen = [1] if body is None else body
    listed = isinstance(chosen, Sequence) and all(type(number) is int for number in chosen)  # True is no number
    background = [number for number in range(num_classes) if listed and number not in chosen]
    if not background or not chosen or len(background) + len(chosen) != num_classes:
        raise InputError(
            "body_classes",
            found=repr(body),
            wanted=f"a list of different numbers from 0 to {num_classes - 1}, at least one and not all",
            remedy='write it as --body_classes "[1]"',
        )
    return background, sorted(chosen)
