"""How right predictions are: area with its intervals, rates at the threshold of the validation, probabilities."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from embolism_bundle.predictions import Prediction
from transmodal.errors import InputError
from transmodal.metrics import (
    ProbabilityBin,
    area_under_curve,
    bootstrap_interval,
    brier_score,
    confusion,
    delong_interval,
    expected_calibration_error,
    log_loss,
    probability_bins,
    rates,
)

__all__ = ["in_words", "labels_of", "probabilities_of", "reliability", "summarised"]

BINS, BIN = 10, 15
"""At most so many bins of probabilities, of at least so many cases each."""
UNKNOWN = "unknown"
SEEN = {
    "training": "are TRAINING cases: these scores measure memory; give --datalist with the training's split.json, "
    "which leaves test cases alone",
    "validation": "are VALIDATION cases: weights, temperature and threshold were chosen on them",
    UNKNOWN: "are of UNKNOWN section: the weights may have been trained on them; give --datalist with the training's "
    "split.json, unless these are other patients",
}
"""What a summary warns of, by section."""
FEW = 30
"""Of fewer cases of a kind the summary warns: the interval of a rate is then wider than a third."""


def probabilities_of(predictions: Sequence[Prediction]) -> Tensor:
    """(N,), double precision."""
    return torch.tensor([prediction.probability for prediction in predictions], dtype=torch.float64)


def labels_of(predictions: Sequence[Prediction]) -> Tensor:
    """(N,), true for the cases with the finding.

    Raises:
        InputError: if there is no case, or one of which nobody knows.
    """
    unknown = [prediction.case for prediction in predictions if prediction.label is None]
    if unknown or not predictions:
        raise InputError(
            "evaluation",
            found=f"no label of {', '.join(unknown[:8])}" if predictions else "no case",
            wanted="cases whose finding is known",
            remedy="check the section, and give the labels as docs/README.md says",
        )
    return torch.tensor([bool(prediction.label) for prediction in predictions])


def summarised(predictions: Sequence[Prediction]) -> dict[str, Any]:
    """All scores, ready for JSON; what cannot be computed is None.

    The bootstrap draws patients, within those that have a positive case and those that have none; the interval after
    DeLong takes cases as independent.

    Raises:
        InputError: as :func:`labels_of`.
    """
    labels, probabilities = labels_of(predictions), probabilities_of(predictions)
    patients = [prediction.patient for prediction in predictions]
    bootstrapped = bootstrap_interval(probabilities, labels, groups=patients)
    return {
        "cases": len(predictions),
        "patients": len(set(patients)),
        "positive": int(labels.sum()),
        "auc": {
            "value": area_under_curve(probabilities, labels),
            "bootstrap_95": _listed(bootstrapped),
            "delong_95": _listed(delong_interval(probabilities, labels)),
        },
        "at_threshold": _at_threshold(predictions, labels),
        "probabilities": _calibration(probabilities, labels),
        "sections": _sections(predictions),
        "warnings": [*_seen(predictions), *_warnings(labels, len(set(patients)))],
    }


def _at_threshold(predictions: Sequence[Prediction], labels: Tensor) -> dict[str, Any]:
    counts = confusion(torch.tensor([prediction.answer for prediction in predictions]), labels)
    thresholds = sorted({prediction.threshold for prediction in predictions})
    told = {
        name: {"value": rate.value, "of": f"{rate.successes}/{rate.trials}", "wilson_95": _listed(rate.interval)}
        for name, rate in rates(counts).items()
    }
    return {"threshold": thresholds[0] if len(thresholds) == 1 else thresholds, **counts._asdict(), **told}


def _calibration(probabilities: Tensor, labels: Tensor) -> dict[str, Any]:
    logits = torch.logit(probabilities, eps=1e-12)
    pairs = torch.stack([torch.zeros_like(logits), logits], dim=1)
    bins = reliability(probabilities, labels)
    return {
        "brier_score": brier_score(probabilities, labels),
        "log_loss": log_loss(pairs, labels),
        "expected_calibration_error": expected_calibration_error(bins),
        "bins": [each._asdict() for each in bins],
    }


def reliability(probabilities: Tensor, labels: Tensor) -> list[ProbabilityBin]:
    """Bins of probabilities, fewer of them where there are few cases."""
    return probability_bins(probabilities, labels, max(1, min(BINS, len(labels) // BIN)))


def _sections(predictions: Sequence[Prediction]) -> dict[str, int]:
    """Number of cases of each section; ``unknown`` where neither a list nor the training's split has them."""
    return dict(sorted(Counter(prediction.section or UNKNOWN for prediction in predictions).items()))


def _seen(predictions: Sequence[Prediction]) -> list[str]:
    """Whether training and choice of the weights saw some of the cases, or may have."""
    counts = _sections(predictions)
    return [f"{counts[name]} of {len(predictions)} cases {told}" for name, told in SEEN.items() if name in counts]


def _warnings(labels: Tensor, patients: int) -> list[str]:
    positive, negative = int(labels.sum()), int((~labels).sum())
    kinds = (("with the finding", positive), ("without it", negative))
    warnings = [f"only {count} cases {kind}: the intervals are wide" for kind, count in kinds if count < FEW]
    if patients < len(labels):
        warnings.append("some patients have several cases: DeLong's interval and the Wilson intervals are too narrow")
    return warnings


def _listed(interval: tuple[float, float] | None) -> list[float] | None:
    return None if interval is None else list(interval)


def in_words(summary: dict[str, Any]) -> str:
    """Area, accuracy, sensitivity and specificity in a line."""
    area, told = summary["auc"], summary["at_threshold"]
    parts = [f"{summary['cases']} cases, {summary['positive']} positive"]
    if area["value"] is not None:
        low, high = area["bootstrap_95"]
        parts.append(f"AUC {area['value']:.3f} (95 % {low:.3f} to {high:.3f})")
    parts += [
        f"{name} {told[name]['value']:.3f} ({told[name]['of']})"
        for name in ("accuracy", "sensitivity", "specificity")
        if told[name]["value"] is not None
    ]
    return ", ".join(parts)
