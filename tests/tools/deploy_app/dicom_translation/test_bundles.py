"""Which bundle of the models is run, and what is laid over its config."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dicom_translation.bundles import bundle_in
from dicom_translation.settings import Settings
from tests.packaging.tiny import NAME, edit, give_weights, tiny_bundle
from transmodal.errors import InputError
from transmodal.files import sha256_of

DIRECTIONS = [["mr", "ct"], ["ct", "mr"]]


def settings(source: str = "mr", target: str = "ct", **ids: object) -> Settings:
    return Settings("a title", "1.0.0", source, target, {"Modality": "MR"}, None, ids)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A folder with one bundle of two directions."""
    bundle = tiny_bundle(tmp_path / "models")
    edit(bundle, "metadata", lambda metadata: metadata.update(translation={"directions": DIRECTIONS}))
    give_weights(bundle)
    return tmp_path / "models"


def test_the_only_bundle_of_a_folder_is_taken(models: Path) -> None:
    assert bundle_in(models).root == models / NAME


def test_the_folder_of_a_bundle_is_taken_itself(models: Path) -> None:
    assert bundle_in(models / NAME).root == models / NAME


def test_one_of_several_must_be_named(models: Path) -> None:
    give_weights(tiny_bundle(models, name="ct_mr_other_translation", package="other_bundle"))
    assert bundle_in(models, NAME).name == NAME
    with pytest.raises(InputError, match=rf"found 2 bundles \(ct_mr_other_translation, {NAME}\)"):
        bundle_in(models)


def test_a_name_that_is_not_there_is_refused(models: Path) -> None:
    with pytest.raises(InputError, match="wanted the unpacked bundle another"):
        bundle_in(models, "another")


def test_a_folder_without_bundles_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found no bundle"):
        bundle_in(tmp_path)


def test_a_bundle_without_weights_is_refused(tmp_path: Path) -> None:
    tiny_bundle(tmp_path)
    with pytest.raises(InputError, match=r"tools/pack\.py --weights"):
        bundle_in(tmp_path)


def test_a_torchscript_file_that_would_run_in_place_of_the_weights_is_refused(models: Path) -> None:
    (models / NAME / "models" / "model.ts").touch()
    with pytest.raises(InputError, match="TorchScript"):
        bundle_in(models)


def test_the_direction_is_laid_over_the_config(models: Path) -> None:
    bundle = bundle_in(models)
    ids = bundle.ids(settings("ct", "mr"))
    assert (ids["source"], ids["target"], ids["bundle_root"]) == ("ct", "mr", str(bundle.root))


def test_ids_of_the_manifest_are_laid_over_the_config(models: Path) -> None:
    assert bundle_in(models).ids(settings(device="cpu"))["device"] == "cpu"


def test_an_id_that_the_config_does_not_have_is_refused(models: Path) -> None:
    with pytest.raises(InputError, match="found no id sead"):
        bundle_in(models).ids(settings(sead=7))


GIVEN = ("source", "target", "bundle_root", "ckpt_path", "dataset_dir", "output_dir", "imports", "body_from", "run")
MADE = ("network_def", "preprocessing", "evaluator")


@pytest.mark.parametrize("key", [*GIVEN, *MADE, "network", "network_def#channels"])
def test_an_id_that_the_application_or_the_bundle_sets_is_refused(models: Path, key: str) -> None:
    made = {each: {"_target_": "Compose"} for each in MADE}
    given = dict.fromkeys(GIVEN, "given")
    edit(models / NAME, "inference", lambda config: config.update({**made, **given, "network": "@network_def"}))
    with pytest.raises(InputError, match=rf"{key} in the manifest, which .* sets"):
        bundle_in(models).ids(replace(settings(), ids={key: "ct"}))


def test_the_remedy_names_plain_settings_alone(models: Path) -> None:
    edit(models / NAME, "inference", lambda config: config.update(seed=0, sampler={"_target_": "x"}, same="@seed"))
    with pytest.raises(InputError) as error:
        bundle_in(models).ids(settings(sead=7))
    offered = error.value.remedy.removeprefix("take one of ").split(", ")
    assert {"seed", "device"} <= {*offered}
    assert not {*offered} & {"sampler", "same", "bundle_root", "ckpt_path", "imports", "network", "run", "source"}


def test_a_device_that_is_not_there_is_refused(models: Path) -> None:
    with pytest.raises(InputError, match="translation: ids: device: cuda:99: found"):
        bundle_in(models).ids(settings(device="cuda:99"))


def test_a_direction_that_the_bundle_does_not_translate_is_refused(models: Path) -> None:
    with pytest.raises(InputError, match="found no translation of t1 to ct; wanted mr to ct, ct to mr"):
        bundle_in(models).ids(settings("t1", "ct"))


def test_the_domains_of_a_config_are_translated_into_each_other(models: Path) -> None:
    edit(models / NAME, "inference", lambda config: config.update(domains=["ct", "t1", "t2"]))
    bundle = bundle_in(models)
    assert bundle.ids(settings("t1", "t2"))["target"] == "t2"
    with pytest.raises(InputError, match="found no translation of t1 to t1"):
        bundle.ids(settings("t1", "t1"))


def test_a_config_that_is_no_json_is_named(models: Path) -> None:
    (models / NAME / "configs" / "metadata.json").write_text("{", encoding="utf-8")
    with pytest.raises(InputError, match=r"metadata\.json: found no JSON"):
        bundle_in(models).ids(settings())


def test_bundle_and_weights_are_told(models: Path) -> None:
    bundle = bundle_in(models)
    assert bundle.told() == {
        "bundle": f"{NAME} {bundle.metadata['version']}",
        "weights_sha256": sha256_of(bundle.weights),
    }
