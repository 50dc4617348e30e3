"""Ask a lesion segmenter what a synthetic contrast is worth: Dice with the real, the synthetic and no target at all."""

from __future__ import annotations

import logging
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import fire
from tqdm import tqdm

from benchmarks import options
from downstream import reporting
from downstream.data import Record, check_synthetic, read_subject, split_records, synthetic_file
from downstream.figure import Panel, draw, panels_of
from downstream.scoring import MISSING, REAL, Score, score, segment
from downstream.training import Recipe, Segmenter, trained_segmenter
from transmodal.data.layout import LABELS, MODALITIES
from transmodal.errors import InputError
from transmodal.files import write_atomically

CASES_IN_FIGURE = 4


def main(
    dataset_dir: str,
    synthetic: str | Sequence[str],
    target: str,
    sources: str | Sequence[str],
    datalist: str | None = None,
    section: str = "test",
    output: str | None = None,
    epochs: int = 20,
    seed: int = 0,
    pixdim: Sequence[float] = (2.0, 2.0, -1.0),
    device: str | None = None,
) -> None:
    """Train a small lesion segmenter on real contrasts; score it with real, synthetic and missing targets.

    tools/segmentation_check.py DATASET_DIR --synthetic OUTPUT --target t1ce --sources flair,t2,t1 --datalist split.json

    It learns from the training section's cases that have <case>/lesion (or label; values above 0 are lesion), and
    segments each case that is scored with all its real contrasts, with each synthetic target in place of the real one,
    and with the target's training mean inside the body. Every image is scaled by its own percentiles inside the body.
    Dice is taken on the native grid; without true lesion it is 1 if none is found, else 0. Writes segmentation.json,
    .csv and .png, and segmenter.pt, which a run with the same settings, training cases and output takes again.

    Args:
        dataset_dir: real images and lesion masks, <case>/<modality>.<extension>.
        synthetic: folder of an inference, with <case>/<target>.nii.gz; or several, as NAME=DIR,NAME=DIR.
        target: the contrast that was synthesised.
        sources: the other contrasts that the segmenter sees, such as flair,t2,t1.
        datalist: list of sections, such as the split.json of a training; by default dataset.json of the data set.
        section: test or validation.
        output: folder for the results; by default the first folder of synthetic images.
        epochs: how often as many slices are drawn as the training cases have.
        seed: of the segmenter's training; equal seeds give equal results on one machine.
        pixdim: spacing in mm at which it works, in RAS; -1 leaves an axis as it is.
        device: cpu or cuda; by default cuda where there is one.
    """
    logging.getLogger("monai.data.nvimgcodec_pydicom_plugin").setLevel(logging.ERROR)  # announces an absent option
    try:
        folders = _folders(synthetic)
        recipe = _recipe(target, options.listed(sources), pixdim, epochs, seed)
        results = Path(output) if output is not None else next(iter(folders.values()))
        _check(recipe, str(dataset_dir), datalist, section, folders, results, options.device(device))
    except InputError as error:
        sys.exit(str(error))


def _check(
    recipe: Recipe,
    dataset_dir: str,
    datalist: str | None,
    section: str,
    folders: Mapping[str, Path],
    results: Path,
    device: str,
) -> None:
    """Refuse what lacks, train or take the segmenter, score, write and print."""
    training, tested = split_records(dataset_dir, datalist, section, recipe.contrasts)
    check_synthetic(tested, folders, recipe.target, section)
    segmenter = trained_segmenter(recipe, training, weights := results / "segmenter.pt", device)
    print(f"{'took' if segmenter.reused else 'trained and kept'} {weights}")
    scores, rows = _evaluated(segmenter, tested, folders)
    data = {
        "dataset_dir": dataset_dir,
        "datalist": datalist,
        "section": section,
        "synthetic": {name: str(folder) for name, folder in folders.items()},
        "command": shlex.join(["python", *sys.argv]),
    }
    content = reporting.report(scores, segmenter, [record["case"] for record in training], data, weights)
    reporting.write_scores(scores, results / "segmentation.csv")
    reporting.write_report(content, results / "segmentation.json")
    write_atomically(results / "segmentation.png", lambda path: draw(rows, recipe.target, path))
    print(reporting.table(scores))
    for warning in content["warnings"]:
        print(f"warning: {warning}")
    print(f"written to {results}")


def _evaluated(
    segmenter: Segmenter, records: Sequence[Record], folders: Mapping[str, Path]
) -> tuple[list[Score], dict[str, dict[str, Panel]]]:
    """Scores of all cases, and the figure's rows."""
    recipe = segmenter.recipe
    scores: list[Score] = []
    rows: dict[str, dict[str, Panel]] = {}
    for record in tqdm(records, desc="segmenting", disable=None):
        files = {name: synthetic_file(folder, record, recipe.target) for name, folder in folders.items()}
        subject = read_subject(record, recipe.contrasts, files, recipe.target)
        found = segment(segmenter, subject)
        own = score(subject, found)
        scores += own
        if len(rows) < CASES_IN_FIGURE:
            rows[subject.case] = panels_of(subject, found, own, recipe.target, segmenter.target_mean)
    return scores, rows


def _folders(synthetic: str | Sequence[str]) -> dict[str, Path]:
    """Folders of synthetic images by the name of what made them; a lone one needs no name."""
    given = [str(each) for each in options.listed(synthetic)]
    parts = [(name, folder) if equals else ("synthetic", name) for name, equals, folder in map(_split, given)]
    names = [name for name, _ in parts]
    if not parts or len(set(names)) < len(names) or {REAL, MISSING} & set(names) or not all(map(all, parts)):
        raise InputError(
            "--synthetic",
            found=repr(synthetic),
            wanted=f"a folder, or several as NAME=DIR,NAME=DIR, each with its own name that is not {REAL} or {MISSING}",
            remedy="write for example --synthetic mudiff=output,copy=baseline",
        )
    return {name: Path(folder) for name, folder in parts}


def _split(text: str) -> tuple[str, str, str]:
    """NAME, "=" and DIR; an equals sign within a path names nothing."""
    name, equals, folder = text.partition("=")
    return (text, "", "") if "/" in name else (name, equals, folder)


def _recipe(target: str, sources: Sequence[Any], pixdim: Any, epochs: Any, seed: Any) -> Recipe:
    contrasts = [str(name) for name in (target, *sources)]
    known = [name for name in MODALITIES if name not in LABELS]
    if len(contrasts) < 2 or len(set(contrasts)) < len(contrasts) or not set(contrasts) <= set(known):
        raise InputError(
            "--target and --sources",
            found=f"{target!r} and {', '.join(map(repr, contrasts[1:])) or 'nothing'}",
            wanted=f"one target and one or more other sources of {' '.join(known)}",
            remedy="write for example --target t1ce --sources flair,t2,t1",
        )
    spacing = options.listed(pixdim)
    if len(spacing) != 3 or not all(isinstance(each, int | float) and not isinstance(each, bool) for each in spacing):
        raise InputError("--pixdim", found=repr(pixdim), wanted="three numbers in mm", remedy="write --pixdim 2,2,-1")
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        raise InputError("--seed", found=repr(seed), wanted="a whole number from 0 on", remedy="write --seed 0")
    return Recipe(
        target=contrasts[0],
        sources=tuple(contrasts[1:]),
        pixdim=tuple(float(each) for each in spacing),
        epochs=options.count("epochs", epochs),
        seed=seed,
    )


if __name__ == "__main__":
    fire.Fire(main)
