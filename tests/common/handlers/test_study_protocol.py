"""What every study's protocol does with the cases of an evaluator and the files it writes."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.common.handlers.evaluation import evaluate, paired, spot
from transmodal.handlers import StudyProtocol
from transmodal.handlers.records import CaseRecord


class Errors(StudyProtocol[tuple[str, float]]):
    """The largest error of each case, and infinity."""

    files = "largest"
    columns = ("case", "error", "undefined")

    def rows(self, record: CaseRecord) -> Iterator[tuple[str, float]]:
        yield record.case, float((record.pred - record.label).abs().max())

    def cells(self, row: tuple[str, float]) -> Sequence[Any]:
        return *row, math.inf

    def summary(self, rows: Sequence[tuple[str, float]]) -> Mapping[str, Any]:
        return {"errors": [round(error) for _, error in rows], "regions": list(self.regions)}

    def sentences(self, summary: Mapping[str, Any]) -> Iterator[str]:
        yield f"largest errors {summary['errors']}"


def test_rows_are_in_the_order_of_the_cases_and_undefined_cells_are_empty(tmp_path: Path) -> None:
    evaluate([paired("b", 30), paired("a", 20)], [Errors(tmp_path)])
    lines = (tmp_path / "largest.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["case", "a", "b"]
    assert all(line.endswith(",") for line in lines[1:])


def test_the_summary_is_written_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        evaluate([paired("a", 20), paired("b", 30)], [Errors(tmp_path)])
    assert json.loads((tmp_path / "largest.json").read_text()) == {"errors": [20, 30], "regions": []}
    assert "largest errors [20, 30]" in caplog.messages


def test_a_case_that_is_seen_again_counts_once_and_a_new_run_starts_anew(tmp_path: Path) -> None:
    handler = Errors(tmp_path)
    evaluate([paired("a"), paired("a")], [handler])
    assert json.loads((tmp_path / "largest.json").read_text())["errors"] == [20]
    evaluate([paired("b", 30)], [handler])
    assert json.loads((tmp_path / "largest.json").read_text())["errors"] == [30]


def test_regions_reach_the_records(tmp_path: Path) -> None:
    class Regions(Errors):
        def rows(self, record: CaseRecord) -> Iterator[tuple[str, float]]:
            yield record.case, float(record.regions["lesion"].sum())

    evaluate([{**paired("a"), "lesion": spot()}], [Regions(tmp_path, {"lesion": "lesion"})])
    assert json.loads((tmp_path / "largest.json").read_text()) == {"errors": [48], "regions": ["lesion"]}
