"""Was anything translated at all? What an evaluation asks before it believes its own scores.

An output that is a copy of its input can score well: a published study reports more than 30 dB for a network that
returns what it is given. Two witnesses are heard: the similarity of output and input, and a classifier that sees the
output alone and says which modality it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import Tensor

from transmodal.data.layout import MAGNETIC
from transmodal.errors import InputError
from transmodal.files import sha256_of
from transmodal.modality import ModalityClassifier, Verdict

__all__ = ["ModalityWitness", "copied"]


class ModalityWitness:
    """Asks a classifier which modality each output is.

    Args:
        classifier: weights of the bundle ``ct_mr_modality_classification``, or anything that gives the verdict on an
            image (1, H, W[, D]) in physical units.
        target: the modality that outputs should be; every MR contrast is MR to the classifier.
    Raises:
        InputError: if the weights are missing or of another network, or the target is neither CT nor MR.
    """

    def __init__(self, classifier: str | Path | Callable[[Tensor], Verdict], target: str) -> None:
        if target != "ct" and target not in MAGNETIC:
            raise InputError(
                "EvaluationReport, classifier",
                found=f"the target {target!r}",
                wanted=f"ct or one of {', '.join(MAGNETIC)}, which the classifier knows",
                remedy="set 'classifier' to null",
            )
        self.wanted = "ct" if target == "ct" else "mr"
        self.file = Path(classifier) if isinstance(classifier, str | Path) else None
        self.ask = ModalityClassifier.load(classifier) if isinstance(classifier, str | Path) else classifier

    def summary(self, verdicts: Mapping[str, Verdict]) -> dict[str, Any]:
        """What was said of each case, ready for JSON."""
        return {
            "wanted": self.wanted,
            "called_target": len(verdicts) - len(self._others(verdicts)),
            "not_called_target": self._others(verdicts),
            "verdicts": {case: asdict(verdict) for case, verdict in verdicts.items()},
            **({} if self.file is None else {"weights": self.file.name, "weights_sha256": sha256_of(self.file)}),
        }

    def warnings(self, verdicts: Mapping[str, Verdict]) -> list[str]:
        """A sentence that names the outputs not called the target modality; none where all are."""
        others = self._others(verdicts)
        if not others:
            return []
        told = ", ".join(f"{case} ({_answer(verdicts[case])})" for case in others)
        return [f"the modality classifier does not call the output {self.wanted.upper()} in {told}"]

    def _others(self, verdicts: Mapping[str, Verdict]) -> list[str]:
        return [case for case, verdict in verdicts.items() if verdict.modality != self.wanted]


def _answer(verdict: Verdict) -> str:
    answer = verdict.modality.upper() if verdict.modality else "no answer"
    return answer if verdict.probability is None else f"{answer}, {verdict.probability:.2f}"


def copied(suspects: Sequence[str], nearly_identical: float) -> list[str]:
    """A sentence that names the cases whose output is nearly their input; none where there is none."""
    if not suspects:
        return []
    cases = ", ".join(suspects)
    return [f"output nearly identical to input (SSIM from {nearly_identical:g}) in {cases}: was it translated at all?"]
