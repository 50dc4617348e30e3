"""The deterministic weights and inputs behind every reference number of the parity tests.

Each array depends on its key alone, so a network and its reference agree without a stored checkpoint.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor


def fill(state: Mapping[str, Tensor], prefix: str = "") -> dict[str, Tensor]:
    """Deterministic values for a state dict, by its published keys.

    Args:
        state: keys and shapes; integer buffers are returned as they are.
        prefix: goes before each key where it seeds the values, such as ``"G_A."``.
    Returns:
        float32 values under the keys of ``state``.
    """
    return {
        key: value
        if not value.is_floating_point()
        else torch.from_numpy(np.asarray(_values(prefix + key, tuple(value.shape))))
        for key, value in state.items()
    }


def fill_keys(keys: Sequence[tuple[str, Sequence[int], str]]) -> dict[str, Tensor]:
    """The same for a published list of (key, shape, dtype)."""
    return fill({key: torch.zeros(tuple(shape), dtype=getattr(torch, dtype)) for key, shape, dtype in keys})


def image(seed: int, shape: Sequence[int]) -> Tensor:
    """A reference input: tanh of standard normal values, float32 in [-1, 1]."""
    values = np.random.RandomState(seed).standard_normal(tuple(shape)).astype(np.float32)
    return torch.from_numpy(np.tanh(values))


def _values(key: str, shape: tuple[int, ...]) -> np.ndarray:
    seed = zlib.crc32(key.encode()) & 0x7FFFFFFF
    values = np.random.RandomState(seed).standard_normal(int(np.prod(shape))).astype(np.float32).reshape(shape)
    if key.endswith("running_var"):
        return np.float32(0.5) + np.abs(values)
    if values.ndim >= 2:
        return (values / np.sqrt(values[0].size)).astype(np.float32)
    if key.endswith("weight"):
        return np.float32(1.0) + np.float32(0.1) * values
    return np.float32(0.1) * values
