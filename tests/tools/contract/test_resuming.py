"""What a training compares before it resumes: a value left out is called by its name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.packaging.tiny import edit
from tests.tools.contract.asking import find, reason, write

SETTINGS = {"_target_": "transmodal.handlers.training_settings", "data": {"source": "@source", "target": "@target"}}


@pytest.fixture
def resuming(bundle: Path) -> Path:
    """The throw-away bundle with settings that are complete."""
    edit(bundle, "train", lambda config: config.update(settings=SETTINGS))
    return bundle


def test_complete_settings_pass(resuming: Path) -> None:
    assert find(resuming, "resumed settings").status == "ok"


def test_a_training_that_does_not_resume_needs_none(bundle: Path) -> None:
    assert find(bundle, "resumed settings").status == "ok"


def test_a_training_that_resumes_without_settings_is_refused(bundle: Path) -> None:
    handler = {"_target_": "transmodal.handlers.Resume", "path": "resume.pt", "state": {}}
    edit(bundle, "train", lambda config: config["train"]["handlers"].append(handler))
    assert reason(bundle, "resumed settings") == "train.json: resumes, and has no 'settings' to be compared"


@pytest.mark.parametrize("value", [1, 0.5, True, "mean", None, [1, 2], "$@source + '_1'"])
def test_a_value_that_is_not_compared_is_named(resuming: Path, value: Any) -> None:
    edit(resuming, "train", lambda config: _before_parts(config, weight=value))
    assert reason(resuming, "resumed settings").startswith("train.json: 'weight' is not among the settings")


@pytest.mark.parametrize("key", ["max_epochs", "val_interval", "num_workers", "rank", "datalist", "ct_path", "out_dir"])
def test_what_may_change_is_not_asked_for(resuming: Path, key: str) -> None:
    edit(resuming, "train", lambda config: _before_parts(config, **{key: 1}))
    assert find(resuming, "resumed settings").status == "ok"


def test_a_setting_has_the_name_of_its_id(resuming: Path) -> None:
    edit(resuming, "train", lambda config: config["settings"]["data"].update(rate="@learning_rate"))
    assert "setting 'rate' is @learning_rate; wanted the id of that name, '@rate'" in reason(
        resuming, "resumed settings"
    )


@pytest.mark.parametrize("name", ["train_gain", "heavy"])
def test_an_overlay_of_the_training_compares_what_it_brings(resuming: Path, name: str) -> None:
    write(resuming, f"configs/{name}.json", '{"gain": 2, "train#trainer#max_epochs": 2}')
    assert reason(resuming, "resumed settings").startswith(f"{name}.json: 'gain' is not among the settings")
    write(
        resuming,
        f"configs/{name}.json",
        '{"gain": 2, "settings#own": {"gain": "@gain"}, "train#trainer#max_epochs": 2}',
    )
    assert find(resuming, "resumed settings").status == "ok"


def test_an_overlay_of_inference_too_cannot_have_settings(resuming: Path) -> None:
    write(resuming, "configs/wide.json", '{"width": 2}')
    assert find(resuming, "resumed settings").status == "ok"


def _before_parts(config: dict[str, Any], **ids: Any) -> None:
    """Put ids before those of the network, where hyper-parameters stand."""
    content = dict(config)
    config.clear()
    for key, value in content.items():
        if key == "network_def":
            config.update(ids)
        config[key] = value
