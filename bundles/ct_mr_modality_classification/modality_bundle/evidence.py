"""Puts the evidence together: what the network votes, and what header and values say before it is asked."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform

from transmodal.errors import InputError
from transmodal.modality import Verdict, decide, from_dicom, from_hounsfield

__all__ = ["Verdictd"]

EVIDENCE = ("dicom", "hounsfield", "network")


class Verdictd(MapTransform):
    """Adds ``verdict``, of the first evidence that speaks, and ``network_verdict``, of the network alone.

    Args:
        keys: scores (N, K + 1) of an image's slices.
        image: key of the image in the units of its file; ``path`` or the reader's metadata name its file.
        evidence: what counts, in this order; any of ``dicom hounsfield network``.
        agreement: of :func:`transmodal.modality.decide`.
    """

    def __init__(
        self,
        keys: KeysCollection,
        image: str = "image",
        evidence: Sequence[str] = EVIDENCE,
        agreement: float = 0.75,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.image, self.evidence, self.agreement = image, tuple(evidence), agreement
        if isinstance(evidence, str) or not set(self.evidence) <= set(EVIDENCE):
            raise InputError(
                "configuration id 'evidence'",
                found=repr(evidence),
                wanted=f"a list of some of {', '.join(EVIDENCE)}",
                remedy="correct the list",
            )

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        sample = dict(data)
        for key in self.key_iterator(sample):
            network = decide(torch.as_tensor(sample[key]).detach().cpu(), self.agreement)
            sample["network_verdict"], sample["verdict"] = network, self._first(sample, network)
        return sample

    def _first(self, sample: Mapping[Hashable, Any], network: Verdict) -> Verdict:
        """The verdict of the first evidence that has one; that of the last where none has."""
        verdict = Verdict(None, "nothing", None, "no evidence was asked for")
        for name in self.evidence:
            if name == "network":
                verdict = network
            elif name == "hounsfield":
                verdict = from_hounsfield(sample[self.image])
            else:
                verdict = from_dicom(Path(_file(sample, self.image))) if not sample.get("window") else verdict
            if verdict.modality or verdict.by == "dicom":
                break
        return verdict


def _file(sample: Mapping[Hashable, Any], image: str) -> str:
    named = sample.get("path") or getattr(sample[image], "meta", {}).get("filename_or_obj", "")
    return str(named[0] if isinstance(named, list | tuple) and named else named)
