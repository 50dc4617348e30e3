"""The main job, from nothing: make or take data, translate volumes, evaluate, show; with --train, train before.

``python3 tools/quickstart.py [--data DIR] [--output DIR] [--source mr|ct] [--train] [--epochs N]`` sets up its own
environment and prints every ``monai.bundle`` command it runs, so that the next run can be your own. Weights that come
with the project (``weights/``) are used unless ``--train`` or ``--epochs`` asks for others. Further arguments go to
each of these commands, such as ``--pixdim "[1,1,-1]"``.
"""

from __future__ import annotations

import argparse
import csv
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import environment

if TYPE_CHECKING:
    from releasing.weights import Released

BUNDLE = environment.ROOT / "bundles" / "ct_mr_cyclegan_translation"
TRAIN = "['configs/train.json','configs/small.json']"
INFER = "['configs/inference.json','configs/small.json']"
EVALUATE = "['configs/inference.json','configs/evaluate.json','configs/small.json']"
UNSEEN = 1000
"""Seed of phantoms to translate with weights that are there: no training of them has this one."""


def main() -> int:
    options, more = _options()
    environment.enter()
    from transmodal.errors import InputError  # which is installed by now

    start = time.monotonic()
    try:
        _run(options, more)
    except InputError as error:
        sys.exit(str(error))
    print(f"\nDone in {(time.monotonic() - start) / 60:.1f} minutes.")
    return 0


def _run(options: argparse.Namespace, more: Sequence[str]) -> None:
    from releasing.weights import released_beside

    output = Path(options.output).resolve()
    data = Path(options.data).expanduser().resolve() if options.data else output / "phantoms"
    weights = None if options.train or options.epochs else released_beside(BUNDLE)
    if options.data is None:
        size, seed = (10, 0) if weights is None else (3, UNSEEN)
        _make_phantoms(data, size if options.phantoms is None else options.phantoms, seed)
    common = ["--source", options.source, *more]
    evaluated = _train(options, data, output, common) if weights is None else _use(weights, data, output, common)
    _show(output, "ct" if options.source == "mr" else "mr", phantom=options.data is None, evaluated=evaluated)


def _options() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="folder of <case>/ct.* and <case>/mr.* files; phantoms are made without it")
    parser.add_argument("--output", default="quickstart", help="folder for weights, volumes, table and figure")
    parser.add_argument("--source", default="mr", choices=["mr", "ct"], help="modality to translate from (default: mr)")
    parser.add_argument("--train", action="store_true", help="train on the data, and translate what was kept from it")
    parser.add_argument("--epochs", type=int, help="with --train: passes over the data (10, some minutes on a CPU)")
    parser.add_argument("--phantoms", type=int, help="phantom cases to make (default: 10 to train on, or else 3)")
    return parser.parse_known_args()


def _train(options: argparse.Namespace, data: Path, output: Path, common: Sequence[str]) -> bool:
    """Train, translate, evaluate; the last two on cases that the training has kept for it."""
    epochs = options.epochs or 10
    common = ["--dataset_dir", str(data), *common, "--output_dir", str(output), "--ckpt_path", str(output / "model.pt")]
    split = ["--datalist", str(output / "split.json"), "--section", "test"]
    halves = ["--constant_epochs", str(epochs - epochs // 2), "--decay_epochs", str(epochs // 2)]
    _step("1/3  Train both directions from unpaired slices")
    _bundle(TRAIN, *common, *halves)
    _step("2/3  Translate the held-out volumes")
    _bundle(INFER, *common, *split)
    _step("3/3  Evaluate them against the untouched targets, beside the baselines")
    _bundle(EVALUATE, *common, *split)
    return True


def _use(weights: Released, data: Path, output: Path, common: Sequence[str]) -> bool:
    """Translate all cases with the weights that come with the project, and evaluate those that have a target."""
    print(f"\nWeights that come with the project: {weights.record['limits']}")
    ids = ["--output_dir", str(output), "--ckpt_path", str(weights.checked()), *weights.arguments()]
    common = ["--dataset_dir", str(data), *ids, *common]
    _step("1/2  Translate the volumes")
    _bundle(weights.config("inference"), *common)
    if not _has_pairs(data):
        _step("2/2  No case has both modalities: nothing to evaluate against")
        return False
    _step("2/2  Evaluate them against the untouched targets, beside the baselines")
    _bundle(weights.config("inference", "evaluate"), *common)
    return True


def _has_pairs(data: Path) -> bool:
    from transmodal.data import find_cases

    return any({"ct", "mr"} <= case.keys() for case in find_cases(data))


def _make_phantoms(data: Path, size: int, seed: int) -> None:
    from transmodal.phantom import write_phantoms

    _step(f"Make {size} phantoms (simulated CT and MR of random anatomy, not patients)")
    write_phantoms(data, cases=size, seed=seed)


def _step(title: str) -> None:
    print(f"\n=== {title}", flush=True)


def _bundle(config: str, *arguments: str) -> None:
    """Run one bundle command from the bundle's root, after printing it."""
    command = ["-m", "monai.bundle", "run", "--config_file", config, *arguments]
    print(f"$ cd {BUNDLE.relative_to(environment.ROOT)} && python {' '.join(map(_quoted, command))}\n", flush=True)
    quiet = {"PYTHONWARNINGS": "ignore"}
    status = subprocess.call([sys.executable, *command], cwd=BUNDLE, env={**os.environ, **quiet})
    if status:
        sys.exit(f"The command above ended with exit status {status}; its InputError line says why.")


def _quoted(argument: str) -> str:
    """An argument as a person would type it."""
    return argument if re.fullmatch(r"[\w./:=+-]+", argument) else f'"{argument}"'


def _show(output: Path, target: str, phantom: bool, evaluated: bool) -> None:
    print(
        "\n=== Results"
        + (" on phantoms: they prove that everything works, not how well it does on patients" if phantom else "")
    )
    if evaluated:
        _show_table(output)
    reports = ["figure.png", "metrics.csv", "summary.json"] if evaluated else []
    for path in [*(output / name for name in reports), *sorted(output.glob(f"*/{target}.nii.gz"))]:
        print(path)


def _show_table(output: Path) -> None:
    with (output / "metrics.csv").open() as file:
        header, *rows = csv.reader(file)
    rows = [
        header,
        *([case, method, *(f"{float(cell):.4g}" if cell else "" for cell in cells)] for case, method, *cells in rows),
    ]
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)))


if __name__ == "__main__":
    sys.exit(main())
