"""The network as a witness: it looks at the slices of an image in any units and says CT, MR, or nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from transmodal.checkpoints import load_weights, read_checkpoint
from transmodal.errors import InputError
from transmodal.modality.verdict import CLASSES, Verdict
from transmodal.modality.votes import SliceVotes, decide
from transmodal.networks.nets.slice_classifier import CalibratedClassifier, SliceClassifier

__all__ = ["ModalityClassifier"]

BUNDLE = "ct_mr_modality_classification"


class ModalityClassifier:
    """Decides an image by the mean over its informative slices, and abstains when in doubt.

    Args:
        network: with its temperature and threshold; it is put on the device and into evaluation mode.
        device: where it computes.
        votes: how slices are shown to it; as in the bundle if None.
        agreement: of :func:`~transmodal.modality.votes.decide`.
    """

    def __init__(
        self,
        network: CalibratedClassifier,
        device: str | torch.device = "cpu",
        votes: SliceVotes | None = None,
        agreement: float = 0.75,
    ) -> None:
        self.network, self.device = network.to(device).eval(), torch.device(device)
        self.votes, self.agreement = votes or SliceVotes(), agreement

    @classmethod
    def load(cls, weights: str | Path, device: str | torch.device = "cpu") -> ModalityClassifier:
        """From the weights of the bundle ct_mr_modality_classification, whose shapes tell the network's widths.

        Raises:
            InputError: if the file is missing, damaged or not of such a network.
        """
        make = f"train the bundle {BUNDLE} (configs/train.json), or fetch its weights"
        if not Path(weights).exists():
            raise InputError(weights, found="no such file", wanted="weights of a modality classifier", remedy=make)
        state = read_checkpoint(weights)
        channels = [len(state[key]) for key in state if re.fullmatch(r"classifier\.stages\.\d+\.down\.weight", key)]
        if not channels:
            raise InputError(
                weights,
                found=f"tensors such as {', '.join(list(state)[:3])}",
                wanted="weights of a modality classifier",
                remedy=make,
            )
        blocks = [_blocks(state, stage) for stage in range(len(channels))]
        network = CalibratedClassifier(SliceClassifier(num_classes=len(CLASSES), channels=channels, blocks=blocks))
        load_weights(network, weights, command=make)
        return cls(network, device)

    def __call__(self, image: Tensor) -> Verdict:
        """The verdict on a volume or slice, (1, H, W[, D]) in any units."""
        return decide(self.scores(image), self.agreement)

    @torch.inference_mode()
    def scores(self, image: Tensor) -> Tensor:
        """Of each informative slice of (1, H, W[, D]) the scores, (N, K + 1) on the CPU."""
        return self.votes(image[None].to(self.device), self.network)[0].as_subclass(Tensor).cpu()


def _blocks(state: Mapping[str, Tensor], stage: int) -> int:
    """How many residual blocks a stage has in a state dict."""
    return sum(bool(re.fullmatch(rf"classifier\.stages\.{stage}\.blocks\.\d+\.first\.weight", key)) for key in state)
