"""Training samples of any number of domains: one image and the domain it is to be translated into.

Source: Y. Choi et al., StarGAN: unified generative adversarial networks for multi-domain image-to-image translation,
CVPR 2018. There the targets are a permutation of the batch's own labels, which with two domains leaves half of the
images, and with a batch of one every image, a target that it already is; here a target is always another domain.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import cycle, islice
from typing import Any

import torch
from monai.transforms import Compose
from torch import Tensor
from torch.utils.data import Dataset

from transmodal.data.sampling import SeededSampler
from transmodal.data.slices import Sample, VolumeSlices, augmented
from transmodal.errors import InputError

__all__ = ["DomainSampler", "DomainSlices", "domain_keys", "with_masks"]

Draw = tuple[int, int, int, int]


def domain_keys(domains: Sequence[str], source: str, target: str) -> dict[str, str]:
    """The modality of each key of a batch record: MONAI's two keys for a direction, and one for each further domain.

    Args:
        domains: modalities that are translated into each other.
        source, target: the direction that is validated.
    Returns:
        ``{"image": source, "label": target, "t2": "t2"}``, for the domains source, target and t2.
    Raises:
        InputError: if domains repeat, or the direction does not lead from one of them to another.
    """
    if len(set(domains)) < max(2, len(domains)) or isinstance(domains, str):
        raise InputError(
            "configuration id 'domains'",
            found=repr(domains),
            wanted="at least two different modalities",
            remedy="list them, such as --domains \"['ct','mr']\"",
        )
    if source == target or not {source, target} <= set(domains):
        raise InputError(
            "configuration ids 'source' and 'target'",
            found=f"{source!r} to {target!r}",
            wanted=f"{source} and {target} to be two different ones of the domains {', '.join(domains)}",
            remedy="choose --source and --target among 'domains', or add the modality to them",
        )
    return {"image": source, "label": target, **{name: name for name in domains if name not in (source, target)}}


def with_masks(keys: Mapping[str, str], masks: str | None = None) -> dict[str, str]:
    """The same keys, and beside each the key of its body mask, where files hold masks.

    Args:
        keys: modality of each key, as :func:`domain_keys` makes it.
        masks: modality of the masks, such as ``"mask"``; none if null.
    Returns:
        ``{"image": "mr", "body_image": "mask"}``, for an image key and masks.
    """
    return {**keys} | ({} if masks is None else {f"body_{key}": masks for key in keys})


class DomainSlices(Dataset[dict[str, Tensor | int]]):
    """Slices of several domains, each with the domain it shows and another one to be translated into.

    An item is a pure function of its index ``(domain, number, target, seed)``: slice ``number`` of that domain,
    augmented with ``seed``. So the numbers of worker processes and of ranks change nothing, and a resumed run sees what
    the uninterrupted one would have seen. :class:`DomainSampler` draws the indices.

    Args:
        data: batch records; each has one or more of the keys.
        transform: deterministic preprocessing, applied once to each volume (see :class:`VolumeSlices`).
        keys: modality of each key, as :func:`domain_keys` makes it.
        domains: the modalities in the order of the network's labels.
        check: called as ``check(data, keys, volumes)`` to refuse domains that are not what they claim to be, such as
            :func:`~transmodal.data.check_domains`.
        augmentation: random transforms of ``{"image": (C + 1, H, W), "body": (1, H, W)}``, the last channel of
            ``image`` being the body; it must make all slices of one size if they are to be batched.
        slices: further arguments of :class:`VolumeSlices`.
    Raises:
        InputError: if a file is unusable, a domain has no slice with enough body, or two domains are one.
    """

    def __init__(
        self,
        data: Sequence[Mapping[str, Any]],
        transform: Callable[[Sample], Sample],
        keys: Mapping[str, str],
        domains: Sequence[str],
        augmentation: Compose | None = None,
        check: Callable[..., None] | None = None,
        **slices: Any,
    ) -> None:
        self.data, self.transform, self.augmentation, self.names = data, transform, augmentation, tuple(domains)
        key_of = {modality: key for key, modality in keys.items()}
        self.domains = [VolumeSlices(data, transform, key=key_of[name], modality=name, **slices) for name in self.names]
        if check is not None:
            volumes = {name: domain.volumes for name, domain in zip(self.names, self.domains, strict=True)}
            check(data, keys, volumes)

    @property
    def lengths(self) -> tuple[int, ...]:
        """Slices in each domain."""
        return tuple(len(domain) for domain in self.domains)

    def __len__(self) -> int:
        return len(self.domains) * max(self.lengths)

    def __getitem__(self, index: Draw | int) -> dict[str, Tensor | int]:
        """``{"image", "body", "domain", "target", "seed"}``.

        ``image`` is (C, H, W) in [-1, 1] and ``body`` (1, H, W), 1 inside, both float32; ``domain`` and ``target`` are
        places in ``domains``, never the same.
        """
        if isinstance(index, int):  # a plain loader without our sampler
            domain = index % len(self.domains)
            number = index // len(self.domains) % self.lengths[domain]
            index = (domain, number, (domain + 1) % len(self.domains), index)
        domain, number, target, seed = index
        drawn = self.domains[domain][number]
        together = {"image": torch.cat([drawn["image"], drawn["body"]]), "body": drawn["body"]}
        moved = augmented(together, self.augmentation, seed % 2**32)
        body = (moved[-1:] > 0.5).to(moved.dtype)
        return {"image": moved[:-1], "body": body, "domain": domain, "target": target, "seed": seed}


class DomainSampler(SeededSampler):
    """Draw as many slices from each domain, an epoch passing once through the longest, and for each another target.

    Shorter domains are passed through again, newly shuffled, as often as the longest one needs.

    Args:
        dataset: its ``lengths`` are drawn from.
        seed: with the epoch it fixes every draw.
        num_replicas, rank: processes that share the epoch; by default those of the process group, or one.
    """

    def __init__(
        self, dataset: DomainSlices, seed: int = 0, num_replicas: int | None = None, rank: int | None = None
    ) -> None:
        super().__init__(dataset, seed, num_replicas, rank)
        self.lengths = dataset.lengths

    def __len__(self) -> int:
        return math.ceil(len(self.lengths) * max(self.lengths) / self.num_replicas)

    def __iter__(self) -> Iterator[Draw]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        count, longest = len(self.lengths), max(self.lengths)
        passes = [self._pass(length, longest, generator) for length in self.lengths]
        drawn = [(domain, number) for numbers in zip(*passes, strict=True) for domain, number in enumerate(numbers)]
        order = torch.randperm(len(drawn), generator=generator).tolist()
        steps = torch.randint(1, count, (len(drawn),), generator=generator).tolist()
        seeds = torch.randint(2**31, (len(drawn),), generator=generator).tolist()
        draws = [
            (*drawn[place], (drawn[place][0] + step) % count, seed)
            for place, step, seed in zip(order, steps, seeds, strict=True)
        ]
        total = len(self) * self.num_replicas
        return islice(cycle(draws), self.rank, total, self.num_replicas)
