"""The order of an epoch: seeds, ranks and resumption."""

from __future__ import annotations

import pytest
from torch.utils.data import DistributedSampler

from transmodal.data import SeededSampler


def test_an_epoch_sees_every_item_once() -> None:
    assert sorted(number for number, _ in SeededSampler(range(7))) == list(range(7))
    assert len(SeededSampler(range(7))) == 7


def test_epochs_differ_and_repeat_by_number() -> None:
    sampler = SeededSampler(range(7))
    first = list(sampler)
    sampler.set_epoch(1)
    assert list(sampler) != first
    sampler.set_epoch(0)
    assert list(sampler) == first


def test_an_item_has_another_seed_in_each_epoch() -> None:
    sampler = SeededSampler(range(3))
    seeds = set()
    for epoch in range(5):
        sampler.set_epoch(epoch)
        seeds |= {seed for _, seed in sampler}
    assert len(seeds) == 15


def test_the_seed_fixes_the_order() -> None:
    assert list(SeededSampler(range(9), seed=1)) == list(SeededSampler(range(9), seed=1))
    assert list(SeededSampler(range(9), seed=1)) != list(SeededSampler(range(9), seed=2))


def test_ranks_together_see_what_one_process_sees() -> None:
    one = list(SeededSampler(range(8)))
    two = [list(SeededSampler(range(8), num_replicas=2, rank=rank)) for rank in (0, 1)]
    assert [two[position % 2][position // 2] for position in range(8)] == one


@pytest.mark.parametrize("rank", [0, 1, 2])
def test_ranks_have_equal_shares_where_they_do_not_divide_the_data(rank: int) -> None:
    sampler = SeededSampler(range(7), num_replicas=3, rank=rank)
    assert len(list(sampler)) == len(sampler) == 3


def test_engines_tell_it_the_epoch() -> None:
    """MONAI's engines call set_epoch on a DistributedSampler and on nothing else."""
    assert isinstance(SeededSampler(range(3)), DistributedSampler)
