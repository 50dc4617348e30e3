"""The scores for the reader: a table, ``segmentation.csv`` and ``segmentation.json``."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from benchmarks.reporting import aligned, commit
from downstream.scoring import MISSING, REAL, Score
from downstream.training import Segmenter
from transmodal.files import write_atomically
from transmodal.handlers.findings import provenance
from transmodal.metrics import CaseScores, Measure, summarise

MEASURES = {"dice": Measure("", higher_is_better=True)}
DEFINITIONS = {
    "dice": "overlap of found and true lesion voxels on the native grid; without any true lesion 1 if none is found, "
    "else 0",
    "lesion_ml": "volume of what is found",
    "real": "all contrasts as they were acquired",
    "missing": "the target's channel holds its mean over the training cases inside the body",
    "intensities": "real and synthetic contrasts alike by their own percentiles 0.5 and 99.5 inside the body",
}


def statistics(scores: Sequence[Score]) -> dict[str, dict[str, dict[str, Any]]]:
    """Mean, standard deviation, median and worst case of each method's Dice."""
    return summarise([CaseScores(each.case, each.method, {"dice": each.dice}) for each in scores], MEASURES)


def warnings_of(scores: Sequence[Score], target: str) -> list[str]:
    """What a reader must know before comparing: whether the segmenter uses the target at all."""
    means = {method: each["dice"]["mean"] for method, each in statistics(scores).items()}
    if means[REAL] > means[MISSING]:
        return []
    return [
        f"mean Dice is {means[REAL]:.3f} with the real {target} and {means[MISSING]:.3f} without: this segmenter does "
        f"not profit from the {target}, so its Dice says nothing about a synthetic one"
    ]


def table(scores: Sequence[Score]) -> str:
    """A row per case, the mean and its standard deviation: true volume in ml, then Dice of each method."""
    methods = list(dict.fromkeys(each.method for each in scores))
    cells = [["Dice of lesions", "lesion (ml)", *methods]]
    for case in dict.fromkeys(each.case for each in scores):
        own = {each.method: each for each in scores if each.case == case}
        cells.append([case, f"{own[REAL].true_lesion_ml:.2f}", *(f"{own[method].dice:.3f}" for method in methods)])
    dice = [statistics(scores)[method]["dice"] for method in methods]
    cells.append(["mean", "", *(f"{each['mean']:.3f}" for each in dice)])
    if all(each["sd"] is not None for each in dice):
        cells.append(["SD", "", *(f"{each['sd']:.3f}" for each in dice)])
    return aligned(cells)


def report(
    scores: Sequence[Score], segmenter: Segmenter, training: Sequence[str], data: Mapping[str, Any], weights: Path
) -> dict[str, Any]:
    """All that ``segmentation.json`` holds.

    Args:
        scores: of all cases and methods.
        segmenter: what made them.
        training: names of the training cases.
        data: where the images came from, and the command.
        weights: file of the segmenter.
    """
    cases: dict[str, dict[str, Any]] = {}
    for each in scores:
        case = cases.setdefault(each.case, {"true_lesion_ml": each.true_lesion_ml, "methods": {}})
        case["methods"][each.method] = {"dice": each.dice, "lesion_ml": each.lesion_ml}
    recipe = segmenter.recipe
    return {
        "title": f"lesion segmentation with the real and the synthetic {recipe.target}",
        "definitions": DEFINITIONS,
        "data": dict(data),
        "segmenter": {**asdict(recipe), "target_mean": segmenter.target_mean, "training_cases": list(training)},
        "methods": statistics(scores),
        "cases": cases,
        "warnings": warnings_of(scores, recipe.target),
        "provenance": {**provenance(weights), "commit": commit()},
    }


def write_report(content: Mapping[str, Any], path: Path) -> None:
    """Write JSON, whole or not at all."""
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_atomically(path, lambda partial: partial.write_text(text, encoding="utf-8"))


def write_scores(scores: Sequence[Score], path: Path) -> None:
    """Write CSV, a row per case and method, whole or not at all."""

    def write(partial: Path) -> None:
        with partial.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, [field.name for field in fields(Score)])
            writer.writeheader()
            writer.writerows(asdict(each) for each in scores)

    write_atomically(path, write)
