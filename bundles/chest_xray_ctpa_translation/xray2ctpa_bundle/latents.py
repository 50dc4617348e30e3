"""What the denoiser trains on: radiographs and latents of their CTs, encoded once by the frozen autoencoder."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.transforms import Compose
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import Dataset
from tqdm import tqdm

from transmodal.data import read_latent
from transmodal.data.array_cache import cache_folder, cached_arrays, fingerprint
from transmodal.data.slices import augmented
from transmodal.errors import InputError
from transmodal.networks import LatentScale
from transmodal.stages import identity_of
from transmodal.tensors import without_metadata

__all__ = ["EncodedVolumes"]

logger = logging.getLogger(__name__)

Draw = tuple[int, int]
Array = NDArray[np.float32]


class EncodedVolumes(Dataset[dict[str, Tensor | int]]):
    """Radiographs with the latents of their CTs.

    All files are read, checked and encoded when the object is made, one case after the other, without gradients, on
    ``device``. Radiographs and latents stay, in the memory of the CPU: 1.3 MB for latents of 4×64×32×32 and a
    radiograph of 224×224. Latents that a case has in a file, from another program or an earlier run, are taken as
    they are. An item is a pure function of its index ``(number, seed)``; :class:`~transmodal.data.SeededSampler` draws
    the indices.

    Args:
        data: batch records, each with a path under ``ct_key`` or ``latent_key`` and, unless the transform makes it, one
            under ``xray_key``.
        transform: deterministic preprocessing of a whole record: makes the radiograph (1, S, S) and, for records
            without latents, the CT (1, F, H, W), both in [-1, 1].
        autoencoder: trained; it is left in evaluation mode on ``device``.
        device: where it runs.
        scale: normalises the latents of an item, which are then clipped to its bounds; null leaves them raw. See
            :func:`transmodal.stages.measured`.
        latent_size: (f, h, w) that the network works on, which all latents are to have; null takes that of the first.
        xray_key, ct_key: of radiograph and CT in ``data`` and in what the transform makes; in the items, of the
            radiograph and of the latents.
        latent_key: in ``data``, of files with latents of the whole CT.
        finding_key: in ``data`` and in the items, of a finding, 0 or 1, such as an embolism; items bear it where any
            record does, as NaN where it is not known.
        augmentation: random MONAI transforms of dictionaries with the radiograph under ``image``; what leaves [-1, 1]
            is clipped.
        cache_dir: folder for memory-mapped files, for data that does not fit into memory, and to encode once for many
            trainings; entries are named by files, their time stamps, the weights and ``cache_key``.
        cache_key: text that identifies the preprocessing; ``cache_dir`` needs it.
    Raises:
        InputError: if there are no records, a cache has no key, a file is unusable, or latents are not those of the
            autoencoder or not on the grid of the network.
    """

    def __init__(
        self,
        data: Sequence[Mapping[str, Any]],
        transform: Callable[[dict[str, Any]], dict[str, Any]],
        autoencoder: nn.Module,
        device: str | torch.device = "cpu",
        scale: LatentScale | None = None,
        latent_size: Sequence[int] | None = None,
        xray_key: str = "image",
        ct_key: str = "label",
        latent_key: str = "latent",
        finding_key: str = "embolism",
        augmentation: Compose | None = None,
        cache_dir: str | Path | None = None,
        cache_key: str = "",
    ) -> None:
        self.transform, self.device, self.scale, self.augmentation = transform, device, scale, augmentation
        self.xray_key, self.ct_key, self.latent_key, self.finding_key = xray_key, ct_key, latent_key, finding_key
        self.autoencoder = autoencoder.eval().to(device)
        self.latent_size = None if latent_size is None else tuple(latent_size)
        self.cache_dir = cache_folder(cache_dir, cache_key)
        self.identity = f"{cache_key} {identity_of(autoencoder)}" if self.cache_dir else ""
        if not data:
            raise InputError(
                "training cases", found="none", wanted="at least one case with a CT", remedy="check the data list"
            )
        self.pairs = [self._pair(record) for record in tqdm(data, desc="encoding", disable=None)]
        _check_sizes(self.pairs, data)
        self.findings = _findings(data, finding_key)
        logger.info("%d radiographs with latents of %s", len(self.pairs), _times(self.pairs[0][1].shape))

    @property
    def latents(self) -> list[Tensor]:
        """The raw latents of all CTs, each (C, f, h, w), from which a scale is measured."""
        return [torch.from_numpy(np.array(latent)) for _, latent in self.pairs]

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: Draw | int) -> dict[str, Tensor | int]:
        """``{"image": radiograph, "label": latents, "seed": the draw's seed}``, float32, and the finding.

        Args:
            index: (number, seed); a plain number, from a loader without our sampler, is its own seed.
        Returns:
            The radiograph (1, S, S) in [-1, 1], the latents (C, f, h, w), and the finding as a float32 number.
        """
        number, seed = (index, index) if isinstance(index, int) else index
        radiograph, latent = (torch.from_numpy(np.array(array)) for array in self.pairs[number])
        if self.augmentation is not None:
            radiograph = augmented({"image": radiograph}, self.augmentation, seed % 2**32).clamp(-1, 1)
        if self.scale is not None:
            latent = self.scale.clipped(self.scale.apply_to(latent))
        item: dict[str, Tensor | int] = {self.xray_key: radiograph, self.ct_key: latent, "seed": seed}
        return item if self.findings is None else {**item, self.finding_key: self.findings[number]}

    def _pair(self, record: Mapping[str, Any]) -> tuple[Array, Array]:
        """Radiograph and raw latents of a case, on the network's grid."""
        radiograph, latent = self._cached(record)
        if self.latent_size is not None and latent.shape[1:] != self.latent_size:
            where = record.get(self.latent_key) or record.get(self.ct_key) or "a CT"
            raise _off_grid(where, latent.shape[1:], self.latent_size, self.autoencoder.factors)
        return radiograph, latent

    def _cached(self, record: Mapping[str, Any]) -> tuple[Array, Array]:
        """Radiograph and raw latents of a case, from the cache where it holds them."""
        if self.cache_dir is None:
            return self._encoded(record)
        files = filter(None, (record.get(key) for key in (self.xray_key, self.ct_key, self.latent_key)))
        identity = f"{fingerprint(files)} {self.identity}"
        radiograph, latent = cached_arrays(self.cache_dir, identity, ("xray", "latent"), partial(self._encoded, record))
        return radiograph, latent

    @torch.no_grad()
    def _encoded(self, record: Mapping[str, Any]) -> tuple[Array, Array]:
        sample = self.transform(dict(record))
        radiograph = without_metadata(sample[self.xray_key]).float().cpu().numpy()
        if path := record.get(self.latent_key):
            latent = read_latent(path)
            _check_channels(latent, int(self.autoencoder.latent_channels), path)
            return radiograph, latent
        volume = without_metadata(sample[self.ct_key]).to(self.device, torch.float32)
        return radiograph, self.autoencoder.encode(volume[None])[0].float().cpu().numpy()


def _findings(data: Sequence[Mapping[str, Any]], key: str) -> list[Tensor] | None:
    """The finding of each record as a number, NaN where there is none; None where no record has one."""
    found = [record.get(key) for record in data]
    if all(value is None for value in found):
        return None
    return [torch.tensor(torch.nan if value is None else float(value)) for value in found]


def _off_grid(where: str, found: Sequence[int], wanted: Sequence[int], factors: Sequence[int]) -> InputError:
    grid = [length * factor for length, factor in zip(found, factors, strict=True)]
    return InputError(
        where,
        found=f"latents of {_times(found)}, which are of a CT of {_times(grid)} voxels",
        wanted=f"{_times(wanted)}, what the network makes on its grid",
        remedy=f'give --grid "{grid}" to training, inference and evaluation alike, if these are the latents of all '
        "cases, and as field_of_view the millimetres that they cover; or encode the CTs on the network's grid with "
        "configs/inference_latents.json",
    )


def _times(size: Sequence[int]) -> str:
    return "×".join(map(str, size))


def _check_channels(latent: Array, channels: int, path: str) -> None:
    if len(latent) != channels:
        raise InputError(
            path,
            found=f"latents of {len(latent)} channels",
            wanted=f"{channels}, as the autoencoder makes",
            remedy="encode the CT with this autoencoder, or use the one that made the latents",
        )


def _check_sizes(pairs: Sequence[tuple[Array, Array]], data: Sequence[Mapping[str, Any]]) -> None:
    """See that all radiographs, and all latents, have the size of the first."""
    first = [array.shape for array in pairs[0]]
    for pair, record in zip(pairs, data, strict=True):
        for name, array, wanted in zip(("a radiograph", "latents"), pair, first, strict=True):
            if array.shape != wanted:
                raise InputError(
                    f"case {record.get('case', 'without a name')}",
                    found=f"{name} of {_times(array.shape)}",
                    wanted=f"the {_times(wanted)} of case {data[0].get('case', 'without a name')}",
                    remedy="bring all cases to one grid and one size of radiographs; encode latents on that grid",
                )
