"""Weights into the folder of released ones, with a record that is true: they fit, and the scores are theirs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from contract.bundle import Bundle
from format_json import format_text
from importing.layers import Layers
from releasing.weights import RECORD, WEIGHTS, Released, problems_of, released
from translating.model import Model
from transmodal.errors import InputError
from transmodal.files import sha256_of, write_atomically
from transmodal.trained_range import range_beside

__all__ = ["scores_of", "take"]

SUMMARY = "summary.json"
ABOUT = ("training", "evaluation", "intended_use", "limits")
SETTING = {"title", "protocol", "cases", "data", "provenance"}
"""What of a summary tells how it came about and is no score."""


def take(
    bundle: Bundle,
    file: Path,
    root: Path,
    about: Mapping[str, Any],
    overlays: Sequence[str] | None = None,
    values: Mapping[str, Any] | None = None,
    evaluations: Mapping[str, Path] | None = None,
) -> Released:
    """Copy weights to ``root/<bundle>/model.pt`` and write ``weights.json`` beside them.

    What is left out stays as the record before has it, but no score of other weights does.

    Args:
        bundle: that they are of.
        file: the weights; the ``trained_range.json`` beside them comes along.
        root: folder of released weights.
        about: ``training``, ``evaluation``, ``intended_use`` and ``limits`` of the record, or some of their fields.
        overlays: configs that they need, relative to the bundle.
        values: ids over these.
        evaluations: folders with the ``summary.json`` of an evaluation, by the name of its scores; ``""`` for the only
            one.
    Raises:
        InputError: if the weights do not fit, an evaluation is of others, or the record is incomplete. Nothing is
            written then.
    """
    before = dict(found.record) if (found := released(root).get(bundle.name)) else {}
    _check_about(about)
    needed = list(before.get("overlays", [])) if overlays is None else list(overlays)
    ids = dict(before.get("values", {})) if values is None else dict(values)
    layers = Layers(bundle, tuple(_overlay(bundle, name) for name in needed), ids)
    layers.check_ids()
    Model(layers, file).check()
    digest = sha256_of(file)
    same = before.get("sha256") == digest
    record = {
        "bundle": bundle.name,
        "version": str(bundle.metadata["version"]),
        "sha256": digest,
        "size": file.stat().st_size,
        "overlays": needed,
        "values": ids,
        "eval_metrics": before.get("eval_metrics", {}) if same else {},
        "evaluation": before.get("evaluation") if same else None,
        "training": {**before.get("training", {}), **about.get("training", {})},
        **{key: about.get(key, before.get(key)) for key in ("intended_use", "limits")},
    }
    if evaluations:
        summaries = {name: _summary(folder, digest) for name, folder in evaluations.items()}
        record["eval_metrics"] = _scores(summaries)
        cases = {str(case): None for summary in summaries.values() for case in summary["cases"]}
        evaluation = {"cases": list(cases), "date": date.today().isoformat(), **about.get("evaluation", {})}
        record["evaluation"] = evaluation
    _write(root / bundle.name, record, file)
    return released(root)[bundle.name]


def scores_of(summary: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers of a ``summary.json``: of each method and measure the mean over cases, or what else it counts."""
    scores = summary["methods"] if "methods" in summary else {k: v for k, v in summary.items() if k not in SETTING}
    return _numbers(scores)


def _numbers(scores: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in scores.items():
        if isinstance(value, Mapping):
            value = value["mean"] if "mean" in value else _numbers(value) or None
        if isinstance(value, int | float | dict) and not isinstance(value, bool):
            found[key] = value
    return found


def _scores(summaries: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    if set(summaries) == {""}:
        return scores_of(summaries[""])
    return {name: scores_of(summary) for name, summary in summaries.items()}


def _summary(folder: Path, digest: str) -> dict[str, Any]:
    path = folder / SUMMARY if folder.is_dir() else folder
    try:
        summary = dict(json.loads(path.read_text(encoding="utf-8")))
        of = summary["provenance"]["weights_sha256"]
        summary["cases"] = list(summary["cases"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            path,
            found=f"no summary of an evaluation ({type(error).__name__}: {error})",
            wanted="the output_dir of a run with configs/evaluate.json",
            remedy="check the path",
        ) from error
    if of != digest:
        raise InputError(
            path,
            found=f"scores of the weights {of[:12]}",
            wanted=f"scores of these, {digest[:12]}",
            remedy="evaluate these weights; a score of others would not be true of them",
        )
    return summary


def _overlay(bundle: Bundle, name: str) -> Path:
    path = bundle.root / name
    if path.is_file():
        return path
    raise InputError(
        name, found=f"no such file in {bundle.name}", wanted="a config of it", remedy="write configs/NAME.json"
    )


def _check_about(about: Mapping[str, Any]) -> None:
    if unknown := about.keys() - set(ABOUT):
        raise InputError(
            "--about", found=", ".join(sorted(unknown)), wanted=", ".join(ABOUT), remedy="correct these keys"
        )


def _write(folder: Path, record: dict[str, Any], file: Path) -> None:
    record_file = folder / RECORD
    if problems := problems_of(record):
        raise InputError(
            record_file,
            found="; ".join(problems),
            wanted="a whole record",
            remedy="give what is missing in the JSON file of --about; nothing was written",
        )
    ranges = range_beside(folder / WEIGHTS)
    for source, target in ((file, folder / WEIGHTS), (range_beside(file), ranges)):
        if source.is_file() and source.resolve() != target.resolve():
            write_atomically(target, lambda path, source=source: shutil.copyfile(source, path))
    if not range_beside(file).is_file():
        ranges.unlink(missing_ok=True)
    write_atomically(record_file, lambda path: _write_json(path, record))


def _write_json(path: Path, record: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(record, ensure_ascii=False), encoding="utf-8")
    path.write_text(format_text(path), encoding="utf-8")
