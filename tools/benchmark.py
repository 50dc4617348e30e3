"""Measure a bundle's network: time, throughput and memory of every way to run it, beside the published operators."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import fire
import torch

from benchmarks import options
from benchmarks.contestants import line_up, subject_of
from benchmarks.estimate import estimate_table, estimated
from benchmarks.measuring import peak_memory, race
from benchmarks.quality import compare_precisions, largest, quality_table
from benchmarks.reporting import circumstances, gains, rows_of, speed_table
from benchmarks.setting import Setting
from benchmarks.steps import compare_steps, steps_table
from benchmarks.volumes import volume_memories, volume_table
from contract.bundle import Bundle
from transmodal.errors import InputError
from transmodal.files import write_atomically
from verify import find_bundles

Report = tuple[dict[str, Any], str]
"""What was measured, for JSON; and for the reader."""


def speed(setting: Setting, batches: Sequence[int], repeats: int, slices: int | None = None) -> Report:
    """Time all contestants of a bundle in one run; ``rows`` has a row of the table for each.

    Args:
        setting: the bundle, and the conditions.
        batches: batch sizes.
        repeats: timed repetitions, in each of which every contestant has its turn.
        slices: of a volume whose whole translation is estimated from what was measured, if any.
    """
    contestants = line_up(Path(setting.root).name, batches)
    memories = [peak_memory(setting, contestant) for contestant in contestants]
    network, inputs = setting(max(contestant.batch for contestant in contestants))
    results = race(network, contestants, inputs, repeats)
    results = [replace(result, gigabytes=memory.peak) for result, memory in zip(results, memories, strict=True)]
    measured = {
        "weights": setting.ckpt_path or "drawn at random",
        "repeats": repeats,
        "output_std": results[0].output_std,
        "gigabytes_before": memories[0].before,
        "rows": rows_of(results, type(network).__name__, setting.resolution),
    }
    if torch.device(setting.device).type == "cuda":
        memory = "what PyTorch held on the device at its peak"
    else:
        memory = f"all that the process held at its peak, {memories[0].before:.2f} of it before there was a network"
    lines = [
        speed_table(measured["rows"]),
        f"ms: median of {repeats} forward passes of a batch. GB: {memory}.",
        "ratio: samples per second over the first row's. difference: the largest from the outputs of the first row,",
        f"whose standard deviation is {results[0].output_std:.2g}; weights: {measured['weights']}.",
        gains(measured["rows"]),
    ]
    if slices is not None:
        measured["estimate"] = estimated(setting, slices, measured["rows"], repeats)
        lines.append(estimate_table(measured["estimate"]))
    return measured, "\n".join(lines)


def bf16_quality(setting: Setting, dataset_dir: str | None, source: str | None) -> Report:
    """Measure by how many dB bf16 autocast changes the PSNR of each case of ``dataset_dir``."""
    given = _evaluated(setting, "--quality True", dataset_dir, source)
    changes = compare_precisions(setting, given)
    rows = [{**asdict(change), "change": change.decibels} for change in changes]
    measured = {"weights": setting.ckpt_path, **given, "psnr": rows, "largest_change": largest(changes)}
    return measured, quality_table(changes)


def quality_of_steps(setting: Setting, dataset_dir: str | None, source: str | None, steps: Sequence[int]) -> Report:
    """Measure how the means of all measures change with the number of steps of the sampler."""
    given = _evaluated(setting, "--steps", dataset_dir, source)
    rows = compare_steps(setting, given, steps)
    return {"weights": setting.ckpt_path, **given, "steps": [asdict(row) for row in rows]}, steps_table(rows)


def _evaluated(setting: Setting, asked: str, dataset_dir: str | None, source: str | None) -> dict[str, str]:
    """Ids of the evaluations that were asked for; weights and data have to be given."""
    for option, value in (("ckpt_path", setting.ckpt_path), ("dataset_dir", dataset_dir)):
        if value is None:
            raise InputError(
                asked,
                found=f"no --{option}",
                wanted="trained weights and cases with their reference",
                remedy="add --ckpt_path FILE and --dataset_dir DIR",
            )
    given = {"dataset_dir": str(Path(str(dataset_dir)).resolve()), **({} if source is None else {"source": source})}
    return given | {name: str(value) for name, value in setting.overrides}


def memory_of_volumes(setting: Setting, slices: Sequence[int]) -> Report:
    """Measure the peak memory of volumes of so many slices, translated by the bundle's own inferer."""
    memories = volume_memories(setting, slices)
    volumes = [{**asdict(each), "added": each.added} for each in memories]
    return {"resolution": list(setting.resolution), "volumes": volumes}, volume_table(memories)


