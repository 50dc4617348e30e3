"""A bundle as it is released: with the scores of its weights, what they were trained on, and the ids they need."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from contract.bundle import Bundle
from format_json import format_text
from importing.layers import Layers
from packing.licence import with_weights
from releasing.direction import of_weights, on_card
from releasing.weights import RECORD, Released
from transmodal.errors import InputError

__all__ = ["staged"]


@contextmanager
def staged(bundle: Bundle, weights: Released) -> Iterator[tuple[Bundle, Sequence[Path]]]:
    """A passing copy of a bundle that tells of its weights, and the overlays to fold into its configs.

    ``metadata.json`` gets their ``eval_metrics``, the data of their training and, where the ids that they need fix
    them, their directions, which the card tells too; ``docs/weights.json`` their record with the command, data and
    commit of these numbers, and ``docs/data_license.txt`` says what they were trained on.

    Raises:
        InputError: if the weights are of another version of the bundle.
    """
    version = str(bundle.metadata["version"])
    if weights.version != version:
        raise InputError(
            weights.folder / RECORD,
            found=f"version {weights.version}",
            wanted=f"{version}, which {bundle.name}/configs/metadata.json has",
            remedy="make sure that the weights still fit, then correct the older of the two",
        )
    with TemporaryDirectory() as folder:
        copy = Bundle(Path(folder) / bundle.name)
        for source in bundle.files():
            target = copy.root / source.relative_to(bundle.root)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
        config = Layers(bundle, tuple(bundle.root / name for name in weights.overlays), weights.values).parser.config
        _write(copy.configs / "metadata.json", _metadata(bundle.metadata, weights, config))
        card = copy.root / "docs" / "README.md"
        card.write_text(on_card(card.read_text(encoding="utf-8"), config), encoding="utf-8")
        _write(copy.root / "docs" / RECORD, _with_evidence(weights))
        _tell_licence(copy.root / "docs" / "data_license.txt", weights)
        values = Path(folder) / "values.json"
        _write(values, weights.values)
        yield copy, [*(copy.root / name for name in weights.overlays), *([values] if weights.values else [])]


def _metadata(content: Mapping[str, Any], weights: Released, config: Mapping[str, Any]) -> dict[str, Any]:
    """What the bundle tells of itself, true of these weights."""
    scores = {"data_source": weights.record["training"]["data"], "eval_metrics": weights.eval_metrics}
    return {**of_weights(content, config), **scores}


def _with_evidence(weights: Released) -> dict[str, Any]:
    """The record as ``tools/verify.py`` looks for it beside scores."""
    evaluation = weights.record["evaluation"] or {}
    evidence = {key: evaluation[key] for key in ("command", "data", "commit") if key in evaluation}
    return {**weights.record, **evidence, "eval_metrics": weights.eval_metrics}


def _tell_licence(path: Path, weights: Released) -> None:
    training = weights.record["training"]
    text = with_weights(path.read_text(encoding="utf-8"), sentence="")
    lines = [
        "The weights models/model.pt come with it. They were trained on",
        "",
        f"  {training['data']}",
        f"  Licence: {training['licence']}",
        f"  {training['attribution']}",
    ]
    path.write_text("\n".join([text.rstrip(), "", *lines, ""]), encoding="utf-8")


def _write(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    path.write_text(format_text(path), encoding="utf-8")
