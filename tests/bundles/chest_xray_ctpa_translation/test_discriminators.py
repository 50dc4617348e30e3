"""The critics of reconstructions and their hinge."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close
from xray2ctpa_bundle.discriminators import HingeLoss, PatchCritic


@torch.no_grad()
@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_every_stage_is_returned_and_the_logits_last(spatial_dims: int) -> None:
    """By hand: width 4, padding 2 on both sides, strides 2, 2, 2, 1 and 1, from 16 voxels."""
    stages = PatchCritic(spatial_dims, channels=4)(torch.zeros(2, 1, *[16] * spatial_dims))
    assert [stage.shape[1] for stage in stages] == [4, 8, 16, 32, 1]
    assert [stage.shape[2] for stage in stages] == [9, 5, 3, 4, 5]


def test_the_hinge_costs_what_is_on_the_wrong_side_of_its_margin() -> None:
    logits = torch.tensor([-2.0, 0.0, 3.0])
    assert_close(HingeLoss().real(logits), torch.tensor(0.5 * (3 + 1 + 0) / 3))
    assert_close(HingeLoss().fake(logits), torch.tensor(0.5 * (0 + 1 + 4) / 3))
