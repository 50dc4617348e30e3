"""Random numbers of a turn: on what they depend, and on what they do not."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.testing import assert_close

from transmodal.engines import CRITICS, GENERATORS, Draws, seeded_draws


def batch(*seeds: int) -> dict[str, Tensor]:
    return {"image": torch.zeros(len(seeds), 2, 4, 4), "seed": torch.tensor(seeds)}


def drawn(draws: Draws) -> tuple[Tensor, Tensor]:
    return draws.integers(1000), draws.normal(3, 4)


def test_each_sample_has_a_row_of_its_own() -> None:
    integers, normal = drawn(seeded_draws(batch(5, 6), CRITICS))
    assert (tuple(integers.shape), tuple(normal.shape)) == ((2,), (2, 3, 4))
    assert not torch.allclose(normal[0], normal[1])


def test_a_sample_draws_the_same_in_any_batch() -> None:
    together, alone = drawn(seeded_draws(batch(5, 6, 7), CRITICS)), drawn(seeded_draws(batch(7, 5), CRITICS))
    for all_three, two in zip(together, alone, strict=True):
        assert_close(all_three[[2, 0]], two)


def test_a_sample_draws_the_same_whatever_was_drawn_before() -> None:
    first = drawn(seeded_draws(batch(5), GENERATORS))
    torch.rand(3)
    assert_close(drawn(seeded_draws(batch(5), GENERATORS)), first)


def test_the_turns_draw_different_numbers() -> None:
    critics, generators = (seeded_draws(batch(5), turn).normal(100) for turn in (CRITICS, GENERATORS))
    assert not torch.allclose(critics, generators)
    assert abs(torch.corrcoef(torch.cat([critics, generators]))[0, 1]) < 0.3  # 0.1 is one standard deviation


def test_a_batch_without_seeds_draws_its_own() -> None:
    unseeded = {"image": torch.zeros(2, 1, 4, 4)}
    first, again = (seeded_draws(unseeded, CRITICS).normal(8) for _ in range(2))
    assert first.shape == (2, 8)
    assert not torch.allclose(first, again)


def test_a_batch_without_seeds_follows_the_global_seed() -> None:
    unseeded = {"image": torch.zeros(2, 1, 4, 4)}
    torch.manual_seed(3)
    first = seeded_draws(unseeded, CRITICS).normal(8)
    torch.manual_seed(3)
    assert_close(seeded_draws(unseeded, CRITICS).normal(8), first)
