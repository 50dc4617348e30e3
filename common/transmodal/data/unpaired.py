"""Unpaired training samples: two domains, shuffled independently, of any two lengths.

Source: J.-Y. Zhu et al., Unpaired image-to-image translation using cycle-consistent adversarial networks, ICCV 2017.
Some published implementations draw the same index from both domains: paired training by accident, when files match.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from monai.transforms import Compose
from torch import Tensor
from torch.utils.data import Dataset

from transmodal.data.sampling import SeededSampler
from transmodal.data.slices import Sample, VolumeSlices, augmented

__all__ = ["UnpairedSampler", "UnpairedSlices"]

Draw = tuple[int, int, int]


class UnpairedSlices(Dataset[dict[str, Tensor | int]]):
    """Slices of a source and of a target domain, each drawn for itself.

    An item is a pure function of its index ``(i, j, seed)``: slice ``i`` of the source domain, slice ``j`` of the
    target domain, both augmented with ``seed``. So the numbers of worker processes and of ranks change nothing, and a
    resumed run sees what the uninterrupted one would have seen. :class:`UnpairedSampler` draws the indices.

    Args:
        data: batch records with ``image``, ``label`` or both.
        transform: deterministic preprocessing, the same for both domains, applied once (see :class:`VolumeSlices`).
        modalities: modality of each key, such as ``{"image": "mr", "label": "ct"}``.
        augmentation: random transforms of ``{"image": (C, H, W), "body": (1, H, W)}``; it must make all slices of one
            size if they are to be batched.
        slices: further arguments of :class:`VolumeSlices`.
    """

    keys = ("image", "label")

    def __init__(
        self,
        data: Sequence[Mapping[str, Any]],
        transform: Callable[[Sample], Sample],
        modalities: Mapping[str, str],
        augmentation: Compose | None = None,
        **slices: Any,
    ) -> None:
        self.data, self.transform, self.augmentation = data, transform, augmentation
        self.domains = [VolumeSlices(data, transform, key=key, modality=modalities[key], **slices) for key in self.keys]

    @property
    def lengths(self) -> tuple[int, int]:
        """Slices in the source and in the target domain."""
        return len(self.domains[0]), len(self.domains[1])

    def __len__(self) -> int:
        return max(self.lengths)

    def __getitem__(self, index: Draw | int) -> dict[str, Tensor | int]:
        """``{"image": source slice, "label": target slice, "seed": the draw's seed}``.

        Slices are (C, H, W) in [-1, 1], float32. From the seed, (B,) int64 in a batch, an objective draws its noise for
        each sample, so that batches and ranks change nothing there either.
        """
        if isinstance(index, int):  # a plain loader without our sampler
            index = (index % self.lengths[0], index % self.lengths[1], index)
        *numbers, seed = index
        slices = {
            key: augmented(domain[number], self.augmentation, (seed + salt) % 2**32)
            for salt, (key, domain, number) in enumerate(zip(self.keys, self.domains, numbers, strict=True))
        }
        return {**slices, "seed": seed}


class UnpairedSampler(SeededSampler):
    """Draw independent permutations of both domains, an epoch being the longer one.

    The shorter domain is passed through again, newly shuffled, as often as the longer one needs.

    Args:
        dataset: its ``lengths`` are drawn from.
        seed: with the epoch it fixes every draw.
        num_replicas, rank: processes that share the epoch; by default those of the process group, or one.
    """

    def __init__(
        self, dataset: UnpairedSlices, seed: int = 0, num_replicas: int | None = None, rank: int | None = None
    ) -> None:
        super().__init__(dataset, seed, num_replicas, rank)
        self.lengths = dataset.lengths
