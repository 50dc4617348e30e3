"""Settings: plain values at one level, and what differs between a saved state and the training that would resume."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from transmodal.files import sha256_of
from transmodal.handlers import training_settings, training_state
from transmodal.handlers.settings import changes, described
from transmodal.transforms import HounsfieldWindow, RobustPercentiles

PATH = Path("resume.pt")


class Generator:
    """An object with one public attribute."""

    def __init__(self) -> None:
        self.level, self._state = 2, 5


def test_groups_become_one_level_and_objects_text() -> None:
    settings = training_settings(sizes={"patch": (4, 4), "seed": 1}, generator=Generator(), weight=None)
    assert settings == {"patch": [4, 4], "seed": 1, "generator": "Generator(level=2)", "weight": None}


def test_objects_of_other_arguments_differ() -> None:
    assert described(HounsfieldWindow(-1000, 2000)) != described(HounsfieldWindow(-1000, 1000))
    assert described(HounsfieldWindow(-1000, 2000)) != described(RobustPercentiles(0.5, 99.5))
    assert described(HounsfieldWindow(-1000, 2000)) == described(HounsfieldWindow(-1000, 2000))


def test_a_frozen_part_is_told_by_the_content_of_its_file(tmp_path: Path) -> None:
    weights = tmp_path / "slices.pt"
    weights.write_bytes(b"weights")
    before = training_settings({"slices": weights})
    assert before == {"slices weights": sha256_of(weights)[:16]}
    weights.write_bytes(b"trained anew")
    assert training_settings({"slices": weights}) != before


def test_a_part_without_a_file_is_left_to_its_loading(tmp_path: Path) -> None:
    assert training_settings({"slices": tmp_path / "none.pt"}) == {"slices weights": None}


def saved(**settings: Any) -> dict[str, Any]:
    return training_state({}, 1, 1, settings)


def test_equal_settings_change_nothing() -> None:
    assert changes(saved(pixdim=[1.0, -1.0], seed=0), {"seed": 0, "pixdim": [1.0, -1.0]}, PATH) == []


def test_a_difference_names_the_id_and_both_values() -> None:
    assert changes(saved(batch_size=1, seed=0), {"batch_size": 2, "seed": 0}, PATH) == [
        "batch_size 1 where it now is 2"
    ]


@pytest.mark.parametrize(
    ("before", "now", "difference"),
    [
        ({}, {"perceptual_weight": 0.01}, "perceptual_weight absent where it now is 0.01"),
        ({"perceptual_weight": 0.01}, {}, "perceptual_weight 0.01 where it now is absent"),
    ],
)
def test_what_an_overlay_brings_or_takes_is_a_difference(
    before: dict[str, Any], now: dict[str, Any], difference: str
) -> None:
    assert changes(saved(**before), now, PATH) == [difference]


def of_an_earlier_version(**settings: Any) -> dict[str, Any]:
    """A state as it was written when a few settings were compared, under names of their own."""
    content = saved(**settings)
    del content["settings_complete"]
    return content


def test_an_earlier_version_is_accepted_with_a_word_on_what_it_does_not_tell(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING, logger="transmodal"):
        assert changes(of_an_earlier_version(seed=0, rate=0.1), {"seed": 0, "learning_rate": 0.1}, PATH) == []
    assert "resume.pt is of an earlier version and does not tell learning_rate: unchecked" in caplog.text


def test_what_an_earlier_version_tells_is_compared() -> None:
    differences = changes(of_an_earlier_version(seed=0, rate=0.1), {"seed": 1, "learning_rate": 0.1}, PATH)
    assert differences == ["seed 0 where it now is 1"]


def test_a_state_made_elsewhere_has_nothing_to_be_compared() -> None:
    assert changes(training_state({}, 1, 1), {"seed": 1}, PATH) == []
