"""Weights from the bundle's own training and evaluation, and what their record says of it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from contract.bundle import Bundle
from format_json import load
from importing.layers import Layers
from transmodal.errors import InputError
from verify import ROOT

__all__ = ["Run", "Trained", "commit_of", "evaluations", "train"]


@dataclass(frozen=True)
class Run:
    """How a bundle is trained and evaluated.

    Args:
        bundle: which.
        data: its ``dataset_dir``.
        output: folder for all that the runs write.
        overlays: configs over its own, relative to its root.
        ids: single ids over these.
        datalist: which cases are for what; by default the split that the training writes down.
    """

    bundle: Bundle
    data: Path
    output: Path
    overlays: Sequence[str] = ()
    ids: Mapping[str, Any] = field(default_factory=dict)
    datalist: Path | None = None

    @property
    def weights(self) -> Path:
        return self.output / "model.pt"

    @property
    def values(self) -> dict[str, Any]:
        """The ids that inference needs as well; the others are of the training alone."""
        inference = Layers(self.bundle).parser  # overlays are of training and inference alike
        return {key: value for key, value in self.ids.items() if key.partition("#")[0] in inference}

    def check_ids(self) -> None:
        """Refuse ids that no config of the runs has, before any of them.

        Raises:
            InputError: if there are any.
        """
        named = (self.bundle.configs / f"{name}.json" for name in ("train", "inference", "evaluate"))
        files = [path for path in (*named, *(self.bundle.root / name for name in self.overlays)) if path.is_file()]
        there = {key for path in files for key in load(path)}
        if unknown := [f"--{key}" for key in self.ids if key.partition("#")[0] not in there]:
            raise InputError(
                self.bundle.name,
                found=", ".join(unknown),
                wanted="options of --help, or ids of its configs",
                remedy="correct or remove them",
            )

    def command(self, configs: Sequence[str], output: Path, **more: Any) -> list[str]:
        """A ``monai.bundle run`` in the bundle's root."""
        files = [*(f"configs/{name}.json" for name in configs), *self.overlays]
        ids = {"dataset_dir": self.data, "output_dir": output, "ckpt_path": self.weights, **more, **self.ids}
        options = [text for key, value in ids.items() for text in (f"--{key}", str(value))]
        return ["-m", "monai.bundle", "run", "--config_file", str(files).replace(", ", ","), *options]

    def told(self, command: Sequence[str]) -> str:
        """A command as a record keeps it, with names in place of this machine's folders."""
        names = {"--dataset_dir": "DATASET_DIR", "--output_dir": "OUTPUT", "--ckpt_path": "MODEL", "--datalist": "LIST"}
        words = [names.get(before, word) for before, word in zip(["", *command], command, strict=False)]
        return " ".join(["python", *(word if re.fullmatch(r"[\w./:=+-]+", word) else f'"{word}"' for word in words)])


@dataclass(frozen=True)
class Trained:
    """What became of it.

    Args:
        training: ``command``, ``minutes`` and ``commit`` of the record.
        evaluation: ``command`` and ``commit`` of the record.
        evaluations: folder of each evaluation by the name of its scores.
    """

    training: dict[str, Any]
    evaluation: dict[str, Any]
    evaluations: dict[str, Path]


def train(run: Run, commit: str) -> Trained:
    """Train, then evaluate each direction on the cases kept for it.

    Raises:
        InputError: if the training's config is not there, or a command fails.
    """
    started = time.monotonic()
    given = {"datalist": run.datalist} if run.datalist else {}
    command = run.command(["train"], run.output, **given)
    _call(run, command)
    minutes = max(round((time.monotonic() - started) / 60, 1), 0.1)
    split = {"datalist": run.datalist or run.output / "split.json", "section": "test"}
    folders: dict[str, Path] = {}
    commands = []
    for name, ids in evaluations(run.bundle).items():
        folders[name] = run.output / (name or "evaluation")
        commands.append(run.command(["inference", "evaluate"], folders[name], **split, **ids))
        _call(run, commands[-1])
    return Trained(
        {"command": run.told(command), "minutes": minutes, "commit": commit},
        {"command": "; ".join(map(run.told, commands)), "commit": commit},
        folders,
    )


def evaluations(bundle: Bundle) -> dict[str, dict[str, Any]]:
    """Ids of each evaluation by the name of its scores: of each direction or modality, or a single one without name."""
    pairs = [pair for pair in bundle.metadata.get("translation", {}).get("directions", []) if len(pair) == 2]
    if len(pairs) > 1:
        return {f"{source}_to_{target}": {"source": source} for source, target in pairs}
    modalities = bundle.metadata.get("segmentation", {}).get("modalities", [])
    return {modality: {"source": modality} for modality in modalities} or {"": {}}


def commit_of(root: Path = ROOT) -> str:
    """The commit of the checkout.

    Raises:
        InputError: if there is none.
    """
    command = ["git", "-C", str(root), "rev-parse", "--short=12", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError) as error:
        raise InputError(
            root,
            found="no commit that git can tell",
            wanted="a checkout, since a score without its commit is none",
            remedy="name it with --commit",
        ) from error


def _call(run: Run, command: Sequence[str]) -> None:
    print(f"$ cd {run.bundle.root} && {run.told(command)}\n", flush=True)
    status = subprocess.call([sys.executable, *command], cwd=run.bundle.root, env={**os.environ})
    if status:
        raise InputError(
            run.bundle.name,
            found=f"exit status {status} of the command above",
            wanted="a run that ends well",
            remedy="see its own message",
        )
