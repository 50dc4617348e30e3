"""Draw the figures of a model card: from the results of an evaluation, or from files of one case."""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fire
from monai.data import MetaTensor
from monai.transforms import LoadImage

from transmodal.data import check_path, check_same_grid, deviation_of, find_cases
from transmodal.errors import InputError
from transmodal.handlers import SliceView, draw_translations, mid_body_view
from transmodal.metrics import CTSimilarity, MRSimilarity
from transmodal.transforms import BodyMask

MODEL = "model"
FOOTER = "synthetic image, research use only"
Window = tuple[float, float]


@dataclass(frozen=True)
class Display:
    """How a modality is shown, and how its target is brought to the units of a translation."""

    units: str
    window: Window
    similarity: Any
    body: BodyMask


CT = Display("HU", (-500.0, 1000.0), CTSimilarity(), BodyMask(threshold=-500))
MR = Display("a.u.", (0.0, 1000.0), MRSimilarity(), BodyMask())


def evaluation(
    results: str,
    dataset_dir: str,
    output: str,
    source: str = "mr",
    target: str = "ct",
    cases: Sequence[str] = (),
    title: str = "",
    window: Window | None = None,
    source_window: Window | None = None,
    error_range: float | None = None,
    planes: str | Sequence[str] = "axial",
) -> Path:
    """Draw the best, the median and the worst case of an evaluation, or the cases named, a row for each.

    Where all of them have a predicted deviation, <case>/<target>_std.nii.gz, it is shown as well.

    Args:
        results: output_dir of an evaluation, with metrics.csv, summary.json and <case>/<target>.nii.gz.
        dataset_dir: the data it was run on.
        output: the figure; its suffix chooses the format.
        source: modality translated from.
        target: modality translated to.
        cases: names of cases, such as "[case_1,case_2]", instead of best, median and worst.
        title: line above the panels.
        window: display range of translation and target, such as "-500,1000".
        source_window: display range of the source; its percentiles inside the body if absent.
        error_range: errors are shown from minus to plus this, deviations up to it; by default a fifth of the window.
        planes: of axial, coronal and sagittal, such as "axial,coronal,sagittal"; a row for each plane of each case.
    """
    folder = Path(results)
    scores, measure, unit = _scores(folder)
    names = [str(cases)] if isinstance(cases, (str, int)) else [str(case) for case in cases]
    chosen = {name: name for name in names} or _best_median_worst(scores)
    records = {case["case"]: case for case in find_cases(dataset_dir, [source, target, "mask"])}
    views = []
    for case, label in chosen.items():
        record = records.get(case, {})
        if source not in record:
            raise InputError(
                dataset_dir,
                found=f"no {source} of case {case}",
                wanted="the data of the evaluation",
                remedy=f"give the dataset_dir with which {folder} was made",
            )
        note = f"{measure.upper()} {scores[case]:.3g} {unit}".rstrip() if case in scores else ""
        translated = folder / case / f"{target}.nii.gz"
        views += _views(label, record, translated, source, target, note, planes)
    return _draw(views, output, source, target, title, window, source_window, error_range)


def files(
    source_file: str,
    translated_file: str,
    output: str,
    target_file: str | None = None,
    mask_file: str | None = None,
    source: str = "mr",
    target: str = "ct",
    title: str = "",
    window: Window | None = None,
    source_window: Window | None = None,
    error_range: float | None = None,
    planes: str | Sequence[str] = "axial",
) -> Path:
    """Draw one case from its files, which are on one grid.

    A predicted deviation that lies beside the translation, under its name and ``_std``, is shown as well.

    Args:
        source_file: what was translated.
        translated_file: the translation.
        output: the figure; its suffix chooses the format.
        target_file: the true target; without it no error is shown.
        mask_file: body mask; without it the body is found in the source.
        source: modality translated from.
        target: modality translated to.
        title: line above the panels.
        window: display range of translation and target, such as "-500,1000".
        source_window: display range of the source; its percentiles inside the body if absent.
        error_range: errors are shown from minus to plus this, deviations up to it; by default a fifth of the window.
        planes: of axial, coronal and sagittal, such as "axial,coronal,sagittal"; a row for each plane of each case.
    """
    given = {source: source_file, target: target_file, "mask": mask_file}
    record = {name: path for name, path in given.items() if path is not None}
    case = Path(source_file).resolve().parent.name
    views = _views(case, record, Path(translated_file), source, target, "", planes)
    return _draw(views, output, source, target, title, window, source_window, error_range)


