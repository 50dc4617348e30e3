"""The main job, from nothing: make or take data, train, translate held-out volumes, evaluate, show.

``python3 tools/quickstart.py [--data DIR] [--output DIR] [--epochs N] [--source mr|ct]`` sets up its own environment
and prints every ``monai.bundle`` command it runs, so that the next run can be your own. Further arguments go to each of
these commands, such as ``--pixdim "[1,1,-1]"``.
"""

from __future__ import annotations

import argparse
import csv
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import environment

BUNDLE = environment.ROOT / "bundles" / "ct_mr_cyclegan_translation"
TRAIN = "['configs/train.json','configs/small.json']"
INFER = "['configs/inference.json','configs/small.json']"
EVALUATE = "['configs/inference.json','configs/evaluate.json','configs/small.json']"


def main() -> int:
    options, more = _options()
    environment.enter()
    start = time.monotonic()
    output = Path(options.output).resolve()
    data = Path(options.data).expanduser().resolve() if options.data else output / "phantoms"
    if options.data is None:
        _make_phantoms(data, size=options.phantoms)
    weights = output / "model.pt"
    common = ["--source", options.source, "--output_dir", str(output), "--ckpt_path", str(weights), *more]
    epochs = [
        "--constant_epochs",
        str(options.epochs - options.epochs // 2),
        "--decay_epochs",
        str(options.epochs // 2),
    ]
    split = ["--datalist", str(output / "split.json"), "--section", "test"]
    _step("1/3  Train both directions from unpaired slices")
    _bundle(TRAIN, "--dataset_dir", str(data), *common, *epochs)
    _step("2/3  Translate the held-out volumes")
    _bundle(INFER, "--dataset_dir", str(data), *common, *split)
    _step("3/3  Evaluate them against the untouched targets, beside the baselines")
    _bundle(EVALUATE, "--dataset_dir", str(data), *common, *split)
    _show(output, "ct" if options.source == "mr" else "mr", phantom=options.data is None)
    print(f"\nDone in {(time.monotonic() - start) / 60:.1f} minutes.")
    return 0


def _options() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="folder of <case>/ct.* and <case>/mr.* files; phantoms are made without it")
    parser.add_argument("--output", default="quickstart", help="folder for weights, volumes, table and figure")
    parser.add_argument("--source", default="mr", choices=["mr", "ct"], help="modality to translate from (default: mr)")
    parser.add_argument(
        "--epochs", type=int, default=10, help="passes over the data (default: 10, some minutes on a CPU)"
    )
    parser.add_argument("--phantoms", type=int, default=10, help="phantom cases to make (default: 10)")
    return parser.parse_known_args()


def _make_phantoms(data: Path, size: int) -> None:
    from transmodal.phantom import write_phantoms

    _step(f"0/3  Make {size} phantoms (simulated CT and MR of random anatomy, not patients)")
    write_phantoms(data, cases=size)


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


def _show(output: Path, target: str, phantom: bool) -> None:
    print(
        "\n=== Results"
        + (" on phantoms: they prove that everything works, not how well it does on patients" if phantom else "")
    )
    with (output / "metrics.csv").open() as file:
        header, *rows = csv.reader(file)
    rows = [
        header,
        *([case, method, *(f"{float(cell):.4g}" if cell else "" for cell in cells)] for case, method, *cells in rows),
    ]
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)))
    volumes = sorted(output.glob(f"*/{target}.nii.gz"))
    for path in [output / "figure.png", output / "metrics.csv", output / "summary.json", *volumes]:
        print(path)


if __name__ == "__main__":
    sys.exit(main())
