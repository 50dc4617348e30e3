"""Whether values are Hounsfield units: air near -1000, fat just below and soft tissue just above 0, little between.

A positive answer is always CT; other values prove nothing, since a CT may have been rescaled.
"""

from __future__ import annotations

import torch
from monai.data import MetaTensor
from torch import Tensor

from transmodal.modality.verdict import Verdict

__all__ = ["from_hounsfield"]

SAMPLED = 200_000
LOWEST, HIGHEST = -10_000, 40_000
PAD = -1100
AIR, LUNG, FAT, SOFT = (-1050, -950), (-950, -650), (-150, -30), (-10, 110)
BODY, TISSUE = -250, (-200, 250)


def from_hounsfield(image: Tensor) -> Verdict:
    """CT if the values of ``image`` are Hounsfield units beyond doubt; no answer otherwise, never MR.

    Args:
        image: any shape, values as read from the file; of large images an even sample is looked at.
    Returns:
        A verdict by ``"hounsfield"``, or one without answer by ``"nothing"`` that says what is missing.
    """
    values = image.as_tensor() if isinstance(image, MetaTensor) else image
    values = values.detach().flatten()
    values = values[:: max(1, len(values) // SAMPLED)].float()
    fault = _fault(values)
    if fault:
        return Verdict(None, "nothing", None, f"the values are not evidently Hounsfield units: {fault}")
    return Verdict("ct", "hounsfield", None, "air near -1000, fat and soft tissue around 0: Hounsfield units")


def _fault(values: Tensor) -> str:
    """The first thing that Hounsfield units would show and these values do not; empty if there is none."""
    if not bool(torch.isfinite(values).all()) or len(values) == 0:
        return "some are not finite"
    if float(values.min()) < LOWEST or float(values.max()) > HIGHEST:
        return f"they reach from {float(values.min()):g} to {float(values.max()):g}"
    if float(values.min()) > -200:
        return f"none is below {float(values.min()):g}"
    whole = float((values == values.round()).float().mean())
    if whole < 0.98:
        return f"only {whole:.0%} are whole numbers"
    inside = values[values > PAD]  # scanners pad outside the field of view with -1024, -2000, -3024 ...
    body = inside[inside > BODY]
    if len(body) < 0.005 * len(values):
        return "there is hardly a tissue"
    if _share(inside, AIR) + _share(inside, LUNG) < 0.01:
        return "there is no peak of air near -1000"
    if _share(body, FAT) < 0.01 or _share(body, SOFT) < 0.1 or _share(body, TISSUE) < 0.6:
        return "there are no peaks of fat near -100 and of soft tissue near 40"
    return ""


def _share(values: Tensor, bounds: tuple[float, float]) -> float:
    return float(((values >= bounds[0]) & (values <= bounds[1])).float().mean())
