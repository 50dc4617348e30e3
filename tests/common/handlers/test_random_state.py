"""The random states: every global generator continues where it was."""

from __future__ import annotations

import io
import random

import numpy as np
import torch

from transmodal.handlers.random_state import random_state, set_random_state

CPU = torch.device("cpu")


def draws() -> list[float]:
    return [random.random(), float(np.random.rand()), float(np.random.randn()), float(torch.rand(()))]


def test_every_generator_continues_from_a_safely_loaded_state() -> None:
    np.random.randn()  # NumPy keeps the second of two normal numbers for the next call
    file = io.BytesIO()
    torch.save(random_state(CPU), file)
    expected = draws()
    draws()
    file.seek(0)
    set_random_state(torch.load(file, weights_only=True), CPU)
    assert draws() == expected
