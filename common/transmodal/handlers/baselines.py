"""The baselines of a report: the source channels they are given, the training cases they are fitted on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from transmodal.errors import InputError
from transmodal.handlers.records import check_grid
from transmodal.metrics import Baseline, FittedBaseline, MatchedCopy, Similarity
from transmodal.transforms.intensity import IntensityScale, scale_of

__all__ = ["SourceChannels", "copied_channels", "fit_baselines"]


@dataclass(frozen=True)
class SourceChannels:
    """Names of the channels of a source and the intensity scale of each; a single one stands for every channel."""

    names: Sequence[str]
    scales: Sequence[IntensityScale]

    @classmethod
    def of(cls, source: str | Sequence[str], intensity: Mapping[str, IntensityScale]) -> SourceChannels:
        """From one modality, or one per channel.

        Raises:
            InputError: if a modality has no scale.
        """
        names = [source] if isinstance(source, str) else list(source)
        return cls(names, [scale_of(name, intensity) for name in names])

    def scaled(self, source: Tensor, mask: Tensor) -> Tensor:
        """Each channel of a raw source, (C, H, W[, D]), on the network's scale.

        Raises:
            InputError: if there are other channels than names.
        """
        scales = self.scales if len(self.names) > 1 else [*self.scales] * len(source)
        if len(scales) != len(source):
            raise InputError(
                "evaluation, source",
                found=f"{len(source)} channel(s)",
                wanted=f"{len(scales)}: {', '.join(self.names)}",
                remedy="load the contrasts in the order that the report's 'source' names",
            )
        pairs = zip(scales, source, strict=True)
        return torch.cat([scale.scale(channel[None].float(), mask) for scale, channel in pairs])


def fit_baselines(
    baselines: Sequence[Baseline],
    cases: Iterable[Mapping[str, Any]] | None,
    channels: SourceChannels,
    similarity: Similarity,
) -> dict[str, str]:
    """Fit those that learn, one case at a time.

    Args:
        baselines: any.
        cases: with ``source``, ``label`` and ``mask`` on one grid; those that lack one of them are passed over.
        channels: of the source.
        similarity: expresses targets in the units of a prediction.
    Returns:
        Why a baseline could not be fitted, by name.
    Raises:
        InputError: if the images of a case do not lie on one grid.
    """
    fitted = [baseline for baseline in baselines if isinstance(baseline, FittedBaseline)]
    for case in cases if fitted and cases is not None else ():
        if all(key in case for key in ("source", "label", "mask")):
            check_grid(str(case.get("case", "of training")), {key: case[key] for key in ("source", "label", "mask")})
            source, target, mask = (case[key].as_subclass(Tensor).cpu() for key in ("source", "label", "mask"))
            scaled, reference = channels.scaled(source, mask), similarity.comparable(target, mask)
            for baseline in fitted:
                baseline.fit(scaled, reference, mask)
    given = "no training cases were given" if cases is None else "no training case has both modalities"
    return {baseline.name: f"{given} to fit it on" for baseline in fitted if not baseline.fitted}


def copied_channels(baselines: Sequence[Baseline]) -> dict[str, dict[str, object]]:
    """Of each baseline that chooses a channel: which one, and how all of them correlate with the target."""
    return {baseline.name: baseline.choice() for baseline in baselines if isinstance(baseline, MatchedCopy)}
