"""What bfloat16 autocast costs: a bundle's evaluation with and without it, PSNR against the reference case by case."""

from __future__ import annotations

import csv
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.reporting import aligned
from benchmarks.setting import Setting
from contract.bundle import Bundle
from transmodal.errors import InputError
from transmodal.handlers.findings import MODEL

MEASURE = "psnr"


@dataclass(frozen=True)
class Change:
    """PSNR of a case's translation against its reference, in dB, computed in float32 and under bf16 autocast."""

    case: str
    float32: float
    bf16: float

    @property
    def decibels(self) -> float:
        """What autocast changes; negative where it makes the translation worse."""
        return self.bf16 - self.float32


def compare_precisions(setting: Setting, options: Mapping[str, str]) -> list[Change]:
    """Run a bundle's evaluation twice, in float32 and under bf16 autocast, and compare case by case.

    Args:
        setting: the bundle and its overlays, device, threads and weights.
        options: further ids to override, such as dataset_dir.
    Raises:
        InputError: if the bundle has no id ``amp``, or an evaluation fails.
    """
    bundle = Bundle(setting.root)
    if "amp" not in bundle.read("inference"):
        raise InputError(
            bundle.configs / "inference.json",
            found="no id 'amp'",
            wanted="an inferer with autocast",
            remedy='give the inferer "amp": "@amp" and the config "amp": false',
        )
    given = {**options, "device": setting.device, "ckpt_path": str(setting.ckpt_path)}
    with TemporaryDirectory() as folder:
        scores = []
        for amp in (False, True):
            output = Path(folder) / f"amp_{amp}"
            evaluate(setting, {**given, "amp": str(amp), "output_dir": str(output)})
            scores.append(_scores(output / "metrics.csv"))
    float32, bf16 = scores
    return [Change(case, float32[case], bf16[case]) for case in float32]


def largest(changes: Sequence[Change]) -> float:
    """The largest change in dB, in whichever direction."""
    return max(abs(change.decibels) for change in changes)


def quality_table(changes: Sequence[Change]) -> str:
    """A row per case, and the largest change of all."""
    rows = [[each.case, f"{each.float32:.4f}", f"{each.bf16:.4f}", f"{each.decibels:+.4f}"] for each in changes]
    header = ["case", "PSNR float32 (dB)", "bf16 autocast", "change"]
    return f"{aligned([header, *rows])}\nlargest change: {largest(changes):.4f} dB"


def evaluate(setting: Setting, options: Mapping[str, str]) -> None:
    """Run a bundle's evaluation in a process of its own, with these ids overridden.

    Raises:
        InputError: if it fails, with what it said last.
    """
    configs = ["configs/inference.json", "configs/evaluate.json", *setting.overlays]
    command = [sys.executable, "-m", "monai.bundle", "run", "--config_file", str(configs)]
    command += [word for name, value in options.items() for word in (f"--{name}", value)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(setting.threads)}
    ended = subprocess.run(command, cwd=setting.root, env=environment, capture_output=True, text=True)
    if ended.returncode != 0:
        raise InputError(
            setting.root,
            found=f"an evaluation that fails: {ended.stderr.strip()[-2000:]}",
            wanted="one that writes metrics.csv",
            remedy=f"correct what it says; it was python {shlex.join(command[1:])}",
        )


def _scores(path: Path) -> dict[str, float]:
    """PSNR of the model by case."""
    with path.open(newline="", encoding="utf-8") as stream:
        return {row["case"]: float(row[MEASURE]) for row in csv.DictReader(stream) if row["method"] == MODEL}
