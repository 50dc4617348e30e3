"""Beside the weights: what the volumes that they were trained on look like, in numbers."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import ignite.distributed as idist
import numpy as np
from ignite.engine import Engine, Events

from transmodal.data.slices import VolumeSlices
from transmodal.trained_range import Profile, TrainedRange, range_beside
from transmodal.transforms.intensity import IntensityScale, scale_of

__all__ = ["TrainedRangeWriter"]

logger = logging.getLogger(__name__)


class TrainedRangeWriter:
    """Writes ``trained_range.json`` when training starts, so that a later input can be compared with the training.

    Attach it to the trainer, in distributed training on every rank; rank 0 writes. List it behind ``Resume``, which may
    refuse the training: nothing is written then.

    Args:
        domains: the preprocessed volumes of each modality, such as the ``domains`` of ``UnpairedSlices``. Of
            several channels the first is measured, in ``PairedSlices`` that of the source.
        intensity: intensity scale of each modality.
        weights: the file of weights that the range belongs to; the range is written into its folder.
        at_most: so many volumes of each modality are measured, spread evenly.
    Raises:
        InputError: if a modality has no scale.
    """

    def __init__(
        self,
        domains: Sequence[VolumeSlices],
        intensity: Mapping[str, IntensityScale],
        weights: str | Path,
        at_most: int = 200,
    ) -> None:
        self.domains, self.path, self.at_most = list(domains), range_beside(weights), at_most
        self.scales = [scale_of(str(domain.modality), intensity) for domain in self.domains]

    def attach(self, engine: Engine) -> None:
        """Write when training starts."""
        engine.add_event_handler(Events.STARTED, self)

    def __call__(self, engine: Engine) -> None:
        """Measure and write."""
        if idist.get_rank() > 0:
            return
        found = TrainedRange.of([profile for number in range(len(self.domains)) for profile in self._profiles(number)])
        found.save(self.path)
        logger.info(f"range of the training volumes written to {self.path}")

    def _profiles(self, number: int) -> list[Profile]:
        domain, scale, profiles = self.domains[number], self.scales[number], []
        count = len(domain.volumes)
        for chosen in np.unique(np.linspace(0, count - 1, min(count, self.at_most)).round().astype(int)):
            image, body = (np.moveaxis(array, 0, -1) for array in domain.volumes[chosen])
            between_slices, *in_plane = domain.spacings[chosen]
            spacing = [*in_plane, between_slices]
            profiles.append(Profile.of(image, body[None], str(domain.modality), scale, spacing))
        return profiles
