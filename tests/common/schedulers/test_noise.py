"""Noise that belongs to its sample: no other sample, no order and no batch size can change it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from transmodal.schedulers import SeededNoise, mixed

SEEDS = [3, 1, 4, 15, 92]


def draws(seeds: list[int]) -> tuple[Tensor, ...]:
    """Several draws in a row, small and large ones, of every kind."""
    noise = SeededNoise(seeds)
    return noise.normal(1, 8, 9), noise.integers(1000), noise.uniform(5), noise.normal(), noise.integers(2**40)


def test_a_batch_draws_what_its_samples_draw_one_by_one() -> None:
    alone = [draws([seed]) for seed in SEEDS]
    for together, separate in zip(draws(SEEDS), zip(*alone, strict=True), strict=True):
        assert torch.equal(together, torch.cat(separate))


def test_another_order_of_the_batch_changes_nothing_but_the_order() -> None:
    order = [4, 2, 0, 3, 1]
    for first, second in zip(draws(SEEDS), draws([SEEDS[index] for index in order]), strict=True):
        assert torch.equal(second, first[order])


def test_the_same_seeds_draw_the_same_bytes() -> None:
    for first, second in zip(draws(SEEDS), draws(SEEDS), strict=True):
        assert first.numpy().tobytes() == second.numpy().tobytes()


def test_draws_in_a_row_differ() -> None:
    noise = SeededNoise([0])
    assert not torch.equal(noise.normal(4), noise.normal(4))


def test_seeds_may_come_from_a_batch() -> None:
    assert torch.equal(SeededNoise(torch.tensor(SEEDS)).normal(3), SeededNoise(SEEDS).normal(3))


def test_shapes_and_types_are_as_promised() -> None:
    noise = SeededNoise([1, 2])
    field, times = noise.normal(1, 4, 6), noise.integers(4)
    assert (field.shape, field.dtype) == ((2, 1, 4, 6), torch.float32)
    assert (times.shape, times.dtype) == ((2,), torch.int64)


def test_numbers_go_to_the_device() -> None:
    noise = SeededNoise([1], torch.device("meta"))
    assert noise.normal(2).is_meta
    assert noise.integers(2).is_meta


def test_normal_numbers_have_zero_mean_and_unit_variance_over_seeds_and_pixels() -> None:
    field = SeededNoise([mixed(0, sample) for sample in range(200)]).normal(100)
    assert field.mean().abs() < 0.03  # 4 standard errors
    assert (field.std() - 1).abs() < 0.02
    assert (field.mean(dim=1).std() - 0.1).abs() < 0.02  # samples are independent of each other


def test_uniform_numbers_fill_the_unit_interval_evenly() -> None:
    field = SeededNoise([mixed(0, sample) for sample in range(200)]).uniform(100)
    assert (field.dtype, field.min() >= 0, field.max() < 1) == (torch.float32, True, True)
    assert (field.flatten().histc(4, 0, 1) / field.numel() - 0.25).abs().max() < 0.02  # 6 standard deviations
    assert torch.corrcoef(field[:, :2].T)[0, 1].abs() < 0.25  # draws of one sample are independent


def test_integers_are_uniform_below_their_bound() -> None:
    times = SeededNoise([mixed(0, sample) for sample in range(2000)]).integers(4)
    assert times.unique().tolist() == [0, 1, 2, 3]
    assert (times.bincount() - 500).abs().max() < 80  # 4 standard deviations


def test_the_global_generator_is_left_alone() -> None:
    before = torch.get_rng_state()
    draws(SEEDS)
    assert torch.equal(torch.get_rng_state(), before)


def test_joined_numbers_give_one_seed_each() -> None:
    tuples = [(), (0,), (1,), (0, 0), (0, 1), (1, 0), (1, 0, 0), (0, 0, 1), (2**32,), (2**32 + 1,), (1, 1)]
    assert len({mixed(*numbers) for numbers in tuples}) == len(tuples)


def test_neighbouring_numbers_give_unrelated_seeds() -> None:
    seeds = torch.tensor([mixed(seed, sample) for seed in range(30) for sample in range(30)], dtype=torch.float64)
    assert seeds.unique().numel() == 900
    assert (seeds / 2**32).mean() == pytest.approx(0.5, abs=0.04)  # 4 standard errors of a uniform mean


def test_a_joined_seed_never_changes() -> None:
    """Or else a translation of yesterday could not be made again; PyTorch reads 32 bits of it."""
    assert (mixed(0), mixed(7, 1)) == (1835504127, 2610031911)
    assert 0 <= mixed(2**64 - 1, 5) < 2**32


@pytest.mark.parametrize("number", [-1, 2**64])
def test_numbers_out_of_range_are_refused(number: int) -> None:
    with pytest.raises(ValueError, match=rf"found the numbers \[1, {number}\] for a seed; wanted 0 to"):
        mixed(1, number)