def main(
    bundle: str,
    resolution: int | Sequence[int] | None = None,
    batch: int | Sequence[int] | None = None,
    threads: int | None = None,
    device: str | None = None,
    repeats: int = 5,
    ckpt_path: str | None = None,
    overlay: str | Sequence[str] = (),
    output: str | None = None,
    quality: bool = False,
    dataset_dir: str | None = None,
    source: str | None = None,
    slices: int | Sequence[int] = (),
    estimate: int | None = None,
    override: Mapping[str, Any] | None = None,
    steps: int | Sequence[int] = (),
) -> None:
    """Time a bundle's network every way it can run, in turns; or measure what bf16, fewer steps, or volumes cost.

    Speed and memory (which should not grow with the volume) need no weights; quality needs them, and references:
    tools/benchmark.py ct_mr_syndiff_translation --threads 2 --output speed.json
    tools/benchmark.py brain_mri_mudiff_synthesis --slices 20,155 --overlay configs/small.json --resolution 64,64
    tools/benchmark.py ct_mr_syndiff_translation --quality True --ckpt_path models/model.pt --dataset_dir DATA
    tools/benchmark.py chest_xray_ctpa_translation --steps 1000,50,25 --ckpt_path models/model.pt --dataset_dir DATA

    Args:
        bundle: folder or name of a bundle.
        resolution: along each axis; by default 256,256, for MD-DGA 224,168, for X-ray2CTPA 64,32,32 (latents).
        batch: batch sizes, such as 1,8; by default that, 1,4 for MD-DGA and 1,2 for X-ray2CTPA.
        threads: of the CPU; by default what PyTorch takes.
        device: cpu or cuda; by default cuda where there is one.
        repeats: timed repetitions of each row, after one that is not timed.
        ckpt_path: weights of the bundle, for speed of the network that is timed; by default drawn at random.
        overlay: config over inference.json, such as configs/small.json, or several with commas between.
        output: JSON file for all that was measured, with machine, threads, PyTorch, commit and command.
        quality: True for the change of each case's PSNR in dB when the evaluation runs under bf16 autocast.
        dataset_dir: cases with their reference, for quality.
        source: modality translated from, for quality; by default the bundle's.
        slices: sizes of volumes, such as 20,155, whose memory is measured; resolution is then of a slice.
        estimate: slices of a volume whose whole translation is estimated after speed, for MD-DGA; by default 160.
        override: ids of the config and their values, such as "{'slab': 8}", as on the command line of monai.bundle.
        steps: numbers of steps of the sampler, such as 1000,50,25, whose quality is measured instead of speed.
    """
    try:
        setting = _setting(bundle, resolution, threads, device, overlay, ckpt_path, override, slices != ())
        subject = subject_of(Path(setting.root).name)
        if options.flag("quality", quality):
            measured, table = bf16_quality(setting, dataset_dir, source)
        elif steps != ():
            measured, table = quality_of_steps(setting, dataset_dir, source, options.counts("steps", steps))
        elif slices != ():
            measured, table = memory_of_volumes(setting, options.counts("slices", slices))
        else:
            batches = options.counts("batch", subject.batches if batch is None else batch)
            volume = subject.slices if estimate is None else options.count("estimate", estimate)
            measured, table = speed(setting, batches, options.count("repeats", repeats), volume)
    except InputError as error:
        sys.exit(str(error))
    _tell(setting, measured, table, output)


def _tell(setting: Setting, measured: dict[str, Any], table: str, output: str | None) -> None:
    """Print what was measured, and write it down where asked to."""
    where = circumstances(setting, command=shlex.join(["python", *sys.argv]))
    print(f"{where['bundle']} on {where['machine']}, {where['threads']} threads, PyTorch {where['torch']}\n{table}")
    if output is not None:
        text = json.dumps({**where, **measured}, indent=2, ensure_ascii=False) + "\n"
        write_atomically(output, lambda path: path.write_text(text, encoding="utf-8"))


def _setting(
    bundle: str,
    resolution: int | Sequence[int] | None,
    threads: int | None,
    device: str | None,
    overlay: str | Sequence[str],
    ckpt_path: str | None,
    override: Mapping[str, Any] | None,
    of_slices: bool,
) -> Setting:
    home = Bundle(find_bundles(str(bundle))[0])
    subject = subject_of(home.name)
    usual = subject.slice_size if of_slices and subject.slice_size else subject.resolution
    pixels = usual if resolution is None else resolution
    return Setting(
        root=str(home.root),
        resolution=options.counts("resolution", pixels),
        threads=options.count("threads", torch.get_num_threads() if threads is None else threads),
        device=options.device(device),
        overlays=tuple(options.file("overlay", path, home.root) for path in options.listed(overlay)),
        ckpt_path=None if ckpt_path is None else options.file("ckpt_path", ckpt_path, home.root),
        overrides=options.ids("override", override),
    )


if __name__ == "__main__":
    fire.Fire(main)
