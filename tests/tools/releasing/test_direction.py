"""Metadata of one direction, out of the config that fixes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from contract import Bundle
from releasing.direction import direction_of, problems_of, told

ORDERS = {"t1ce": ["flair", "t2", "t1"], "flair": ["t1ce", "t1", "t2"]}
NAMED = {"_target_": "mudiff_bundle.task.sources_for", "target": "@target", "orders": "@orders"}


@pytest.fixture
def metadata(root: Path) -> dict[str, Any]:
    """Of a network of three inputs."""
    return Bundle(root / "bundles" / "brain_mri_mudiff_synthesis").metadata


@pytest.mark.parametrize(
    ("config", "direction"),
    [
        ({"target": "flair", "orders": ORDERS, "sources": NAMED}, ["t1ce", "t1", "t2", "flair"]),
        ({"target": "dwi", "sources": ["t1", "t2"]}, ["t1", "t2", "dwi"]),
        ({"target": "dwi", "orders": ORDERS, "sources": NAMED}, None),
        ({"target": "ct", "source": "mr"}, None),
        ({"target": "$f()", "sources": "$g()"}, None),
    ],
)
def test_the_direction_is_that_of_the_config(config: dict[str, Any], direction: list[str] | None) -> None:
    assert direction_of(config) == direction


def test_all_that_depends_on_the_direction_is_told_of_it(metadata: dict[str, Any]) -> None:
    content = told(metadata, ["t1ce", "t1", "t2", "flair"])
    data = content["network_data_format"]
    assert data["inputs"]["image"]["channel_def"] == {"0": "T1 with contrast agent", "1": "T1", "2": "T2"}
    assert data["outputs"]["pred"]["channel_def"] == {"0": "FLAIR"}
    assert content["translation"]["directions"] == [["t1ce", "t1", "t2", "flair"]]
    assert content["translation"]["method"] == "MU-Diff"
    titles = "T1 with contrast agent, T1, T2"
    assert content["image_classes"] == f"three co-registered images as channels, in this order: {titles}"
    assert content["label_classes"] == "FLAIR; needed for training and evaluation"


def test_another_number_of_sources_is_that_of_the_channels(metadata: dict[str, Any]) -> None:
    entry = told(metadata, ["t1", "t2", "dwi"])["network_data_format"]["inputs"]["image"]
    assert (entry["num_channels"], entry["channel_def"]) == (2, {"0": "T1", "1": "T2"})


def test_metadata_that_have_the_direction_and_those_of_any_direction_stay(metadata: dict[str, Any]) -> None:
    assert told(metadata, ["flair", "t2", "t1", "t1ce"]) == metadata
    assert told(metadata, None) == metadata


def test_each_part_that_tells_another_direction_is_a_problem(metadata: dict[str, Any]) -> None:
    config = {"target": "flair", "orders": ORDERS, "sources": NAMED}
    assert [problem.partition(":")[0] for problem in problems_of(metadata, config)] == [
        "translation.directions",
        "network_data_format.inputs.image.channel_def",
        "network_data_format.outputs.pred.channel_def",
    ]
    assert list(problems_of(told(metadata, direction_of(config)), config)) == []
    assert list(problems_of(metadata, {**config, "target": "t1ce"})) == []


def test_a_default_that_is_no_direction_is_a_problem() -> None:
    listed = {"translation": {"directions": [["mr", "ct"]]}}
    assert list(problems_of(listed, {"source": "mr", "target": "ct"})) == []
    assert len(list(problems_of(listed, {"source": "ct", "target": "mr"}))) == 1
    assert list(problems_of(listed, {"source": "ct", "target": "$'mr'"})) == []
    assert list(problems_of({}, {"source": "ct", "target": "mr"})) == []
