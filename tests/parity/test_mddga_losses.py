"""The losses of MD-DGA against the published ones; tests/parity/test_mddga_sunet.py follows them into every gradient.

The reference numbers come from the published code, the inputs from seeds.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from mddga_bundle.losses import ConsistentNoise, L1Noise, MSENoise
from mddga_bundle.objective import AutoencoderObjective
from torch import Tensor, nn
from torch.testing import assert_close


def golden(shared: Path, name: str) -> dict[str, Tensor]:
    with np.load(shared / f"goldens/mddga/{name}_golden.npz") as arrays:
        return {key: torch.from_numpy(arrays[key]) for key in arrays.files}


@pytest.mark.parametrize(("loss", "published"), [(L1Noise(), "l1"), (MSENoise(), "mse")])
def test_single_losses(shared: Path, loss: L1Noise | MSENoise, published: str) -> None:
    expected = golden(shared, "loss")
    assert_close(loss(expected["pred"], expected["real"]), {published: expected[published]})


def test_the_double_loss_and_its_terms(shared: Path) -> None:
    expected = golden(shared, "loss")
    terms = ConsistentNoise()(expected["pred"], expected["real"])
    assert_close(terms["l1"], 0.8 * expected["l1"])
    assert_close(terms["consistency"], 0.2 * expected["consistency"])
    assert_close(terms["l1"] + terms["consistency"], expected["double"])


@pytest.mark.parametrize(("name", "size"), [("vqvae3d_small", "16x20x12"), ("vqvae2d_small", "40x24")])
def test_the_terms_of_the_autoencoder(shared: Path, name: str, size: str) -> None:
    """From what the published autoencoder returns, so that nothing but the terms is compared."""

    class Recorded(nn.Module):
        def forward(self, image: Tensor) -> tuple[Tensor, ...]:
            return tuple(expected[f"{size}_{kind}"] for kind in ("recon", "z", "q"))

    expected = golden(shared, name)
    terms = AutoencoderObjective(Recorded()).terms({"image": expected[f"{size}_in"]})
    assert_close(terms["codebook"] + terms["commitment"], expected[f"{size}_vq_loss"])
    assert_close(terms["reconstruction"], expected[f"{size}_recon_loss"])
