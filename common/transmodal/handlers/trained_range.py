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
    """Writes ``trained_range.json`` whenever an epoch wrote the weights, to compare a later input with their training.

    It measures when training starts. A training that writes no weights leaves the range as it is: that of the weights
    that are there. Attach it to the trainer, in distributed training on every rank; rank 0 writes. List it behind
    ``Resume``, which may refuse the training.

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
        self.domains, self.weights, self.at_most = list(domains), Path(weights), at_most
        self.scales = [scale_of(str(domain.modality), intensity) for domain in self.domains]
        self.found, self.written = TrainedRange({}), _stamp(self.weights)

    def attach(self, engine: Engine) -> None:
        """Measure when training starts."""
        engine.add_event_handler(Events.STARTED, self)

    def __call__(self, engine: Engine) -> None:
        """Measure, and from now on follow the weights."""
        if idist.get_rank() > 0:
            return
        profiles = [profile for number in range(len(self.domains)) for profile in self._profiles(number)]
        self.found, self.written = TrainedRange.of(profiles), _stamp(self.weights)
        for event in (Events.EPOCH_COMPLETED, Events.COMPLETED):
            if not engine.has_event_handler(self.follow, event):  # only now, to come after what writes the weights
                engine.add_event_handler(event, self.follow)

    def follow(self) -> None:
        """Write the range if the weights were written since the last time."""
        stamp = _stamp(self.weights)
        if stamp != self.written:
            path = range_beside(self.weights)
            self.found.save(path)
            self.written = stamp
            logger.info("range of the training volumes written to %s", path)

    def _profiles(self, number: int) -> list[Profile]:
        domain, scale, profiles = self.domains[number], self.scales[number], []
        count = len(domain.volumes)
        for chosen in np.unique(np.linspace(0, count - 1, min(count, self.at_most)).round().astype(int)):
            image, body = domain.volumes[chosen]
            placed = {"affine": domain.affines[chosen], "axis": 0}
            profiles.append(Profile.of(np.moveaxis(image, 1, 0), body[None], str(domain.modality), scale, **placed))
        return profiles


def _stamp(path: Path) -> tuple[int, int] | None:
    """What tells one content of a file that is replaced as a whole from the next; None where there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns
