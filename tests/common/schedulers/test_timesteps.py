"""Factors looked up for each sample at its own timestep."""

from __future__ import annotations

import pytest
import torch

from transmodal.errors import InputError
from transmodal.schedulers.timesteps import TimestepTables

TABLES = TimestepTables("Schedule", rising=torch.arange(4.0), falling=-torch.arange(4, dtype=torch.float64))


@pytest.mark.parametrize("spatial", [(), (5,), (5, 6), (5, 6, 7)])
def test_each_sample_gets_the_factor_of_its_timestep(spatial: tuple[int, ...]) -> None:
    images = torch.ones(3, 2, *spatial)
    rising, falling = TABLES.at(torch.tensor([2, 0, 3]), images, "rising", "falling")
    assert torch.equal((rising * images)[:, 0].reshape(3, -1)[:, 0], torch.tensor([2.0, 0.0, 3.0]))
    assert torch.equal(falling, -rising)
    assert falling.dtype == torch.float32


def test_factors_go_where_the_images_are() -> None:
    (rising,) = TABLES.at(torch.tensor([1], device="meta"), torch.ones(1, 1, device="meta"), "rising")
    assert rising.device.type == "meta"


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64])
def test_integers_of_either_width_are_timesteps(dtype: torch.dtype) -> None:
    timesteps = torch.tensor([0, 3], dtype=dtype)
    TABLES.check(timesteps, image=torch.zeros(2, 1))
    assert TABLES.at(timesteps, torch.zeros(2, 1), "rising")[0].flatten().tolist() == [0, 3]


def test_images_of_two_shapes_are_refused() -> None:
    with pytest.raises(InputError, match=r"Schedule: found the shapes \{'image': \(2, 1\), 'noise': \(2, 2\)\}"):
        TABLES.check(torch.zeros(2, dtype=torch.int64), image=torch.zeros(2, 1), noise=torch.zeros(2, 2))


@pytest.mark.parametrize(
    ("timesteps", "found"),
    [
        (torch.zeros(2), "torch.float32 of shape"),
        (torch.zeros(3, dtype=torch.int64), r"torch.int64 of shape \(3,\)"),
        (torch.zeros(2, 1, dtype=torch.int64), r"torch.int64 of shape \(2, 1\)"),
        (torch.tensor([0, 4]), "values from 0 to 4; wanted 0 to 3"),
        (torch.tensor([-1, 0]), "values from -1 to 0; wanted 0 to 3"),
    ],
)
def test_timesteps_that_fit_no_sample_are_refused(timesteps: torch.Tensor, found: str) -> None:
    with pytest.raises(InputError, match=f"Schedule, timesteps: found {found}"):
        TABLES.check(timesteps, image=torch.zeros(2, 1))
