"""How far an exported part is from the module it was made of."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree

from exporting.examples import Example
from exporting.programs import Flat, flat
from transmodal.errors import InputError
from transmodal.exported import OnnxPart

__all__ = ["TOLERANCE", "checked", "difference", "runner_of"]

TOLERANCE = 1e-4
"""Largest difference that is taken for rounding, of values in [-1, 1] or of 1 / so much of larger ones: 0.15 HU of a
window of 3000 HU. Networks that were trained are ten to a hundred times closer."""


def runner_of(path: Path) -> Callable[..., Any]:
    """What runs an exported part: takes its tensors one after another."""
    if path.suffix == ".onnx":
        return OnnxPart(path)
    return torch.export.load(path).module()


def difference(network: nn.Module, name: str, example: Example, path: Path) -> float:
    """The largest difference between a part and its file, relative to the largest value above 1.

    Inputs are random, of the sizes of the example's second call, and a single one instead of a batch: neither is what
    the part was exported with.
    """
    generator = torch.Generator().manual_seed(0)
    args = [
        _alone(value, other, generator) for value, other in zip(flat(example.second), flat(example.first), strict=True)
    ]
    with torch.no_grad():
        wanted, found = (
            _pytree.tree_leaves(run(*args)) for run in (Flat(network, name, example.first), runner_of(path))
        )
    if [value.shape for value in wanted] != [value.shape for value in found]:
        return float("inf")
    pairs = [(a, b) for a, b in zip(wanted, found, strict=True) if a.numel()]
    return max(float((a - b).abs().max() / a.abs().max().clamp(min=1)) for a, b in pairs)


def checked(network: nn.Module, name: str, example: Example, path: Path) -> float:
    """:func:`difference`, and the file is removed if that is more than :data:`TOLERANCE`.

    Raises:
        InputError: if it is.
    """
    apart = difference(network, name, example, path)
    if not apart <= TOLERANCE:
        path.unlink()
        raise InputError(
            path,
            found=f"results {apart:.2g} away from those of PyTorch",
            wanted=f"at most {TOLERANCE:.0e}",
            remedy="run this bundle by PyTorch; the file was removed",
        )
    return apart


def _alone(value: Tensor, other: Tensor, generator: torch.Generator) -> Tensor:
    """Random values like the first sample, or like all where the number of samples is not open."""
    one = value[:1] if value.shape[0] != other.shape[0] else value
    if one.dtype == torch.bool:
        return torch.rand(one.shape, generator=generator) < 0.5
    return torch.rand(one.shape, generator=generator) * 2 - 1 if one.is_floating_point() else one
