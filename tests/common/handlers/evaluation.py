"""Small paired cases and a MONAI evaluator over them, for the tests of what reads an evaluator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from monai.data import DataLoader, Dataset, MetaTensor
from monai.engines import SupervisedEvaluator
from torch import Tensor, nn
from torch.utils.data import Sampler

SHAPE = (20, 18, 9)
LPS = torch.diag(torch.tensor([-2.0, -2.0, 3.0, 1.0], dtype=torch.float64))


def paired(name: str, error: float = 20.0, affine: Tensor = LPS) -> dict[str, Any]:
    """An elliptic body with a bone in it; ``image`` is what the identity network predicts, CT plus an error in HU."""
    rows, columns, _ = torch.meshgrid(*(torch.linspace(-1, 1, side) for side in SHAPE), indexing="ij")
    mask = (rows.square() + columns.square() < 0.8).float()[None]
    bone = ((rows - 0.3).square() + columns.square() < 0.05)[None]
    noise = torch.randn(1, *SHAPE, generator=torch.Generator().manual_seed(len(name)))
    ct = torch.where(mask > 0, torch.where(bone, 700.0, 40.0) + 10 * noise, -1000.0)
    mr = torch.where(mask > 0, torch.where(bone, 50.0, 400.0) + 5 * noise.flip(1), 0.0)
    images = {"image": ct + error, "label": ct, "mask": mask, "source": mr}
    return {"case": name, **{key: MetaTensor(image, affine=affine) for key, image in images.items()}}


def uncertain(name: str, error: float) -> dict[str, Any]:
    """A case of :func:`paired` whose predicted deviation goes from half its error to twice along the first axis."""
    case = paired(name, error)
    ramp = torch.linspace(0.5, 2, SHAPE[0])[:, None, None].expand(SHAPE)
    return {**case, "pred_std": MetaTensor(error * ramp[None], affine=LPS)}


def spot() -> MetaTensor:
    """A region of 48 voxels in the upper part of the body of :func:`paired`."""
    region = torch.zeros(1, *SHAPE)
    region[:, 8:12, 6:10, 5:8] = 1
    return MetaTensor(region, affine=LPS)


def evaluate(
    cases: Sequence[dict[str, Any]],
    handlers: Sequence[Any] = (),
    sampler: Sampler[int] | None = None,
    batch_size: int = 2,
    **arguments: Any,
) -> SupervisedEvaluator:
    """Run an evaluator whose prediction is each case's ``image``; cases of one batch have the same keys."""
    loader = DataLoader(Dataset(list(cases)), batch_size=batch_size, num_workers=0, sampler=sampler)
    evaluator = SupervisedEvaluator(
        device=torch.device("cpu"),
        val_data_loader=loader,
        network=nn.Identity(),
        val_handlers=list(handlers),
        **arguments,
    )
    evaluator.run()
    return evaluator
