"""What the parts of a network are given: told by the bundle's own inferer, which is called twice with different sizes.

Sizes that differ between the two calls are those that an export leaves open. The parts themselves do not compute
meanwhile: what they return are zeros of the right shape, so that large networks take no longer than small ones.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils import _pytree

from importing.layers import Layers
from transmodal.errors import InputError
from transmodal.exported import in_place, part_of

__all__ = ["SHOWN", "Example", "Shown", "examples_of", "image_of", "size_multiple"]


@dataclass(frozen=True)
class Example:
    """Two calls of a part of a network.

    Args:
        first, second: arguments of each, of different sizes.
        names: of the tensors among the arguments, in their order.
    """

    first: tuple[Any, ...]
    second: tuple[Any, ...]
    names: tuple[str, ...]


@dataclass(frozen=True)
class Shown:
    """What a bundle's inferer is shown.

    Args:
        first, second: spatial sizes of the images, in units of ``unit``; the size of the config is used where empty.
        batches: of the two images.
        unit: of the sizes, in pixels; None for the size that every level of the network can halve.
        ids: of each of the two calls, such as numbers of steps.
        turns: ids by which one call after another reaches all parts, such as directions.
    """

    first: tuple[int, ...] = (2, 3)
    second: tuple[int, ...] = (3, 4)
    batches: tuple[int, int] = (3, 5)
    unit: int | None = None
    ids: tuple[Mapping[str, Any], Mapping[str, Any]] = field(default_factory=lambda: ({}, {}))
    turns: tuple[Mapping[str, Any], ...] = ({},)


SMALLEST = 16
"""Pixels of a unit of sizes, at least: below, sizes of 1 appear, which PyTorch takes for constants."""

BOTH = ({"source": "ct"}, {"source": "mr"})
SHOWN = {
    "brain_mri_mudiff_synthesis": Shown(unit=16),
    "chest_ctpa_embolism_classification": Shown((2, 3, 4), (3, 2, 5), unit=32),
    "chest_xray_ctpa_translation": Shown(
        (),
        (),
        ids=(
            {"num_steps": 1, "guidance": 2.0, "slices_at_once": 3},
            {"num_steps": 1, "guidance": 2.0, "slices_at_once": 5},
        ),
    ),
    "ct_mr_body_segmentation": Shown(unit=16),
    "ct_mr_cyclegan_translation": Shown(unit=16, turns=BOTH),
    "ct_mr_mddga_translation": Shown(
        (2, 3, 4),
        (3, 2, 5),
        batches=(2, 3),
        ids=(
            {"num_steps": 1, "slice_batch": 3, "channel_batch": 1, "slab": None},
            {"num_steps": 1, "slice_batch": 5, "channel_batch": 1, "slab": None},
        ),
    ),
    "ct_mr_modality_classification": Shown((2, 3, 3), (3, 4, 5), batches=(1, 1), unit=1),
    "ct_mr_stargan_translation": Shown(unit=16),
    "ct_mr_syndiff_translation": Shown(turns=BOTH),
}
"""What the inferer of each bundle is shown."""


def examples_of(layers: Layers, parts: Sequence[str], shown: Shown) -> dict[str, Example]:
    """Two calls of each part of a bundle's network, with random weights and images.

    Args:
        layers: the bundle's inference config, overlays and ids over it; the bundle must be importable meanwhile.
        parts: dotted names of modules or of methods.
        shown: images and ids.
    Raises:
        InputError: if the inferer never calls a part, or the network has none of that name.
    """
    calls: list[dict[str, tuple[Any, ...]]] = [{}, {}]
    names: dict[str, tuple[str, ...]] = {}
    for number, heard in enumerate(calls):
        for turn in shown.turns:
            ids = {**layers.ids, **_known(layers, {**shown.ids[number], **turn})}
            parser = replace(layers, ids=ids).parser
            network = parser.get_parsed_content("network_def").eval()
            image = _image(layers, network, shown, number)
            names |= {name: tuple(_names(part_of(network, name))) for name in parts}
            with torch.no_grad(), _heard(network, parts, heard):
                parser.get_parsed_content("inferer")(image, network)
    if silent := [name for name in parts if name not in calls[0] or name not in calls[1]]:
        raise InputError(
            layers.bundle.name,
            found=f"an inferer that never calls {', '.join(silent)}",
            wanted="parts that inference uses",
            remedy="correct `onnx_parts`",
        )
    return {name: _example(calls[0][name], calls[1][name], names[name]) for name in parts}


def size_multiple(network: nn.Module) -> int:
    """The sizes that every level of a network can halve are multiples of this."""
    return max((int(getattr(module, "size_multiple", 1)) for module in network.modules()), default=1)


def image_of(layers: Layers, network: nn.Module, shown: Shown) -> Tensor:
    """A small random batch in [-1, 1], as the network itself takes it: (B, C, *S)."""
    unit = _unit(network, shown)
    axes = layers.bundle.metadata["network_data_format"]["inputs"]["image"]["spatial_shape"]
    return torch.rand(2, _channels(layers), *[unit * -(-2 * SMALLEST // unit) for _ in axes]) * 2 - 1


def _image(layers: Layers, network: nn.Module, shown: Shown, number: int) -> Tensor:
    """A random image in [-1, 1], as the inferer takes it: (B, C, *S)."""
    sizes = [_unit(network, shown) * size for size in (shown.second if number else shown.first)]
    if not sizes:
        sizes = [int(layers.parser.get_parsed_content("xray_size"))] * 2
    return torch.rand(shown.batches[number], _channels(layers), *sizes) * 2 - 1


def _channels(layers: Layers) -> int:
    if "sources" in layers.parser:
        return len(layers.parser.get_parsed_content("sources"))
    return int(layers.bundle.metadata["network_data_format"]["inputs"]["image"]["num_channels"])


def _unit(network: nn.Module, shown: Shown) -> int:
    halved = size_multiple(network) * int(getattr(getattr(network, "autoencoder", None), "downsampling", 1))
    return shown.unit or halved * -(-SMALLEST // halved)


def _known(layers: Layers, ids: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in ids.items() if key in layers.parser}


@contextmanager
def _heard(network: nn.Module, parts: Sequence[str], heard: dict[str, tuple[Any, ...]]) -> Iterator[None]:
    """Write down the first call of each part, and answer it and all others with zeros."""

    def listener(name: str, part: Callable[..., Any]) -> Callable[..., Any]:
        def listen(*args: Any) -> Any:
            heard.setdefault(name, args)
            with FakeTensorMode(allow_non_fake_inputs=True) as mode:
                answer = part(*_pytree.tree_map_only(Tensor, mode.from_tensor, args))
            return _pytree.tree_map_only(Tensor, lambda like: torch.zeros(like.shape, dtype=like.dtype), answer)

        return listen

    for name in parts:
        in_place(network, name, listener(name, part_of(network, name)))
    yield


def _example(first: tuple[Any, ...], second: tuple[Any, ...], parameters: tuple[str, ...]) -> Example:
    """Two calls with a name for each of their tensors: that of the argument, with that of its field."""
    names: list[str] = []
    for parameter, value in zip(parameters, first, strict=False):
        fields = getattr(value, "_fields", None)
        names += [f"{parameter}_{each}" for each in fields] if fields else [parameter]
    return Example(first, second, tuple(names))


def _names(part: Callable[..., Any]) -> Iterator[str]:
    yield from inspect.signature(part.forward if isinstance(part, nn.Module) else part).parameters
