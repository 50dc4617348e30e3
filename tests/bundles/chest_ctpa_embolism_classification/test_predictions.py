"""What is kept of each case, and its way through a file and an evaluator."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from embolism_bundle.predictions import Collector, Prediction, read_predictions, write_predictions
from ignite.engine import Engine

from tests.bundles.chest_ctpa_embolism_classification.conftest import prediction
from transmodal.errors import InputError


class Kept(Collector):
    """Keeps what others write."""

    def write(self, predictions: Sequence[Prediction]) -> None:
        self.kept = list(predictions)


def collected(samples: list[dict[str, Any]], sections: dict[str, str] | None = None) -> list[Prediction]:
    """What an evaluator with these samples leaves, whose outputs have no label."""
    collector = Kept("unused", sections)
    outputs = [{"image": None, "label": None, "pred": torch.tensor(sample.pop("pred"))} for sample in samples]
    engine = Engine(lambda engine, batch: [outputs[engine.state.iteration - 1]])
    collector.attach(engine)
    engine.run([[sample] for sample in samples])
    return collector.kept


def test_a_probability_of_the_threshold_is_a_yes() -> None:
    assert [prediction("a", value, None, threshold=0.3).answer for value in (0.29, 0.3, 0.31)] == [0, 1, 1]


def test_a_table_gives_back_what_was_written(predictions: list[Prediction], tmp_path: Path) -> None:
    told = [*predictions, prediction("g", 1 / 3, None, threshold=0.1 + 0.2, patient="a")]
    write_predictions(tmp_path / "predictions.csv", told)
    assert read_predictions(tmp_path / "predictions.csv") == told


def test_a_table_without_a_case_gives_back_none(tmp_path: Path) -> None:
    write_predictions(tmp_path / "predictions.csv", [])
    assert read_predictions(tmp_path / "predictions.csv") == []


@pytest.mark.parametrize(
    "text", ["case,label\na,1\n", "case,patient,section,label,probability,threshold\na,a,,1,high,0\n"]
)
def test_a_table_of_something_else_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "predictions.csv").write_text(text)
    with pytest.raises(InputError, match="found no table of predictions"):
        read_predictions(tmp_path / "predictions.csv")


def test_cases_are_collected_in_order_and_each_once() -> None:
    samples = [{"case": name, "label": torch.tensor(1), "pred": [0.7, 0.4]} for name in "bab"]
    assert [(each.case, each.label, each.answer) for each in collected(samples)] == [("a", 1, 1), ("b", 1, 1)]


def test_a_case_has_its_section_and_its_patient() -> None:
    (each,) = collected([{"case": "a", "patient": "p", "pred": [0.2, 0.4]}], {"a": "test"})
    assert (each.section, each.patient, each.label) == ("test", "p", None)
