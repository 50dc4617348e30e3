"""What is said about an image whose modality nobody vouches for: CT, MR, or no answer; by which evidence and why."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CLASSES", "Verdict"]

CLASSES = ("ct", "mr")
"""The modalities in the order of the network's outputs."""


@dataclass(frozen=True)
class Verdict:
    """An answer, or an abstention, with its evidence.

    Args:
        modality: ``"ct"``, ``"mr"`` or None for no answer.
        by: the evidence: ``"dicom"`` (header), ``"hounsfield"`` (values), ``"network"``, or ``"nothing"`` where no
            evidence spoke.
        probability: of the modality, where the evidence gives one; for an abstention of the network that of the more
            probable class.
        reason: a sentence for the reader.
    """

    modality: str | None
    by: str
    probability: float | None
    reason: str

    def __str__(self) -> str:
        answer = self.modality.upper() if self.modality else "no answer"
        sure = "" if self.probability is None else f" ({self.probability:.2f})"
        return f"{answer}{sure} by {self.by}: {self.reason}"
