"""Metadata of one direction, out of the config that fixes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from contract import Bundle
from releasing.direction import between, direction_of, made_by, of_weights, on_card, problems_of, told, true_of

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


THREE = {
    "domains": ["ct", "t1", "dwi"],
    "source": "t1",
    "unit": {"_target_": "transmodal.transforms.IntensityWindow", "low": 0, "high": 1},
    "intensity": {
        "ct": {"_target_": "transmodal.transforms.HounsfieldWindow", "low": -1000, "high": "$@top"},
        "t1": "@unit",
        "dwi": {"_target_": "transmodal.transforms.RobustPercentiles", "lower": 1, "upper": 99, "scale": 50},
    },
}


@pytest.fixture
def of_two_domains(root: Path) -> dict[str, Any]:
    return Bundle(root / "bundles" / "ct_mr_stargan_translation").metadata


def test_between_domains_every_pair_is_a_direction_that_of_the_default_first(of_two_domains: dict[str, Any]) -> None:
    content = true_of(of_two_domains, THREE)
    assert content["translation"]["directions"] == [
        *(["t1", "ct"], ["t1", "dwi"]),
        *(["ct", "t1"], ["ct", "dwi"], ["dwi", "ct"], ["dwi", "t1"]),
    ]
    assert content["image_classes"] == "CT, T1 or DWI, one channel"
    scales = {"t1": "values 0 to 1", "dwi": "percentiles 1 to 99 inside the body, written as 0 to 50"}
    assert content["translation"]["intensity"].items() >= scales.items()
    assert list(problems_of(content, THREE)) == []
    assert len(list(problems_of(of_two_domains, THREE))) == 1


def test_domains_that_the_metadata_have_stay(of_two_domains: dict[str, Any]) -> None:
    config = {"domains": ["ct", "mr"], "source": "mr", "target": "$'ct'"}
    assert true_of(of_two_domains, config) == of_two_domains
    assert list(problems_of(of_two_domains, config)) == []


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"domains": ["ct", "mr"]}, "These weights translate between CT and MR, and nothing else."),
        ({"contrasts": ["t1", "t2"]}, "These weights translate between T1 and T2, and nothing else."),
        ({"target": "dwi", "sources": ["t1", "t2"]}, "These weights make DWI of T1 and T2, and nothing else."),
        ({"domains": "@others", "source": "mr", "target": "ct"}, ""),
    ],
)
def test_what_weights_make_is_one_sentence(config: dict[str, Any], sentence: str) -> None:
    assert made_by(config) == sentence
    assert bool(between(config)) == ("between" in sentence)


def test_description_and_card_tell_it_once(metadata: dict[str, Any]) -> None:
    config = {"target": "flair", "orders": ORDERS, "sources": NAMED}
    content, card = of_weights(metadata, config), on_card("# Title\n\nText\n", config)
    assert content["description"] == f"{metadata['description']} {made_by(config)}"
    assert card.splitlines()[0] == "# Title"
    assert card.splitlines()[2].startswith(f"**{made_by(config)}**")
    assert card.splitlines()[-1] == "Text"
    assert of_weights(content, config) == content
    assert on_card(card, config) == card


def test_nothing_is_told_where_the_config_fixes_nothing(metadata: dict[str, Any]) -> None:
    config = {"source": "mr", "target": "ct"}
    assert of_weights(metadata, config) == metadata
    assert on_card("# Title\n", config) == "# Title\n"
