"""Contestants take turns, start from equal inputs and weights, and are compared with the first of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from benchmarks.measuring import Contestant, Result, peak_memory, race, resident
from tests.tools.benchmarks.networks import MEGABYTES, Recording, large


def images(batch: int) -> dict[str, Tensor]:
    return {"image": torch.randn(batch, 1, 6, 6, generator=torch.Generator().manual_seed(0))}


def offset(by: float, log: list[float] | None = None) -> Callable[[nn.Module], nn.Module]:
    """Arrange a network so that its output is shifted, and its calls are logged."""

    class Shifted(nn.Module):
        def __init__(self, network: nn.Module) -> None:
            super().__init__()
            self.network = network

        def forward(self, image: Tensor) -> Tensor:
            if log is not None:
                log.append(by)
            return self.network(image) + by

    return Shifted


def test_contestants_take_turns_in_every_repetition() -> None:
    log: list[float] = []
    contestants = [Contestant(str(by), arrange=offset(by, log)) for by in (0.0, 1.0, 2.0)]
    race(Recording(), contestants, images(1), repeats=3)
    reference, warm_up, timed = log[:1], log[1:4], log[4:]
    assert reference == [0.0]
    assert warm_up == [0.0, 1.0, 2.0]
    assert timed == [0.0, 1.0, 2.0] * 3


def test_each_result_has_a_time_per_repetition() -> None:
    results = race(Recording(), [Contestant("a"), Contestant("b", batch=2)], images(2), repeats=4)
    assert [len(result.milliseconds) for result in results] == [4, 4]
    assert all(time > 0 for result in results for time in result.milliseconds)


def test_differences_are_taken_from_the_first_contestant() -> None:
    contestants = [Contestant("a", arrange=offset(1.0)), Contestant("b"), Contestant("c", arrange=offset(-0.5))]
    differences = [result.difference for result in race(Recording(), contestants, images(1), repeats=1)]
    assert differences == pytest.approx([0.0, 1.0, 1.5], abs=1e-6)


def test_every_sample_of_a_batch_is_compared() -> None:
    class LastOfABatch(nn.Module):
        """Answers with the place of each sample: right for one sample, wrong for more."""

        def forward(self, image: Tensor) -> Tensor:
            return torch.arange(len(image), dtype=torch.float32)

    results = race(LastOfABatch(), [Contestant("a"), Contestant("b", batch=3)], images(3), repeats=1)
    assert [result.difference for result in results] == [0.0, 2.0]


def test_the_reference_runs_in_batches_of_its_own_size() -> None:
    network = Recording()
    race(network, [Contestant("a", batch=2), Contestant("b", batch=5)], images(5), repeats=1)
    assert [len(image) for image in network.seen[:3]] == [2, 2, 1]


def test_the_spread_of_the_outputs_is_told() -> None:
    network = Recording()
    (result,) = race(network, [Contestant("a", batch=2)], images(2), repeats=1)
    assert result.output_std == pytest.approx(float(network.answers[0].std(correction=0)))


def test_nothing_is_recorded_for_gradients() -> None:
    output = Contestant("a").ready(Recording(), images(1))()
    assert not output.requires_grad


def test_autocast_computes_in_bfloat16() -> None:
    network = Recording()
    Contestant("a", amp=True).ready(network, images(1))()
    Contestant("a").ready(network, images(1))()
    assert [answer.dtype for answer in network.answers] == [torch.bfloat16, torch.float32]


def test_channels_last_concerns_images_and_weights_of_this_contestant_alone() -> None:
    network, inputs = Recording(), {"image": torch.randn(1, 3, 6, 6)}
    network.conv = nn.Conv2d(3, 4, 3)
    before = network.conv.weight.stride()
    output = Contestant("a", channels_last=True).ready(network, inputs)()
    assert output.is_contiguous(memory_format=torch.channels_last)
    assert not inputs["image"].is_contiguous(memory_format=torch.channels_last)
    assert network.conv.weight.stride() == before
    assert_close(output, Contestant("b").ready(network, inputs)(), rtol=0, atol=1e-6)


def test_volumes_have_a_channels_last_layout_too() -> None:
    network, seen = nn.Conv3d(3, 4, 3), []
    network.register_forward_pre_hook(lambda _, __, named: seen.append(named["input"]), with_kwargs=True)
    Contestant("a", channels_last=True).ready(network, {"input": torch.randn(1, 3, 6, 6, 6)})()
    assert seen[0].is_contiguous(memory_format=torch.channels_last_3d)


def test_the_time_of_a_row_is_the_median() -> None:
    result = Result(Contestant("a", batch=4), milliseconds=(100.0, 900.0, 200.0), difference=0.0, output_std=1.0)
    assert result.per_batch == 200.0
    assert result.per_second == 20.0


def test_memory_is_that_of_a_fresh_process() -> None:
    held = torch.ones(250_000_000)  # what this process holds does not count
    memory = peak_memory(large, Contestant("a"))
    held += 1  # or a machine short of memory may have put it on its disk meanwhile
    assert resident() > held.nbytes / 1e9
    assert memory.peak < held.nbytes / 1e9
    assert 2 * MEGABYTES / 1000 <= memory.peak - memory.before < 2.5 * MEGABYTES / 1000
