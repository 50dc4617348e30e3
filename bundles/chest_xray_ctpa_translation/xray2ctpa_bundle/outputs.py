"""What an evaluator leaves of a radiograph's translation, for figures and previews; a true CT need not be there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ignite.engine import Engine
from monai.data import MetaTensor
from torch import Tensor

from transmodal.errors import InputError
from transmodal.handlers.records import samples_of
from transmodal.tensors import plain_on_cpu

__all__ = ["Output", "outputs_of"]


class Output(NamedTuple):
    """A radiograph and its CT, plain tensors on the CPU.

    Attributes:
        case: its name.
        radiograph: as the network took it, (1, S, S) in [-1, 1].
        pred: generated CT in HU, (1, F, H, W), float32.
        affine: of the generated CT, voxel indices to mm in RAS, (4, 4).
        label: true CT in HU on the same grid, if there is one.
        mask: body in it, if there is one.
    """

    case: str
    radiograph: Tensor
    pred: Tensor
    affine: Tensor
    label: Tensor | None = None
    mask: Tensor | None = None


def outputs_of(engine: Engine) -> list[Output]:
    """The cases of the iteration just completed.

    Raises:
        InputError: if the batch was not decollated, a radiograph or a result is missing, or a result has no place.
    """
    return [_output(sample) for sample in samples_of(engine)]


def _output(sample: Mapping[str, Any]) -> Output:
    pred, image = sample.get("pred"), sample.get("image")
    named = image.meta.get("case") if isinstance(image, MetaTensor) else None
    case = str(sample.get("case") or named or "without a name")
    if image is None or not isinstance(pred, MetaTensor) or pred.ndim != 4:
        raise InputError(
            f"case {case}",
            found=f"the keys {', '.join(sorted(map(str, sample)))}",
            wanted="a radiograph 'image', and a volume 'pred' that knows where it lies",
            remedy="place the prediction (PlaceOnGridd) in the postprocessing",
        )
    label, mask = sample.get("label"), sample.get("mask")
    return Output(
        case=case,
        radiograph=plain_on_cpu(image),
        pred=plain_on_cpu(pred)[:1].float(),
        affine=plain_on_cpu(pred.affine),
        label=None if label is None else plain_on_cpu(label).float(),
        mask=None if label is None or mask is None else plain_on_cpu(mask),
    )
