"""Small chests on a working grid, for the tests of what reads an evaluator: each individual, all alike in the large."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from ignite.engine import Engine
from monai.data import MetaTensor
from torch import Tensor

from transmodal.transforms.field_of_view import grid_affine

GRID = (8, 16, 16)
FIELD_OF_VIEW = (320.0, 384.0, 384.0)
PLACE = (10.0, -20.0, 30.0)
"""Of the middle of every chest, RAS mm."""


def affine(place: Sequence[float] = PLACE) -> Tensor:
    return torch.from_numpy(grid_affine(FIELD_OF_VIEW, GRID, "SPL", place))


def anatomy(number: int) -> Tensor:
    """A CT in HU, (1, F, H, W): two lungs in a body, and blobs of 150 HU that tell one number from another."""
    _, rows, columns = torch.meshgrid(*(torch.linspace(-1, 1, side) for side in GRID), indexing="ij")
    body = rows.square() / 0.5 + columns.square() / 0.8 < 1
    lungs = (columns.abs() - 0.4).square() / 0.05 + rows.square() / 0.15 < 1
    generator = torch.Generator().manual_seed(number)
    blobs = F.interpolate(torch.randn(1, 1, 4, 8, 8, generator=generator), GRID, mode="trilinear")[0, 0]
    values = torch.where(lungs, -800.0, 40.0) + 150 * blobs
    return torch.where(body, values, torch.tensor(-1000.0)).clamp(-1000, 500)[None]


def radiograph(ct: Tensor) -> Tensor:
    """A picture (1, 16, 16) in [-1, 1], head up, of a CT as :func:`anatomy` makes it."""
    picture = F.interpolate((ct.mean(dim=2)[None] + 600) / 500, (16, 16), mode="bilinear")[0]
    return picture.flip(1).clamp(-1, 1)


def chest(case: str, number: int, pred: Tensor | None = None) -> dict[str, Any]:
    """A case; without a prediction the true CT and 20 HU is one."""
    ct = anatomy(number)
    images = {"label": ct, "pred": ct + 20 if pred is None else pred, "mask": (ct > -950).float()}
    placed = {key: MetaTensor(image, affine=affine()) for key, image in images.items()}
    return {"case": case, "image": MetaTensor(radiograph(ct)), **placed}


def evaluate(cases: Sequence[dict[str, Any]], handlers: Sequence[Any]) -> Engine:
    """Run handlers over cases, one to a batch, as evaluators leave them: some keys in the output, all in the batch."""
    engine = Engine(lambda _, batch: [{key: case[key] for key in ("image", "pred")} for case in batch])
    for handler in handlers:
        handler.attach(engine)
    engine.run([[case] for case in cases])
    return engine
