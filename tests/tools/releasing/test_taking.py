"""Weights on their way into the folder of released ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import torch

from contract import Bundle
from format_json import format_text
from releasing.taking import scores_of, take
from releasing.weights import Released, released
from tests.packaging.tiny import NAME
from tests.tools.releasing.house import ABOUT, record_of
from transmodal.errors import InputError
from transmodal.files import sha256_of

House = tuple[Bundle, Path]
RAN = {"command": "python -m monai.bundle run", "data": "two phantoms", "commit": "0123abc"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Other weights than those that are released."""
    path = tmp_path / "trained" / "model.pt"
    path.parent.mkdir()
    torch.save({"ct.value": torch.tensor([3.0]), "mr.value": torch.tensor([4.0])}, path)
    return path


@pytest.fixture
def taken(house: House, file: Path) -> Callable[..., Released]:
    def call(path: Path = file, **arguments: Any) -> Released:
        return take(house[0], path, house[1], **{"about": {}, **arguments})

    return call


def evaluated(folder: Path, weights: Path, mae: float = 7.5) -> Path:
    folder.mkdir()
    summary = {
        "title": "t",
        "cases": ["p1", "p2"],
        "methods": {"model": {"mae": {"mean": mae, "sd": 1.0, "worst_case": "p2", "n": 2}}},
        "provenance": {"weights_sha256": sha256_of(weights)},
    }
    (folder / "summary.json").write_text(json.dumps(summary))
    return folder


def test_the_first_weights_of_a_bundle_need_a_whole_record(house: House, file: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"found intended_use: None .*training: 'attribution' is a required"):
        take(house[0], file, tmp_path / "new", about={})
    assert not (tmp_path / "new").exists()
    weights = take(house[0], file, tmp_path / "new", about=ABOUT, values={"source": "ct"})
    assert weights.checked().read_bytes() == file.read_bytes()
    assert released(tmp_path / "new") == {NAME: weights}
    assert (weights.values, weights.overlays, weights.eval_metrics) == ({"source": "ct"}, (), {})


def test_what_is_not_said_again_stays_but_no_score_of_other_weights(taken: Callable[..., Released]) -> None:
    weights = taken(about={"limits": "none", "training": {"minutes": 7}})
    assert weights.values == {"gains": {"ct": 1.5, "mr": 2.5}, "source": "ct"}
    assert weights.record["training"] == {**ABOUT["training"], "minutes": 7}
    assert (weights.record["limits"], weights.record["intended_use"]) == ("none", "tests")
    assert (weights.record["eval_metrics"], weights.record["evaluation"]) == ({}, None)


def test_the_same_weights_keep_their_scores(taken: Callable[..., Released], house: House) -> None:
    before = released(house[1])[NAME].record
    assert taken(house[1] / NAME / "model.pt", about={"limits": "fewer"}).record == {**before, "limits": "fewer"}


class LeapDay(date):
    """A day that does not end while a test runs."""

    @classmethod
    def today(cls) -> LeapDay:
        return cls(2024, 2, 29)


def test_scores_are_the_means_of_their_evaluations(
    taken: Callable[..., Released], file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("releasing.taking.date", LeapDay)
    folders = {name: evaluated(tmp_path / name, file, mae) for name, mae in (("to_ct", 7.5), ("to_mr", 0.25))}
    weights = taken(evaluations=folders, about={"evaluation": RAN})
    assert weights.eval_metrics == {"to_ct": {"model": {"mae": 7.5}}, "to_mr": {"model": {"mae": 0.25}}}
    assert weights.record["evaluation"] == {**RAN, "cases": ["p1", "p2"], "date": "2024-02-29"}


def test_the_only_evaluation_needs_no_name(taken: Callable[..., Released], file: Path, tmp_path: Path) -> None:
    weights = taken(evaluations={"": evaluated(tmp_path / "e", file)}, about={"evaluation": RAN})
    assert weights.eval_metrics == {"model": {"mae": 7.5}}


def test_scores_of_other_weights_are_refused(
    taken: Callable[..., Released], house: House, tmp_path: Path, file: Path
) -> None:
    before = released(house[1])
    folder = evaluated(tmp_path / "e", house[1] / NAME / "model.pt")
    with pytest.raises(InputError, match=r"summary\.json: found scores of the weights [0-9a-f]{12}; wanted scores of"):
        taken(evaluations={"": folder}, about={"evaluation": RAN})
    assert released(house[1]) == before


def test_a_score_without_its_command_is_refused(taken: Callable[..., Released], tmp_path: Path, file: Path) -> None:
    with pytest.raises(InputError, match=r"evaluation: .* is not valid under any"):
        taken(evaluations={"": evaluated(tmp_path / "e", file)})


def test_a_folder_without_an_evaluation_is_refused(taken: Callable[..., Released], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found no summary of an evaluation"):
        taken(evaluations={"": tmp_path}, about={"evaluation": RAN})


def test_weights_that_do_not_fit_are_refused(taken: Callable[..., Released], house: House, tmp_path: Path) -> None:
    before = released(house[1])
    torch.save({"weight": torch.ones(1)}, tmp_path / "other.pt")
    with pytest.raises(InputError, match=r"other\.pt: found "):
        taken(tmp_path / "other.pt")
    assert released(house[1]) == before


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"overlays": ["configs/none.json"]}, r"configs/none\.json: found no such file in ct_mr_tiny_translation"),
        ({"values": {"sead": 1}}, "found --sead"),
        ({"about": {"limit": "x"}}, "--about: found limit; wanted training, evaluation, intended_use, limits"),
    ],
)
def test_what_the_bundle_or_the_record_does_not_have_is_refused(
    taken: Callable[..., Released], arguments: dict[str, Any], told: str
) -> None:
    with pytest.raises(InputError, match=told):
        taken(**arguments)


def test_the_range_of_the_training_comes_along_and_that_of_others_goes(
    taken: Callable[..., Released], house: House, file: Path
) -> None:
    ranges = house[1] / NAME / "trained_range.json"
    file.with_name("trained_range.json").write_text("1")
    taken()
    assert ranges.read_text() == "1"
    file.with_name("trained_range.json").unlink()
    taken()
    assert not ranges.exists()


def test_the_record_is_formatted_as_all_json_here(taken: Callable[..., Released]) -> None:
    path = taken().folder / "weights.json"
    assert path.read_text() == format_text(path)
    assert record_of(path.with_name("model.pt"))["sha256"] == json.loads(path.read_text())["sha256"]


def test_a_mean_of_zero_is_a_score_and_a_measure_without_a_mean_is_none() -> None:
    method = {"ncc": {"mean": 0.0, "n": 1}, "psnr": {"mean": None, "n": 0}}
    assert scores_of({"methods": {"body mean": method}}) == {"body mean": {"ncc": 0.0}}


def test_what_a_classifier_counts_are_scores_too() -> None:
    summary = {
        "title": "CT or MR",
        "cases": ["a"],
        "data": {"n": 1},
        "provenance": {"torch": "2"},
        "slices": {"n": 379, "accuracy": 0.95, "classes": {"ct": {"sensitivity": 1.0}}, "abstained": None},
        "wrong": [],
        "none_of_these": {"n": True},
    }
    assert scores_of(summary) == {"slices": {"n": 379, "accuracy": 0.95, "classes": {"ct": {"sensitivity": 1.0}}}}
