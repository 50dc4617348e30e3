"""Times of several ways to run one network, taken in turns, and the memory of each in a process of its own."""

from __future__ import annotations

import copy
import multiprocessing
import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch
from torch import Tensor, nn

Inputs = Mapping[str, Tensor]
"""Arguments of a network's ``forward``, each with the batch as its first axis."""


def unchanged(network: nn.Module) -> nn.Module:
    """Run the network as it is."""
    return network


@dataclass(frozen=True)
class Contestant:
    """A way to run the network.

    Args:
        name: what is different about it.
        batch: samples at once.
        arrange: gives the network to run, with the same weights; a function of a module, for it travels to a process.
        channels_last: images and weights in channels-last memory.
        amp: bfloat16 autocast.
    """

    name: str
    batch: int = 1
    arrange: Callable[[nn.Module], nn.Module] = unchanged
    channels_last: bool = False
    amp: bool = False

    @property
    def dtype(self) -> str:
        """Arithmetic of the convolutions."""
        return "bf16 autocast" if self.amp else "float32"

    def ready(self, network: nn.Module, inputs: Inputs) -> Callable[[], Tensor]:
        """Give the forward pass of the first ``batch`` samples, as inference runs it."""
        arranged = self.arrange(network)
        fed = {name: value[: self.batch] for name, value in inputs.items()}
        if self.channels_last:
            axes = max(value.ndim for value in inputs.values())  # of images; what has fewer has no such layout
            layout = torch.channels_last_3d if axes == 5 else torch.channels_last
            arranged = _in_layout(copy.deepcopy(arranged), axes, layout)
            fed = {n: value.to(memory_format=layout) if value.ndim == axes else value for n, value in fed.items()}
        kind = next(iter(inputs.values())).device.type

        def run() -> Tensor:
            with torch.no_grad(), torch.autocast(kind, dtype=torch.bfloat16, enabled=self.amp):
                output: Tensor = arranged(**fed)
            return output

        return run


def _in_layout(network: nn.Module, axes: int, layout: torch.memory_format) -> nn.Module:
    """Bring the weights of so many axes to a memory layout, in place; a network of volumes may hold pictures too."""
    for weight in network.parameters():
        if weight.ndim == axes:
            weight.data = weight.data.to(memory_format=layout)
    return network


@dataclass(frozen=True)
class Result:
    """What was measured of one contestant.

    Args:
        milliseconds: of each repetition, for the whole batch.
        difference: largest absolute difference of its outputs from those of the first contestant.
        output_std: standard deviation of its outputs, without which a difference means nothing.
        gigabytes: peak memory in 10⁹ bytes, or None where it was not measured.
    """

    contestant: Contestant
    milliseconds: tuple[float, ...]
    difference: float
    output_std: float
    gigabytes: float | None = None

    @property
    def per_batch(self) -> float:
        """Median time of a batch in ms."""
        return median(self.milliseconds)

    @property
    def per_second(self) -> float:
        """Samples in a second."""
        return 1000 * self.contestant.batch / self.per_batch


def race(network: nn.Module, contestants: Sequence[Contestant], inputs: Inputs, repeats: int) -> list[Result]:
    """Time all contestants, one after the other in each repetition, so that a machine that slows down slows down all.

    Args:
        network: in evaluation mode, on the device of the inputs.
        contestants: the first one is the reference of the differences.
        inputs: of at least the largest batch.
        repeats: timed repetitions, after one that is not.
    """
    device = next(iter(inputs.values())).device
    runs = [contestant.ready(network, inputs) for contestant in contestants]
    expected = _in_batches(contestants[0], network, inputs)
    warm = [run().float() for run in runs]
    times: list[list[float]] = [[] for _ in runs]
    for _ in range(repeats):
        for run, taken in zip(runs, times, strict=True):
            taken.append(milliseconds(run, device))
    return [
        Result(
            contestant,
            tuple(taken),
            float((output - expected[: len(output)]).abs().max()),
            float(output.std(correction=0)),
        )
        for contestant, taken, output in zip(contestants, times, warm, strict=True)
    ]


def milliseconds(run: Callable[[], object], device: torch.device) -> float:
    """Time one call, until the device has finished it."""
    _finish(device)
    start = time.perf_counter()
    run()
    _finish(device)
    return 1000 * (time.perf_counter() - start)


def _in_batches(contestant: Contestant, network: nn.Module, inputs: Inputs) -> Tensor:
    """Outputs of all samples, in batches of the contestant's own size."""
    total = len(next(iter(inputs.values())))
    starts = range(0, total, contestant.batch)
    parts = [{name: value[start:] for name, value in inputs.items()} for start in starts]
    return torch.cat([contestant.ready(network, part)().float() for part in parts])


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@dataclass(frozen=True)
class Memory:
    """Peak memory of one forward pass, in 10⁹ bytes.

    Args:
        peak: on CUDA what PyTorch allocated there, else the resident set of the process.
        before: the same before the network was built.
    """

    peak: float
    before: float


Build = Callable[[int], tuple[nn.Module, Inputs]]
"""Builds a network, and inputs for a batch of that many; picklable."""


def peak_memory(build: Build, contestant: Contestant) -> Memory:
    """Measure a contestant's forward pass in a fresh process, where no other has left its memory."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=spawn) as process:
        return process.submit(_peak_memory, build, contestant).result()


def _peak_memory(build: Build, contestant: Contestant) -> Memory:
    before = resident()
    network, inputs = build(contestant.batch)
    device = next(iter(inputs.values())).device
    run = contestant.ready(network, inputs)
    del network  # a contestant with weights of its own needs only those
    if device.type != "cuda":
        run()
        return Memory(peak=resident("VmHWM"), before=before)
    torch.cuda.reset_peak_memory_stats(device)
    run()
    return Memory(peak=torch.cuda.max_memory_allocated(device) / 1e9, before=0.0)


def resident(field: str = "VmRSS") -> float:
    """Resident memory of this process in 10⁹ bytes: now (VmRSS) or at its peak (VmHWM); its peak where /proc is absent.

    Linux' own counter is preferred because ``getrusage`` starts from the peak of the parent process.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        line = next(line for line in status.read_text().splitlines() if line.startswith(field))
        return int(line.split()[1]) * 1024 / 1e9
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9
