"""The published weighting of MU-Diff's mutual term: maps, both losses and their gradients, from recorded features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from mudiff_bundle.objective import mutual_loss
from mudiff_bundle.weighting import FrozenProjection
from torch import Tensor
from torch.testing import assert_close


@pytest.fixture
def golden(shared: Path) -> dict[str, Tensor]:
    arrays = np.load(shared / "goldens/mudiff/critic_weighting_golden.npz")
    return {key: torch.from_numpy(arrays[key]) for key in arrays.files}


def maps(golden: dict[str, Tensor]) -> list[Tensor]:
    weighting = FrozenProjection(channels=128)
    weighting.projection.load_state_dict({"weight": golden["att_conv_weight"], "bias": golden["att_conv_bias"]})
    return weighting([golden["feat_g1"], golden["feat_g2"]], [], (64, 64))


def test_maps_are_the_published_ones(golden: dict[str, Tensor]) -> None:
    first, second = maps(golden)
    assert_close(first, golden["att_map_g1"], rtol=0, atol=1e-6)
    assert_close(second, golden["att_map_g2"], rtol=0, atol=1e-6)


@pytest.mark.parametrize(("published", "learner"), [("mask_loss_1", 0), ("mask_loss_2", 1)])
def test_what_each_denoiser_learns_costs_as_published(golden: dict[str, Tensor], published: str, learner: int) -> None:
    """The map of the other one alone, so that only one of the two terms remains."""
    alone = maps(golden)
    alone[learner] = torch.zeros_like(alone[learner])
    cost = mutual_loss([golden["xpos_g1"], golden["xpos_g2"]], alone, detached=False)
    assert_close(cost, golden[published], rtol=1e-6, atol=0)


def test_samples_have_the_published_gradient(golden: dict[str, Tensor]) -> None:
    """Also as targets: nothing is detached."""
    made = [golden[name].requires_grad_() for name in ("xpos_g1", "xpos_g2")]
    mutual_loss(made, maps(golden), detached=False).backward()
    for sample, name in zip(made, ("grad_xpos_g1", "grad_xpos_g2"), strict=True):
        assert_close(sample.grad, golden[name], rtol=1e-4, atol=1e-10)
