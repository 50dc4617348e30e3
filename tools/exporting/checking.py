"""How far an exported part is from the module it was made of."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils import _pytree

from exporting.examples import Example
from exporting.programs import Flat, flat
from transmodal.errors import InputError
from transmodal.exported import OnnxPart

__all__ = ["TOLERANCE", "Difference", "checked", "checked_script", "difference", "runner_of"]

TOLERANCE = 1e-4
"""Largest difference that is taken for rounding, of values in [-1, 1] or of 1 / so much of larger ones: 0.15 HU of a
window of 3000 HU. Networks that were trained are ten to a hundred times closer."""


class Difference(NamedTuple):
    """How far two answers are apart.

    Args:
        largest: difference, relative to the largest value above 1; infinite where a value is not finite or a shape
            differs.
        constant: whether PyTorch answered random images by one value throughout, of which little can be told.
    """

    largest: float
    constant: bool = False


def runner_of(path: Path) -> Callable[..., Any]:
    """What runs an exported part: takes its tensors one after another."""
    if path.suffix == ".onnx":
        return OnnxPart(path)
    return torch.export.load(path).module()


def difference(network: nn.Module, name: str, example: Example, path: Path) -> Difference:
    """How far a part and its file are apart.

    Inputs are random, of the sizes of the example's second call, and a single one instead of a batch: neither is what
    the part was exported with.
    """
    generator = torch.Generator().manual_seed(0)
    args = [
        _alone(value, other, generator) for value, other in zip(flat(example.second), flat(example.first), strict=True)
    ]
    with torch.no_grad():
        return _between(Flat(network, name, example.first)(*args), runner_of(path)(*args))


def checked(network: nn.Module, name: str, example: Example, path: Path) -> Difference:
    """:func:`difference`, and the file is removed if that is more than :data:`TOLERANCE`.

    Raises:
        InputError: if it is.
    """
    return _kept(path, difference(network, name, example, path))


def checked_script(network: nn.Module, image: Tensor, path: Path) -> Difference:
    """As :func:`checked`, for a file of TorchScript with the whole network.

    Raises:
        InputError: if the difference is more than :data:`TOLERANCE`.
    """
    with torch.no_grad():
        return _kept(path, _between(network(image), torch.jit.load(path)(image)))


def _between(wanted: Any, found: Any) -> Difference:
    a, b = _pytree.tree_leaves(wanted), _pytree.tree_leaves(found)
    if [value.shape for value in a] != [value.shape for value in b]:
        return Difference(float("inf"))
    pairs = [(x, y) for x, y in zip(a, b, strict=True) if x.numel()]
    constant = any(x.numel() > 1 and bool((x == x.flatten()[0]).all()) for x, _ in pairs)
    if not all(bool(value.isfinite().all()) for pair in pairs for value in pair):
        return Difference(float("inf"), constant)
    return Difference(max(float((x - y).abs().max() / x.abs().max().clamp(min=1)) for x, y in pairs), constant)


def _kept(path: Path, apart: Difference) -> Difference:
    if not apart.largest <= TOLERANCE:
        path.unlink()
        raise InputError(
            path,
            found=f"results {apart.largest:.2g} away from those of PyTorch, or not finite",
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
