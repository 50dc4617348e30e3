"""What a resumed training must have in common with the one that wrote its state."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from monai.bundle import ConfigParser


def config(root: Path, **values: Any) -> ConfigParser:
    parser = ConfigParser()
    parser.read_config(str(root / "bundles/ct_mr_syndiff_translation/configs/train.json"))
    for name, value in values.items():
        parser[name] = value
    return parser


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("l1_weight", 1.0),
        ("cycle_weight", 1.0),
        ("r1_gamma", 2.0),
        ("r1_interval", 5),
        ("ema_decay", 0.9),
        ("batch_size", 2),
        ("generator_rate", 0.1),
        ("channels", 8),
    ],
)
def test_what_shapes_the_training_is_compared_before_it_resumes(root: Path, name: str, other: float) -> None:
    before, now = (each.get_parsed_content("settings") for each in (config(root), config(root, **{name: other})))
    assert [key for key in before if before[key] != now[key]] == [name]


def test_more_epochs_may_follow(root: Path) -> None:
    before, now = (each.get_parsed_content("settings") for each in (config(root), config(root, max_epochs=900)))
    assert before == now
