"""Small labelled images and a MONAI evaluator over them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch
from monai.data import DataLoader, Dataset, MetaTensor
from monai.engines import SupervisedEvaluator
from torch import Tensor, nn

SHAPE = (16, 14, 4)
LPS = torch.diag(torch.tensor([-2.0, -2.0, 3.0, 1.0], dtype=torch.float64))


def square(start: int = 4, stop: int = 12) -> Tensor:
    """A body of some rows, columns 3 to 11, in every slice."""
    mask = torch.zeros(1, *SHAPE)
    mask[:, start:stop, 3:11] = 1
    return mask


def labelled(name: str, pred: Tensor, label: Tensor, modality: str = "ct") -> dict[str, Any]:
    """A case whose ``image`` is what the identity network predicts; water in the reference, air outside."""
    images = {"image": pred, "label": label, "raw": torch.where(square() > 0, 40.0, -1000.0)}
    placed = {key: MetaTensor(image.clone(), affine=LPS) for key, image in images.items()}
    return {"case": name, "modality": modality, **placed}


def evaluate(cases: Sequence[dict[str, Any]], *handlers: Any, **arguments: Any) -> SupervisedEvaluator:
    """Run an evaluator that predicts each case's ``image``."""
    evaluator = SupervisedEvaluator(
        device=torch.device("cpu"),
        val_data_loader=DataLoader(Dataset(list(cases)), batch_size=1, num_workers=0),
        network=nn.Identity(),
        val_handlers=list(handlers),
        **arguments,
    )
    evaluator.run()
    return evaluator


def write(folder: Path, **images: Tensor) -> dict[str, str]:
    """A case record named after its folder, with a NIfTI file of each image."""
    folder.mkdir(parents=True)
    for name, image in images.items():
        nib.save(nib.Nifti1Image(np.asarray(image[0], np.float32), LPS.numpy()), folder / f"{name}.nii.gz")
    return {"case": folder.name, **{name: str(folder / f"{name}.nii.gz") for name in images}}
