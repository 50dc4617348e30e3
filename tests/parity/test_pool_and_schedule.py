"""The image pool and the learning rate of CycleGAN, against numbers from running the published implementation."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from transmodal.data import ImagePool
from transmodal.schedulers import LinearDecay


def test_pool_draws_the_published_order(shared: Path) -> None:
    golden = json.loads((shared / "goldens/gan/image_pool.json").read_text())
    pool = ImagePool(size=5, seed=0)
    returned = [int(pool.query(torch.full((1, 1, 2, 2), float(index)))[0, 0, 0, 0]) for index in range(40)]
    assert returned == golden["returned"]
    assert [int(image[0, 0, 0]) for image in pool.images] == golden["final_pool"]


@pytest.mark.parametrize(("key", "legacy"), [("current", False), ("legacy_mid2018", True)])
def test_learning_rate_follows_the_published_schedule(shared: Path, key: str, legacy: bool) -> None:
    golden = json.loads((shared / "goldens/gan/lr_schedule.json").read_text())[key]
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=2e-4)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, LinearDecay(100, 100, legacy=legacy).factor)
    rates = {}
    for epoch in range(200):
        rates[str(epoch)] = optimizer.param_groups[0]["lr"]
        optimizer.step()
        schedule.step()
    assert {epoch: rates[epoch] for epoch in golden} == pytest.approx(golden, rel=1e-9, abs=1e-18)
