"""What fewer steps cost: a bundle's evaluation with each number of them, the model's means beside each other."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.quality import evaluate
from benchmarks.reporting import aligned
from benchmarks.setting import Setting
from contract.bundle import Bundle
from transmodal.errors import InputError
from transmodal.handlers.findings import MODEL

COUNT = "num_steps"


@dataclass(frozen=True)
class Steps:
    """An evaluation with a number of steps.

    Args:
        steps: of each chain.
        means: of the model over cases, by measure.
        cases: evaluated.
        seconds: that the whole evaluation took, reading, baselines and measures included.
    """

    steps: int
    means: Mapping[str, float]
    cases: int
    seconds: float


def compare_steps(setting: Setting, options: Mapping[str, str], steps: Sequence[int]) -> list[Steps]:
    """Run a bundle's evaluation once for each number of steps.

    Args:
        setting: the bundle and its overlays, device, threads and weights.
        options: further ids to override, such as dataset_dir.
        steps: numbers of steps, the reference first.
    Raises:
        InputError: if the bundle has no id ``num_steps``, or an evaluation fails.
    """
    bundle = Bundle(setting.root)
    if COUNT not in bundle.read("inference"):
        raise InputError(
            bundle.configs / "inference.json",
            found=f"no id {COUNT!r}",
            wanted="a sampler whose steps can be set",
            remedy="leave --steps out: this bundle does not sample by steps",
        )
    given = {**options, "device": setting.device, "ckpt_path": str(setting.ckpt_path)}
    with TemporaryDirectory() as folder:
        return [_evaluated(setting, given, count, Path(folder) / str(count)) for count in steps]


def steps_table(rows: Sequence[Steps]) -> str:
    """A row for each number of steps, and in brackets how its means differ from the first row's."""
    first, names = rows[0], list(rows[0].means)
    cells = [["steps", *names, "seconds"]]
    for row in rows:
        told = (_told(row.means[name], first.means[name], row is first) for name in names)
        cells.append([str(row.steps), *told, f"{row.seconds:.0f}"])
    what = "of the whole evaluation, baselines and measures included"
    return f"{aligned(cells)}\nmeans over {first.cases} case(s); seconds: {what}"


def _evaluated(setting: Setting, options: Mapping[str, str], count: int, output: Path) -> Steps:
    start = time.perf_counter()
    evaluate(setting, {**options, COUNT: str(count), "output_dir": str(output)})
    seconds = time.perf_counter() - start
    summary = json.loads((output / "summary.json").read_text(encoding="utf-8"))
    means = {name: stats["mean"] for name, stats in summary["methods"][MODEL].items() if stats["n"]}
    return Steps(count, means, len(summary["cases"]), seconds)


def _told(value: float, reference: float, alone: bool) -> str:
    digits = 1 if abs(reference) >= 100 else 2 if abs(reference) >= 10 else 3
    return f"{value:.{digits}f}" + ("" if alone else f" ({value - reference:+.{digits}f})")
