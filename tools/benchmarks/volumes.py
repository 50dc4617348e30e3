"""How much memory whole volumes take, each measured in a process of its own."""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from benchmarks.contestants import subject_of
from benchmarks.measuring import resident
from benchmarks.reporting import aligned
from benchmarks.setting import Setting


@dataclass(frozen=True)
class VolumeMemory:
    """Peak memory while a volume is translated, in 10⁹ bytes.

    Args:
        slices: of the volume.
        peak: on CUDA what PyTorch allocated there, else the resident set of the process.
        before: the same when network and volume were there and nothing had run.
        result: of the translated volume, which is on the CPU.
        way: it was translated.
    """

    slices: int
    peak: float
    before: float
    result: float
    way: str = "as configured"

    @property
    def added(self) -> float:
        """What translating took beyond the network, the volume and the result."""
        return self.peak - self.before - self.result


def volume_memories(setting: Setting, slices: Sequence[int]) -> list[VolumeMemory]:
    """Translate a volume of each size by the bundle's own inferer in each of its ways, each in a fresh process."""
    spawn, subject = multiprocessing.get_context("spawn"), subject_of(Path(setting.root).name)
    memories = []
    for count in slices:
        size = {} if subject.grid is None else {subject.grid: [count, *setting.resolution]}
        for way, ids in subject.volumes.items():
            arranged = replace(setting, overrides=(*ids.items(), *size.items(), *setting.overrides))
            with ProcessPoolExecutor(max_workers=1, mp_context=spawn) as process:
                memory = process.submit(volume_memory, arranged, count).result()
            memories.append(replace(memory, way=way))
    return memories


def volume_memory(setting: Setting, slices: int) -> VolumeMemory:
    """Translate one volume in this process, whose peak so far must not have been higher."""
    network, inferer = setting.for_volumes()
    volume = setting.volume(slices)
    device = torch.device(setting.device)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device) / 1e9
        inferer(volume, network)
        return VolumeMemory(slices, torch.cuda.max_memory_allocated(device) / 1e9, before, 0.0)
    before = resident()
    translated = inferer(volume, network)
    return VolumeMemory(slices, resident("VmHWM"), before, translated.nbytes / 1e9)


def volume_table(memories: Sequence[VolumeMemory]) -> str:
    """A row for each volume."""
    header = ["way", "slices", "GB at the peak", "network and volume", "result", "beyond"]
    rows = [
        [each.way, str(each.slices), *(f"{number:.3f}" for number in (each.peak, each.before, each.result, each.added))]
        for each in memories
    ]
    return aligned([header, *rows])
