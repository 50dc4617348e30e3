"""The time-conditional critic of SynDiff and MU-Diff with its deterministic weights, and numbers to compare with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tests.parity.fill import fill_keys
from transmodal.checkpoints import KeyMap, match
from transmodal.networks.nets import TimeDiscriminator
from transmodal.published import time_discriminator_names

TIME = KeyMap(time_discriminator_names())
Keys = list[tuple[str, list[int], str]]


def golden(shared: Path, name: str) -> dict[str, Tensor]:
    """Arrays of a reference, such as ``mudiff/disc``."""
    arrays = np.load(shared / f"goldens/{name}_golden.npz")
    return {key: torch.from_numpy(arrays[key]) for key in arrays.files}


def time_critic(keys: Keys, gain: float = 1.0, **definition: Any) -> TimeDiscriminator:
    """Our critic with the deterministic weights; ``gain`` multiplies all but biases."""
    state = {key: value * gain if value.ndim >= 2 else value for key, value in fill_keys(keys).items()}
    network = TimeDiscriminator(**definition)
    network.load_state_dict(match(state, network.state_dict(), TIME, where="critic")[0])
    return network
