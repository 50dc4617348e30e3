"""What an evaluator leaves after an iteration, as one checked record per case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from ignite.engine import Engine
from monai.data.meta_tensor import MetaTensor
from torch import Tensor

from transmodal.errors import InputError
from transmodal.tensors import plain_on_cpu

__all__ = ["CaseRecord", "case_records", "check_grid", "gathered", "samples_of"]

Share = TypeVar("Share")


@dataclass(frozen=True)
class CaseRecord:
    """One evaluated case on its native grid, plain tensors on the CPU.

    ``pred`` is in physical units and ``label`` the untouched target, both (1, H, W[, D]); ``mask`` is the body, same
    shape; ``source`` is the raw source (C, H, W[, D]); ``affine`` maps voxel indices to mm in RAS. ``regions`` holds
    masks of 0 and 1 by name, of the same shape, of the regions the case has; ``deviation`` is the predicted standard
    deviation in the units of the prediction.
    """

    case: str
    pred: Tensor
    label: Tensor
    mask: Tensor
    source: Tensor | None
    affine: Tensor | None
    regions: Mapping[str, Tensor] = field(default_factory=dict)
    deviation: Tensor | None = None


def case_records(
    engine: Engine, regions: Mapping[str, str] | None = None, deviation: str | None = None
) -> list[CaseRecord]:
    """The cases of the iteration just completed.

    Keys are looked up in the engine's output and, where they are not there, in its batch, because MONAI's evaluators
    carry only the image, the label and the prediction over.

    Args:
        engine: an evaluator after an iteration.
        regions: key of the mask of each region, by the region's name; a case need not have it. A region is where its
            mask, in any channel, is not zero, whatever the body.
        deviation: key of the predicted standard deviation; a case need not have it.
    Raises:
        InputError: if the batch was not decollated, a key is missing, or images lie on different grids.
    """
    return [_record(sample, regions or {}, deviation) for sample in samples_of(engine)]


def samples_of(engine: Engine) -> list[dict[str, Any]]:
    """The samples of the iteration just completed: what came in, and over it what came out.

    Raises:
        InputError: if the batch was not decollated.
    """
    outputs, batches = engine.state.output, engine.state.batch
    if not isinstance(outputs, list) or not all(isinstance(output, Mapping) for output in outputs):
        raise InputError(
            "evaluator",
            found=f"an output of type {type(outputs).__name__}",
            wanted="a list with a dictionary for each case",
            remedy="leave the evaluator's 'decollate' at true and load dictionaries",
        )
    paired = batches if isinstance(batches, list) and len(batches) == len(outputs) else [{}] * len(outputs)
    return [{**batch, **output} for batch, output in zip(paired, outputs, strict=True)]


def gathered(share: Share) -> list[Share]:
    """What each process holds, in the order of ranks, on every process; call it on all of them.

    Args:
        share: anything that can be pickled.
    Returns:
        A list of one outside of distributed work.
    """
    if not (dist.is_available() and dist.is_initialized()):
        return [share]
    shares: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(shares, share)
    return shares


def _record(sample: Mapping[str, Any], regions: Mapping[str, str], deviation: str | None) -> CaseRecord:
    case = _name(sample)
    missing = [key for key in ("pred", "label", "mask") if key not in sample]
    if missing:
        raise InputError(
            f"evaluation of case {case}",
            found=f"the keys {', '.join(sorted(map(str, sample)))}",
            wanted=f"also {', '.join(missing)}",
            remedy="keep the untouched target as 'label' and load or find the body as 'mask' in the preprocessing",
        )
    pred, label, mask, source = sample["pred"], sample["label"], sample["mask"], sample.get("source")
    optional = {"source": source, "deviation": sample.get(deviation) if deviation else None}
    optional |= {f"region {name}": sample.get(key) for name, key in regions.items()}
    present = {name: image for name, image in optional.items() if image is not None}
    check_grid(case, {"prediction": pred, "target": label, "mask": mask, **present})
    return CaseRecord(
        case=case,
        pred=plain_on_cpu(pred),
        label=plain_on_cpu(label),
        mask=plain_on_cpu(mask),
        source=plain_on_cpu(source) if source is not None else None,
        affine=plain_on_cpu(label.affine) if isinstance(label, MetaTensor) else None,
        regions={name: _region(sample[key]) for name, key in regions.items() if sample.get(key) is not None},
        deviation=plain_on_cpu(present["deviation"]) if "deviation" in present else None,
    )


def _name(sample: Mapping[str, Any]) -> str:
    """The sample's case, or what its reader called it: the records of MONAI Label hold images only."""
    label = sample.get("label")
    named = label.meta.get("case") if isinstance(label, MetaTensor) else None
    return str(sample.get("case") or named or "without a name")


def check_grid(case: str, images: Mapping[str, Tensor]) -> None:
    """Refuse images of a case, (C, H, W[, D]), that do not lie on one grid.

    Raises:
        InputError: if spatial shapes differ, or positions by a tenth of a voxel, of images that know theirs.
    """
    shapes = {name: tuple(image.shape[1:]) for name, image in images.items()}
    affines = [plain_on_cpu(image.affine).double() for image in images.values() if isinstance(image, MetaTensor)]
    moved = any(_displacement(affine, affines[0], next(iter(shapes.values()))) > 0.1 for affine in affines)
    if len(set(shapes.values())) > 1 or moved:
        found = "equal shapes at different positions" if len(set(shapes.values())) == 1 else "other shapes"
        raise InputError(
            f"evaluation of case {case}",
            found=f"{found}: {', '.join(f'{name} {shape}' for name, shape in shapes.items())}",
            wanted="all images on the native grid of the source",
            remedy="invert the spatial transforms of the prediction (Invertd), resample the target to the source",
        )


def _displacement(affine: Tensor, reference: Tensor, shape: Sequence[int]) -> float:
    """How far two placements of a grid are apart along an edge or at the origin at most, in voxels of the reference."""
    edges = torch.ones(len(reference), dtype=reference.dtype)
    edges[: len(shape)] = torch.tensor(shape, dtype=reference.dtype)
    voxel = reference[:-1, :-1].norm(dim=0).min()
    return float(((affine - reference)[:-1].abs() * edges).max() / voxel)


def _region(mask: Tensor) -> Tensor:
    """Where a mask of any number of channels is not zero, as 0 and 1, (1, H, W[, D])."""
    return (plain_on_cpu(mask).nan_to_num() != 0).any(dim=0, keepdim=True).float()
