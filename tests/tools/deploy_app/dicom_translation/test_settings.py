"""The manifests of the application, and what is wrong with others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from dicom_translation.settings import Settings
from transmodal.errors import InputError

APP = Path(__file__).resolve().parents[4] / "tools" / "deploy_app"
MANIFESTS = {"app.yaml": ("mr", "ct"), "app_ct_to_mr.yaml": ("ct", "mr")}


@pytest.mark.parametrize("name", MANIFESTS)
def test_the_shipped_manifests_name_their_directions(name: str) -> None:
    settings = Settings.read(APP / name)
    assert (settings.source, settings.target) == MANIFESTS[name]
    assert settings.bundle is None
    assert settings.ids == {}


@pytest.mark.parametrize("name", MANIFESTS)
def test_the_rules_select_the_modality_that_is_translated(name: str) -> None:
    settings = Settings.read(APP / name)
    (selection,) = json.loads(settings.rules())["selections"]
    assert selection["conditions"]["Modality"] == f"^{settings.source.upper()}$"
    assert "!SYNTHETIC" in selection["conditions"]["ImageType"]


def test_the_manifests_differ_in_nothing_but_the_direction() -> None:
    there, back = (yaml.safe_load((APP / name).read_text(encoding="utf-8")) for name in MANIFESTS)
    for manifest in (there, back):
        for key in ("source", "target"):
            del manifest["translation"][key]
        del manifest["selection"]["Modality"], manifest["application"]["title"]
    assert there == back


def manifest(folder: Path, **changes: object) -> Path:
    """The shipped manifest with other sections."""
    content = yaml.safe_load((APP / "app.yaml").read_text(encoding="utf-8")) | changes
    path = folder / "changed.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def test_ids_and_the_name_of_the_bundle_are_read(tmp_path: Path) -> None:
    translation = {"source": "t1", "target": "ct", "bundle": "one", "ids": {"seed": 7}}
    settings = Settings.read(manifest(tmp_path, translation=translation))
    assert (settings.source, settings.bundle, settings.ids) == ("t1", "one", {"seed": 7})


@pytest.mark.parametrize(
    ("translation", "found"),
    [
        (None, "translation: None"),
        ({"source": "mr"}, "translation: target: None"),
        ({"source": "xray", "target": "ct"}, "translation: source: 'xray'"),
        ({"source": "mr", "target": "ct", "direction": "mr"}, "translation: direction: 'mr'"),
        ({"source": "mr", "target": "ct", "ids": "seed=7"}, "translation: ids: 'seed=7'"),
        ({"source": "mr", "target": "ct", "bundle": 3}, "translation: bundle: 3"),
    ],
)
def test_what_the_manifest_must_not_hold_is_named(tmp_path: Path, translation: object, found: str) -> None:
    with pytest.raises(InputError) as error:
        Settings.read(manifest(tmp_path, translation=translation))
    assert found in str(error.value)


def test_a_manifest_without_rules_would_take_any_series_and_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found selection: None"):
        Settings.read(manifest(tmp_path, selection=None))


def test_a_condition_that_is_no_regular_expression_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"selection: Modality: '\['.*wanted a regular expression"):
        Settings.read(manifest(tmp_path, selection={"Modality": "["}))


@pytest.mark.parametrize("text", ["a: [", "just words"])
def test_a_file_that_is_no_manifest_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "app.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="manifest"):
        Settings.read(tmp_path / "app.yaml")


def test_a_missing_manifest_is_told_with_the_variable_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="HOLOSCAN_CONFIG_PATH"):
        Settings.read(tmp_path / "gone.yaml")
