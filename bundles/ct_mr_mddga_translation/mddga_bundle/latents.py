"""What the volume stage trains on: pairs of latents, encoded once, whole, by the frozen autoencoder.

The condition is the latent of the volume that the slice stage made, the target that of the true image, both before
quantisation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.transforms import Compose
from monai.utils import ensure_tuple
from torch import Tensor
from torch.nn.functional import max_pool3d
from torch.utils.data import Dataset

from mddga_bundle.slabs import encode_in_slabs
from mddga_bundle.vqvae import VQVAE
from transmodal.data import StackedSlices, box_in_body, check_same_grid, with_air_around
from transmodal.errors import InputError
from transmodal.networks import LatentScale
from transmodal.stages import identity_of
from transmodal.tensors import without_metadata

__all__ = ["LatentPairs"]

Draw = tuple[int, int]


class LatentPairs(Dataset[dict[str, Tensor | int]]):
    """Parts of pairs of latents, cut where the body is, from volumes encoded once.

    All files are read, checked and encoded when the object is made: whole, one after the other, without gradients, on
    ``device``. Only latents stay, in the memory of the CPU, 2 E numbers for 64 voxels: 1.5 MB for a pair of 160×224×168
    voxels and E = 2. An item is a pure function of its index ``(number, seed)``: pair ``number``, and the place that
    ``seed`` chooses. :class:`~transmodal.data.SeededSampler` draws the indices.

    Args:
        data: batch records; each has a path under both keys, ``image`` that of the volume which the slice stage made.
        transform: deterministic preprocessing of a whole record: makes both volumes (1, D, H, W) in [-1, 1] on one grid
            and adds the body mask of the true one, ``body_label``.
        autoencoder: trained; it is left in evaluation mode on ``device``.
        patch: size of the parts in voxels, a multiple of what one latent stands for along each axis, 4 as published;
            smaller volumes are surrounded with air, -1, before they are encoded.
        device: where the autoencoder runs.
        slab: latent slices that its large layers take at a time, to bound memory; null for all.
        scale: normalises the latents of an item; null leaves them raw. See
            :func:`transmodal.stages.measured`.
        keys: of condition and target in ``data`` and in the items.
        cache_dir: folder for memory-mapped latents, for data that does not fit into memory, and to encode once for many
            trainings; entries are named by files, their time stamps, the weights, the patch and ``cache_key``.
        cache_key: text that identifies the preprocessing; ``cache_dir`` needs it.
    Raises:
        InputError: if the patch does not fit the latents, a cache has no key, a file is unusable, or the two lie on
            different grids.
    """

    def __init__(
        self,
        data: Sequence[Mapping[str, Any]],
        transform: Callable[[dict[str, Any]], dict[str, Any]],
        autoencoder: VQVAE,
        patch: Sequence[int],
        device: str | torch.device = "cpu",
        slab: int | None = None,
        scale: LatentScale | None = None,
        keys: Sequence[str] = ("image", "label"),
        cache_dir: str | None = None,
        cache_key: str = "",
    ) -> None:
        _check_patch(patch, autoencoder.downsampling)
        self.data, self.transform, self.patch, self.scale = data, transform, tuple(patch), scale
        self.keys = source, target = ensure_tuple(keys)
        encode = _Encoding(transform, autoencoder.eval().to(device), self.patch, device, slab, self.keys)
        identity = f"{cache_key} {self.patch} {identity_of(autoencoder)}" if cache_dir and cache_key else ""
        self.volumes = _StackedLatents(
            data,
            encode,
            key=source,
            target=target,
            axis=0,
            min_body_fraction=0.0,
            cache_dir=cache_dir,
            cache_key=identity,
        ).volumes
        self.size = [length // autoencoder.downsampling for length in patch]

    @property
    def latents(self) -> list[Tensor]:
        """The raw latents of all targets, each (E, D, H, W), from which a scale is measured."""
        return [torch.from_numpy(np.array(pair)).movedim(1, 0).chunk(2)[1] for pair, _ in self.volumes]

    def __len__(self) -> int:
        return len(self.volumes)

    def __getitem__(self, index: Draw | int) -> dict[str, Tensor | int]:
        """``{"image": condition, "label": target, "seed": the draw's seed}``, both (E, *patch / 4), float32.

        A plain number, from a loader without our sampler, is its own seed.
        """
        number, seed = (index, index) if isinstance(index, int) else index
        pair, body = self.volumes[number]
        part = np.moveaxis(pair, 1, 0)[(slice(None), *box_in_body(body, self.size, seed))]
        parts = torch.from_numpy(np.array(part)).chunk(2)
        source, target = parts if self.scale is None else (self.scale.apply_to(latent) for latent in parts)
        return {self.keys[0]: source, self.keys[1]: target, "seed": seed}


class _StackedLatents(StackedSlices):
    """The latents (2 E, D, H, W) of each pair, the condition's first."""

    verb = "encoding"


class _Encoding:
    """From a record to the latents of both its images, (E, D, H, W), and the body on their grid."""

    def __init__(
        self,
        transform: Callable[[dict[str, Any]], dict[str, Any]],
        autoencoder: VQVAE,
        patch: Sequence[int],
        device: str | torch.device,
        slab: int | None,
        keys: Sequence[str],
    ) -> None:
        self.transform, self.autoencoder, self.device, self.slab, self.keys = transform, autoencoder, device, slab, keys
        self.body = f"body_{keys[1]}"
        self.enlarge = Compose(with_air_around(keys, [self.body], patch))

    def __call__(self, record: dict[str, Any]) -> dict[str, Any]:
        sample = self.transform(record)
        images, files = ([of[key] for key in self.keys] for of in (sample, record))
        check_same_grid(*images, *map(str, files))
        sample = self.enlarge(sample)
        body = without_metadata(sample[self.body]).float()[None]
        pooled = max_pool3d(body, self.autoencoder.downsampling, ceil_mode=True)[0]
        return {
            **{key: self._encoded(without_metadata(sample[key])) for key in self.keys},
            f"body_{self.keys[0]}": pooled,
        }

    @torch.no_grad()
    def _encoded(self, image: Tensor) -> Tensor:
        return encode_in_slabs(self.autoencoder, image.to(self.device).float()[None], self.slab)[0].float().cpu()


def _check_patch(patch: Sequence[int], multiple: int) -> None:
    whole = all(isinstance(length, int) and length > 0 and length % multiple == 0 for length in patch)
    if len(patch) != 3 or not whole:
        raise InputError(
            "LatentPairs, patch",
            found=repr(list(patch)),
            wanted=f"three positive multiples of {multiple}, the voxels that one latent stands for along each axis",
            remedy=f"round each length to a multiple of {multiple}",
        )
