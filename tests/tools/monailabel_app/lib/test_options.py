"""What a client may choose, read off the bundles themselves, and what becomes of a request."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from monailabel_app.lib.options import Options
from transmodal.errors import InputError

ROOT = Path(__file__).resolve().parents[4]


def options_of(name: str, **ids: Any) -> Options:
    """Of a bundle of this checkout, with ids over its config."""
    configs = ROOT / "bundles" / name / "configs"
    config, metadata = (json.loads((configs / f"{file}.json").read_text()) for file in ("inference", "metadata"))
    return Options.of({**config, **ids}, metadata)


@pytest.mark.parametrize(
    ("bundle", "shown"),
    [
        ("ct_mr_cyclegan_translation", {"direction": ["mr to ct", "ct to mr"]}),
        ("ct_mr_stargan_translation", {"direction": ["mr to ct", "ct to mr"]}),
        (
            "ct_mr_syndiff_translation",
            {
                "direction": ["mr to ct", "ct to mr"],
                "seed": 0,
                "num_samples": 1,
                "result": ["translation", "uncertainty"],
            },
        ),
        (
            "ct_mr_mddga_translation",
            {"seed": 0, "num_samples": 1, "num_steps": 25, "result": ["translation", "uncertainty"]},
        ),
        (
            "chest_xray_ctpa_translation",
            {"seed": 0, "num_samples": 1, "num_steps": 50, "result": ["translation", "uncertainty"]},
        ),
        ("brain_mri_mudiff_synthesis", {"seed": 0, "num_samples": 1, "result": ["translation", "uncertainty"]}),
        ("ct_mr_body_segmentation", {"direction": ["mr to mask", "ct to mask"]}),
        ("ct_mr_modality_classification", {}),
        ("chest_ctpa_embolism_classification", {}),
    ],
)
def test_each_bundle_shows_what_it_has(bundle: str, shown: dict[str, Any]) -> None:
    assert options_of(bundle).displayed() == shown


def test_the_default_direction_is_the_bundles_own() -> None:
    options = options_of("ct_mr_cyclegan_translation", source="ct")
    assert options.displayed()["direction"] == ["ct to mr", "mr to ct"]
    assert options.ids({}) == {"source": "ct", "target": "mr"}


def test_directions_between_more_than_two_domains_are_all_pairs() -> None:
    directions = options_of("ct_mr_stargan_translation", domains=["ct", "t1", "t2"], source="t1").displayed()
    assert directions["direction"][:2] == ["t1 to ct", "t1 to t2"]
    assert len(directions["direction"]) == 6


def test_directions_of_other_contrasts_are_theirs() -> None:
    options = options_of("ct_mr_syndiff_translation", contrasts=["t1", "t2"], source="t1")
    assert options.displayed()["direction"] == ["t1 to t2", "t2 to t1"]


def test_a_request_sets_what_it_names_and_leaves_the_rest_at_its_default() -> None:
    ids = options_of("ct_mr_syndiff_translation").ids({"direction": "ct to mr", "num_samples": 4, "image": "case"})
    assert ids == {"source": "ct", "target": "mr", "seed": 0, "num_samples": 4}


def test_the_list_of_choices_as_it_is_shown_means_the_default() -> None:
    """MONAI Label lays a request over what is shown."""
    options = options_of("ct_mr_syndiff_translation")
    assert options.ids(options.displayed()) == options.ids({})
    assert not options.wants_uncertainty(options.displayed())


@pytest.mark.parametrize(("given", "taken"), [("7", 7), (" 3 ", 3), (12, 12)])
def test_numbers_may_come_as_text(given: Any, taken: int) -> None:
    assert options_of("ct_mr_syndiff_translation").ids({"seed": given})["seed"] == taken


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({"direction": "mr to pet"}, "wanted mr to ct or ct to mr"),
        ({"direction": ["ct to mr"]}, "wanted mr to ct or ct to mr"),
        ({"seed": -1}, "a whole number from 0"),
        ({"seed": 1.5}, "found 1.5"),
        ({"seed": True}, "found True"),
        ({"seed": "$__import__('os')"}, "a whole number"),
        ({"num_samples": 0}, "a whole number from 1 to 100"),
        ({"num_samples": 101}, "a whole number from 1 to 100"),
    ],
)
def test_other_values_are_refused(request_: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said.replace("$", r"\$")):
        options_of("ct_mr_syndiff_translation").ids(request_)


def test_there_are_no_more_steps_than_the_process_has() -> None:
    with pytest.raises(InputError, match="from 1 to 1000"):
        options_of("ct_mr_mddga_translation").ids({"num_steps": 1001})
    assert options_of("ct_mr_mddga_translation").ids({"num_steps": 1000})["num_steps"] == 1000


def test_the_uncertainty_is_that_of_several_samples() -> None:
    options = options_of("ct_mr_syndiff_translation")
    assert options.wants_uncertainty({"result": "uncertainty", "num_samples": 2})
    assert not options.wants_uncertainty({"result": "translation"})
    with pytest.raises(InputError, match="uncertainty of one sample"):
        options.wants_uncertainty({"result": "uncertainty"})


def test_a_bundle_without_samples_has_no_uncertainty() -> None:
    with pytest.raises(InputError, match="wanted translation"):
        options_of("ct_mr_cyclegan_translation").wants_uncertainty({"result": "uncertainty"})
