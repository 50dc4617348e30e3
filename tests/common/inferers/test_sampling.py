"""Mean and deviation of samples, and the refusal of arguments; what chains draw is tested with each inferer."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from transmodal.errors import InputError
from transmodal.inferers import check_arguments, mean_and_deviation


@pytest.mark.parametrize("num_samples", [2, 3, 10])
def test_mean_and_deviation_are_those_of_all_samples(num_samples: int) -> None:
    samples = 100 + torch.randn(num_samples, 2, 3, 4, 5)
    found = mean_and_deviation(lambda sample: samples[sample], num_samples)
    torch.testing.assert_close(found, torch.cat([samples.mean(dim=0), samples.std(dim=0)], dim=1))


def test_a_single_sample_is_returned_as_it_is() -> None:
    sample = torch.randn(2, 1, 3)
    assert mean_and_deviation(lambda _: sample, 1) is sample


def test_samples_are_drawn_once_each_and_left_unchanged() -> None:
    samples, drawn = torch.randn(4, 1, 1, 3), []
    before = samples.clone()

    def draw(sample: int) -> torch.Tensor:
        drawn.append(sample)
        return samples[sample]

    mean_and_deviation(draw, 4)
    assert drawn == [0, 1, 2, 3]
    assert torch.equal(samples, before)


class Sampling(SimpleNamespace):
    """Attributes to be checked."""


@pytest.mark.parametrize(
    ("seed", "message"),
    [
        ("0", "found '0'; wanted an integer of 0 or more.\n"),
        (1.0, "found 1.0; wanted an integer of 0 or more.\n"),
        (True, "found True; wanted an integer of 0 or more.\n"),
        (-1, "found -1; wanted an integer of 0 or more.\n"),
        (2**64, r"found 18446744073709551616; wanted an integer of 0 or more, below 2\*\*64.\n"),
    ],
)
def test_a_seed_that_cannot_be_meant_is_refused(seed: object, message: str) -> None:
    with pytest.raises(InputError, match=f"Sampling, seed: {message}"):
        check_arguments(Sampling(seed=seed), {"seed": 0})


def test_only_seeds_are_bounded_above() -> None:
    check_arguments(Sampling(seed=2**64 - 1, num_samples=2**64), {"seed": 0, "num_samples": 1})


@pytest.mark.parametrize("flag", ["true", 1, None])
def test_a_flag_that_is_none_is_refused(flag: object) -> None:
    with pytest.raises(InputError, match=f"Sampling, amp: found {flag!r}; wanted true or false in JSON"):
        check_arguments(Sampling(amp=flag), {}, flags=("amp",))
