"""Whether values are Hounsfield units: air or lung near -1000, fat and soft tissue close around 0, little between.

A positive answer is always CT; other values prove nothing, since a CT may have been rescaled. The limits lie between
CT of limbs, trunk, chest and head on one side and, on the other, MR whose values were shifted or stretched to look like
Hounsfield units; doubtful CT is left to the network.
"""

from __future__ import annotations

import torch
from torch import Tensor

from transmodal.modality.verdict import Verdict
from transmodal.tensors import without_metadata

__all__ = ["from_hounsfield", "may_be_hounsfield"]

SAMPLED = 200_000
LOWEST, HIGHEST = -10_000, 40_000
PAD = -1100
GAS, BETWEEN = (-1050, -650), (-600, -250)
LEAST_TISSUE = 0.4
BODY, TISSUE, SOFT, CONTRASTED = -250, (-150, 120), (0, 90), (150, 250)


def from_hounsfield(image: Tensor) -> Verdict:
    """CT if the values of ``image`` are Hounsfield units beyond doubt; no answer otherwise, never MR.

    Args:
        image: any shape, values as read from the file, whole or (resampled) not; of large images an even sample is
            looked at.
    Returns:
        A verdict by ``"hounsfield"``, or one without answer by ``"nothing"`` that says what is missing.
    """
    values = _sample(image)
    fault = _fault(values)
    if fault:
        return Verdict(None, "nothing", None, f"the values are not evidently Hounsfield units: {fault}")
    return Verdict("ct", "hounsfield", None, "air near -1000, fat and soft tissue around 0: Hounsfield units")


def may_be_hounsfield(image: Tensor) -> bool:
    """Whether the values of what is said to be CT could be Hounsfield units: there is air, and tissue around 0.

    Unlike :func:`from_hounsfield` this does not rule out MR that was shifted to look like CT; magnitudes and pictures
    have nothing below 0 and fail.
    """
    values = _sample(image)
    if _implausible(values):
        return False
    inside = values[values > PAD]
    body = inside[inside > BODY]
    return _share(inside, GAS) >= 0.01 and _share(body, TISSUE) >= LEAST_TISSUE


def _sample(image: Tensor) -> Tensor:
    values = without_metadata(image)
    values = values.detach().flatten()
    return values[:: max(1, len(values) // SAMPLED)].float()


def _implausible(values: Tensor) -> str:
    """What no image in Hounsfield units shows, of any part of the body; empty if there is nothing."""
    if not bool(torch.isfinite(values).all()) or len(values) == 0:
        return "some are not finite"
    if float(values.min()) < LOWEST or float(values.max()) > HIGHEST:
        return f"they reach from {float(values.min()):g} to {float(values.max()):g}"
    if float(values.min()) > -200:
        return f"none is below {float(values.min()):g}"
    if int((values > BODY).sum()) < 0.005 * len(values):
        return "there is hardly a tissue"
    return ""


def _fault(values: Tensor) -> str:
    """The first thing that Hounsfield units would show and these values do not; empty if there is none."""
    if fault := _implausible(values):
        return fault
    inside = values[values > PAD]  # scanners pad outside the field of view with -1024, -2000, -3024 ...
    body = inside[inside > BODY]
    if _share(inside, GAS) < 0.01:
        return "there is no air or lung near -1000"
    if _share(inside, BETWEEN) > 0.3 * len(body) / len(inside):
        return "too much lies between air and fat"
    if _share(body, TISSUE) < 0.58 or _share(body, SOFT) < 0.2:
        return "too little lies close around 0, where fat and soft tissue are"
    if _density(body, SOFT) < 3 * _density(body, CONTRASTED):
        return "there is no peak of soft tissue near 40"
    return ""


def _share(values: Tensor, bounds: tuple[float, float]) -> float:
    return float(((values >= bounds[0]) & (values <= bounds[1])).float().mean())


def _density(values: Tensor, bounds: tuple[float, float]) -> float:
    return _share(values, bounds) / (bounds[1] - bounds[0])