def _scores(results: Path) -> tuple[dict[str, float], str, str]:
    """The key measure of each case of the model, from the best to the worst; the measure's name and its unit."""
    table, summary = results / "metrics.csv", results / "summary.json"
    for path in (table, summary):
        if not path.is_file():
            raise InputError(
                path,
                found="no such file",
                wanted="the results of an evaluation",
                remedy="run configs/inference.json with configs/evaluate.json over it, and give its output_dir",
            )
    measures = json.loads(summary.read_text(encoding="utf-8"))["protocol"]["measures"]
    name, about = next(iter(measures.items()))
    with table.open(newline="", encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if row["method"] == MODEL and row[name]]
    values = {row["case"]: float(row[name]) for row in rows}
    ordered = sorted(values, key=lambda case: (values[case], case), reverse=about["higher_is_better"])
    return {case: values[case] for case in ordered}, name, about["unit"]


def _best_median_worst(scores: dict[str, float]) -> dict[str, str]:
    """Case to the label of its row; ``scores`` go from the best to the worst."""
    order = [case for case, value in scores.items() if math.isfinite(value)]
    places = {"best": 0, "median": (len(order) - 1) // 2, "worst": len(order) - 1}
    if not order:
        raise InputError(
            "metrics.csv",
            found="no scored case of the model",
            wanted="at least one",
            remedy="evaluate some cases first",
        )
    labels: dict[str, list[str]] = {}
    for label, place in places.items():
        labels.setdefault(order[place], []).append(label)
    return {case: f"{case}\n({' and '.join(words)})" for case, words in labels.items()}


def _views(
    label: str,
    record: dict[str, str],
    translated: Path,
    source: str,
    target: str,
    note: str,
    planes: str | Sequence[str],
) -> list[SliceView]:
    """A view of each plane of a case; the first of them bears the note."""
    image, pred = _load(Path(record[source])), _load(translated)
    check_same_grid(image, pred, record[source], translated)
    mask = _load(Path(record["mask"])) if "mask" in record else _display(source).body(image)
    truth = _load(Path(record[target])) if target in record else None
    reference = None if truth is None else _display(target).similarity.comparable(truth, mask)
    beside = deviation_of(translated)
    deviation = _load(beside) if beside.is_file() else None
    if deviation is not None:
        check_same_grid(pred, deviation, translated, beside)
    names = planes.split(",") if isinstance(planes, str) else list(planes)
    given = {"affine": image.affine, "deviation": deviation}
    return [
        mid_body_view(
            label if len(names) == 1 else f"{label}\n{name}",
            *(image, pred, reference, mask),
            **given,
            note="" if number else note,
            plane=name,
        )
        for number, name in enumerate(names)
    ]


def _load(path: Path) -> MetaTensor:
    check_path(path)
    image: MetaTensor = LoadImage(image_only=True, ensure_channel_first=True, dtype="float32")(path)
    return image


def _draw(
    views: list[SliceView],
    output: str,
    source: str,
    target: str,
    title: str,
    window: Window | None,
    source_window: Window | None,
    error_range: float | None,
) -> Path:
    path = Path(output)
    path.parent.mkdir(parents=True, exist_ok=True)
    draw_translations(
        views,
        path,
        title=title or f"{source.upper()} to {target.upper()}",
        source=source.upper(),
        target=target.upper(),
        units=_display(target).units,
        source_units=_display(source).units,
        target_window=window or _display(target).window,
        source_window=source_window,
        error_range=error_range,
        footer=FOOTER,
    )
    return path


def _display(modality: str) -> Display:
    return CT if modality == "ct" else MR


def main() -> None:
    """Run the command asked for; an error is told without a traceback."""
    try:
        fire.Fire({"evaluation": evaluation, "files": files})
    except InputError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
