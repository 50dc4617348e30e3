"""Recognises the published embolism classifier on latents, ``classification_model_256.pth.tar`` of X-ray2CTPA.

Widths and blocks follow from names and shapes of the tensors.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from transmodal.checkpoints import KeyMap, Published
from transmodal.errors import InputError

PREFIX = "base_model."
FIRST, LAST = "features.conv0.weight", "classifier.weight"
LEFT_NO_TRACE: Mapping[str, Any] = {"first_stride": [1, 2, 2], "norm": "batch", "dropout": 0.2}
"""Of the published network; the tensors do not tell."""


def recognise(state: Mapping[str, Tensor], where: str | Path) -> Published:
    """Infer the network that a published state dict belongs to.

    Args:
        state: with published keys, ``module.`` removed.
        where: the file, for the error.
    Raises:
        InputError: if it is no 3D DenseNet with one logit.
    """
    bare = {key.removeprefix(PREFIX): value for key, value in state.items()}
    if FIRST not in bare or LAST not in bare:
        raise _refusal(where, f"keys such as {', '.join(list(state)[:3])}")
    first, logits = bare[FIRST], len(bare[LAST])
    if first.ndim != 5:
        raise _refusal(where, f"a DenseNet of {first.ndim - 2} dimensions")
    if logits != 1:
        raise _refusal(where, f"a DenseNet with {logits} logits, as a fork of the published code has it")
    blocks = _blocks(bare)
    settings = {
        "spatial_dims": 3,
        "in_channels": first.shape[1],
        "init_features": first.shape[0],
        "growth_rate": bare["features.denseblock1.denselayer1.conv2.weight"].shape[0],
        "block_config": blocks,
        **LEFT_NO_TRACE,
    }
    definition = {"_target_": "transmodal.networks.nets.VolumeDenseNet121", **settings}
    title = f"3D DenseNet of blocks of {', '.join(map(str, blocks))} layers on {first.shape[1]} channels"
    return Published(title, definition, KeyMap(_names(state, blocks)), settings)


def _blocks(bare: Mapping[str, Tensor]) -> list[int]:
    """Dense layers of each block."""
    layers = {re.match(r"features\.denseblock(\d+)\.denselayer(\d+)\.", key) for key in bare}
    numbers = {(int(layer[1]), int(layer[2])) for layer in layers if layer}
    return [sum(block == number for block, _ in numbers) for number in range(1, max(numbers)[0] + 1)]


def _names(state: Mapping[str, Tensor], blocks: list[int]) -> dict[str, str]:
    """Published names of the modules to MONAI's."""
    prefix = PREFIX if any(key.startswith(PREFIX) for key in state) else ""
    names = {f"{prefix}features": "features", f"{prefix}classifier": "class_layers.out"}
    for block, layers in enumerate(blocks, start=1):
        for layer in range(1, layers + 1):
            module = f"features.denseblock{block}.denselayer{layer}"
            names[f"{prefix}{module}"] = f"{module}.layers"
    return names


def _refusal(where: str | Path, found: str) -> InputError:
    return InputError(
        where,
        found=found,
        wanted="the published embolism classifier, a 3D DenseNet with one logit",
        remedy="give classification_model_256.pth.tar, or a checkpoint of this very architecture",
    )
