"""Batches on their way from the loader to the loss terms."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sized
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from transmodal.tensors import without_metadata


class Windows:
    """A loader's batches in lists of ``size``; the last list of an epoch may be shorter.

    Args:
        loader: any iterable of batches.
        size: batches per list.
    """

    def __init__(self, loader: Iterable[Any], size: int) -> None:
        self.loader, self.size = loader, size

    def __iter__(self) -> Iterator[list[Any]]:
        batches = iter(self.loader)
        while window := list(islice(batches, self.size)):
            yield window

    def __len__(self) -> int:
        return math.ceil(len(self.loader) / self.size)  # type: ignore[arg-type]


def move_to_device(batch: Any, device: torch.device | str, non_blocking: bool = False, **to_kwargs: Any) -> Any:
    """A copy of a batch, however nested, with plain tensors on ``device``; everything else passes unchanged.

    MONAI's ``MetaTensor`` becomes ``Tensor``: loss terms need no affine, and plain tensors are faster.
    """
    if isinstance(batch, Tensor):
        plain = without_metadata(batch)
        return plain.to(device=device, non_blocking=non_blocking, **to_kwargs)
    if isinstance(batch, Mapping):
        return {key: move_to_device(value, device, non_blocking, **to_kwargs) for key, value in batch.items()}
    if isinstance(batch, list | tuple):
        return [move_to_device(value, device, non_blocking, **to_kwargs) for value in batch]
    return batch


def length_of(loader: Iterable[Any]) -> int | None:
    """How many batches a loader gives in an epoch, or None where only reading them tells."""
    try:
        return len(loader) if isinstance(loader, Sized) else None
    except TypeError:  # an iterable data set has no length; ignite then measures the first epoch
        return None
