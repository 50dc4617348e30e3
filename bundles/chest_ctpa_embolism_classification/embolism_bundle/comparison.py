"""Several models side by side, such as on real CT, on radiographs alone, and on CT that was generated from these.

Each row has its own weights and images; all are evaluated on the same cases, then compared in pairs.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from monai.bundle import ConfigWorkflow

from embolism_bundle.comparison_figure import draw_comparison
from embolism_bundle.predictions import Prediction, read_predictions, write_rows
from embolism_bundle.reports import TABLE
from embolism_bundle.scores import in_words, labels_of, probabilities_of, summarised
from transmodal.errors import InputError
from transmodal.files import write_atomically, write_json
from transmodal.metrics import delong_test

__all__ = ["Comparison"]

logger = logging.getLogger(__name__)

OWN_CONFIGS = ("configs/inference.json", "configs/evaluate.json")
RATES = ("accuracy", "sensitivity", "specificity", "positive_predictive_value", "negative_predictive_value")


class Comparison:
    """Evaluates each row and writes ``comparison.csv``, ``comparison.json`` and ``figure.png``.

    The table has each row on all of its cases and on those that all rows have, on which the areas are compared after
    DeLong. The p-values are of single pairs, not corrected for their number.

    Args:
        rows: by name, what differs from row to row: ``overlays``, configs that the weights were trained with, and ids
            of inference and evaluation such as ``ckpt_path`` and ``images_dir``; or ``predictions`` alone, a
            ``predictions.csv`` of an evaluation that was made before.
        output_dir: of the three files, and of a folder for each row with its own evaluation.
        bundle_root: of the configs.
        ids: of all rows, such as ``dataset_dir``, ``datalist`` and ``section``.
        overlays: of all rows, behind their own.
        title: first line of the figure.
    Raises:
        InputError: if there are fewer than two rows, or a row has neither weights nor predictions.
    """

    def __init__(
        self,
        rows: Mapping[str, Mapping[str, Any]],
        output_dir: str | Path,
        bundle_root: str | Path = ".",
        ids: Mapping[str, Any] | None = None,
        overlays: Sequence[str] = (),
        title: str = "Comparison",
    ) -> None:
        self.rows, self.ids, self.overlays = dict(rows), dict(ids or {}), list(overlays)
        self.output_dir, self.bundle_root, self.title = Path(output_dir), Path(bundle_root), title
        faulty = [name for name, row in self.rows.items() if not {"ckpt_path", "predictions"} & row.keys()]
        if faulty or len(self.rows) < 2:
            raise InputError(
                "configuration id 'rows'",
                found=f"no weights of {', '.join(faulty)}" if faulty else f"{len(self.rows)} rows",
                wanted="two or more rows, each with 'ckpt_path' or 'predictions'",
                remedy="complete 'rows' in configs/compare.json or a copy of it",
            )

    def run(self) -> dict[str, Any]:
        """Evaluate, compare, write; returns what ``comparison.json`` holds.

        Raises:
            InputError: if the rows have no case in common, or differ in the finding of one.
        """
        told = {name: self._predictions(name, row) for name, row in self.rows.items()}
        common = _common(told)
        summary = {
            "title": self.title,
            "rows": {name: summarised(predictions) for name, predictions in told.items()},
            "common_cases": {name: summarised(predictions) for name, predictions in common.items()},
            "pairs": _pairs(common),
            "data": {name: None if value is None else str(value) for name, value in self.ids.items()},
        }
        write_json(self.output_dir / "comparison.json", summary)
        write_atomically(self.output_dir / "comparison.csv", lambda path: write_rows(path, _table(summary)))
        write_atomically(self.output_dir / "figure.png", lambda path: draw_comparison(common, summary, path))
        for name, scores in summary["common_cases"].items():
            logger.info("%s: %s", name, in_words(scores))
            for warning in scores["warnings"]:
                logger.warning("%s: %s", name, warning)
        for pair in summary["pairs"]:
            logger.info("%s − %s: %+.3f, p = %.3g", pair["first"], pair["second"], pair["difference"], pair["p"])
        logger.info("written to %s", self.output_dir)
        return summary

    def _predictions(self, name: str, row: Mapping[str, Any]) -> list[Prediction]:
        """Predictions of one row, made now or read."""
        if "predictions" in row:
            return read_predictions(row["predictions"])
        output_dir = self.output_dir / name.replace("/", "_")
        own = {key: value for key, value in row.items() if key != "overlays"}
        first, last = OWN_CONFIGS
        files = [self.bundle_root / file for file in (first, *row.get("overlays", []), *self.overlays, last)]
        workflow = ConfigWorkflow(
            config_file=[str(file) for file in files],
            meta_file=str(self.bundle_root / "configs/metadata.json"),
            workflow_type="infer",
            logging_file=False,
            **{"bundle_root": str(self.bundle_root), **self.ids, **own, "output_dir": str(output_dir), "title": name},
        )
        logger.info("%s: %s", name, own.get("ckpt_path"))
        workflow.initialize()
        workflow.run()
        workflow.finalize()
        return read_predictions(output_dir / TABLE)


def _common(told: Mapping[str, Sequence[Prediction]]) -> dict[str, list[Prediction]]:
    """Of each row the cases that all rows have, in one order."""
    by_case = {name: {each.case: each for each in predictions} for name, predictions in told.items()}
    shared = sorted(set.intersection(*(set(cases) for cases in by_case.values())))
    labels = {case: {cases[case].label for cases in by_case.values()} for case in shared}
    torn = [case for case, found in labels.items() if len(found) > 1]
    if torn or not shared:
        raise InputError(
            "comparison",
            found=f"other labels of {', '.join(torn[:8])} in one row than in another" if torn else "no common case",
            wanted="the same cases with the same findings in all rows",
            remedy="evaluate all rows with one --datalist, --section and --labels",
        )
    return {name: [cases[case] for case in shared] for name, cases in by_case.items()}


def _pairs(common: Mapping[str, Sequence[Prediction]]) -> list[dict[str, Any]]:
    """Difference of the areas of each two rows; none where it cannot be tested."""
    pairs = []
    for (first, of_first), (second, of_second) in combinations(common.items(), 2):
        tested = delong_test(probabilities_of(of_first), probabilities_of(of_second), labels_of(of_first))
        if tested is not None:
            told = tested._asdict()
            pairs.append({"first": first, "second": second, **told, "interval": list(tested.interval)})
    return pairs


def _table(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A line for each row on all of its cases, and one on the common ones."""
    lines = []
    for key, where in (("rows", "its own"), ("common_cases", "common")):
        for name, scores in summary[key].items():
            area, at = scores["auc"], scores["at_threshold"]
            line = {"model": name, "cases": where, "n": scores["cases"], "positive": scores["positive"]}
            line |= {"auc": area["value"], **_ends("auc", area["bootstrap_95"]), "threshold": at["threshold"]}
            for rate in RATES:
                line |= {rate: at[rate]["value"], f"{rate}_of": at[rate]["of"], **_ends(rate, at[rate]["wilson_95"])}
            lines.append(line)
    return lines


def _ends(name: str, interval: Sequence[float] | None) -> dict[str, float | None]:
    low, high = interval or (None, None)
    return {f"{name}_low": low, f"{name}_high": high}
