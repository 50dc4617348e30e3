"""What the JSON promises: each broken promise is called by its name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.packaging.tiny import edit
from tests.tools.contract.asking import find, reason, write


def test_a_repeated_key_is_named(bundle: Path) -> None:
    write(bundle, "configs/train.json", '{"lr": 1, "lr": 2}')
    assert "found the key 'lr' 2 times in one object" in reason(bundle, "json format")


def test_unformatted_json_is_named(bundle: Path) -> None:
    write(bundle, "configs/evaluate.json", '{"a": 1}')
    assert reason(bundle, "json format") == "evaluate.json is not formatted; run tools/format_json.py evaluate.json"


@pytest.mark.parametrize(("name", "budget"), [("inference", 225), ("train", 431), ("evaluate", 150), ("train_vae", 80)])
def test_a_config_over_its_budget_is_refused(bundle: Path, name: str, budget: int) -> None:
    write(bundle, f"configs/{name}.json", "{\n" + "\n" * (budget - 1) + "}\n")
    assert reason(bundle, "line budgets") == f"{name}.json has {budget + 1} lines; wanted at most {budget}"


@pytest.mark.parametrize(
    ("expression", "complaint"),
    [
        ("$[x for x in @data]", "holds a lambda or a comprehension"),
        ("$lambda x: x", "holds a lambda or a comprehension"),
        ("$dict((x, 1) for x in @data)", "holds a lambda or a comprehension"),
        ("$@data +", "is no Python expression"),
        ("$" + " + ".join(["@data"] * 12), "has 94 characters; wanted at most 80"),
    ],
)
def test_an_expression_that_is_a_program_is_refused(bundle: Path, expression: str, complaint: str) -> None:
    edit(bundle, "inference", lambda config: config["dataset"].update(data=expression))
    assert f"inference.json: dataset#data {complaint}" in reason(bundle, "expressions")


def test_ids_out_of_order_are_named(bundle: Path) -> None:
    edit(bundle, "inference", lambda config: config.update(preprocessing=config.pop("preprocessing")))
    assert reason(bundle, "order of ids") == "inference.json: 'run' stands before 'preprocessing'"


def test_a_hyper_parameter_before_the_paths_is_named(bundle: Path) -> None:
    def push(config: dict[str, Any]) -> None:
        content = {"_desc_": config["_desc_"], "depth": 1, **config}
        config.clear()
        config.update(content)

    edit(bundle, "train", push)
    assert reason(bundle, "order of ids") == "train.json: 'depth' stands before 'ckpt_path'"


@pytest.mark.parametrize(("name", "key"), [("inference", "postprocessing"), ("train", "network"), ("train", "run")])
def test_a_missing_id_is_named(bundle: Path, name: str, key: str) -> None:
    edit(bundle, name, lambda config: config.pop(key))
    assert reason(bundle, "wanted ids") == f"{name}.json lacks {key}"


def test_a_handler_by_reference_is_refused(bundle: Path) -> None:
    edit(bundle, "train", lambda config: config["train"]["handlers"].append("@ema"))
    assert "train#handlers is not a list of objects" in reason(bundle, "wanted ids")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"amp": "$@device.type == 'cuda'"}, "amp takes @device apart"),
        ({"add": {"_target_": "Spacingd", "keys": "image", "pixdim": 1}}, "add#_target_ is Spacingd"),
        ({"add": {"_target_": "Flipd", "keys": ["image_2"]}}, "add#keys#0 is 'image_2'"),
        ({"add": {"_target_": "Flipd", "keys": "image_2"}}, "add#keys is 'image_2'"),
    ],
)
def test_what_consumers_trip_over_is_named(bundle: Path, change: dict[str, Any], complaint: str) -> None:
    edit(bundle, "inference", lambda config: config.update(change))
    assert complaint in reason(bundle, "consumers survive")


def test_own_code_in_imports_is_refused(bundle: Path) -> None:
    edit(bundle, "train", lambda config: config["imports"].append("$from tiny_bundle.data import find_records"))
    assert "train.json: imports#1 names" in reason(bundle, "code in imports")


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (lambda config: config["gains"].update(ct=0.6), "gains"),
        (lambda config: config["preprocessing"]["transforms"].pop(), "preprocessing"),
        (lambda config: config["network_def"].update(ct=1.0), "network_def"),
    ],
)
def test_what_training_and_inference_share_is_the_same_text(
    bundle: Path, change: Callable[[dict[str, Any]], Any], key: str
) -> None:
    edit(bundle, "train", change)
    assert reason(bundle, "same text") == f"'{key}' differs between inference.json and train.json"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"source": "mr"}, "repeats 'source' of inference.json"),
        ({"inferer": {"_target_": "SimpleInferer"}}, "defines 'inferer' anew"),
        ({"key_metric": "%configs/train.json#key_metric"}, "key_metric copies from a file"),
    ],
)
def test_an_overlay_states_only_differences(bundle: Path, change: dict[str, Any], complaint: str) -> None:
    edit(bundle, "evaluate", lambda config: config.update(change))
    assert f"evaluate.json{': ' if 'file' in complaint else ' '}{complaint}" in reason(bundle, "overlays")


@pytest.mark.parametrize("key", ["network_def", "preprocessing"])
def test_a_stage_trains_for_the_inference_there_is(bundle: Path, key: str) -> None:
    write(bundle, "configs/train_gain.json", f'{{"{key}": {{"_target_": "torch.nn.Identity"}}}}')
    assert reason(bundle, "overlays") == (
        f"train_gain.json defines '{key}' anew; every stage trains for the same inference"
    )


def test_a_null_that_the_base_does_not_have_is_no_repetition(bundle: Path) -> None:
    edit(bundle, "evaluate", lambda config: config.update(error_range=None))
    assert find(bundle, "overlays").status == "ok"


def test_a_reference_to_nothing_is_named(bundle: Path) -> None:
    edit(bundle, "evaluate", lambda config: config.update(extra="$@gains#pet + @no_such_id"))
    assert reason(bundle, "references") == "evaluate.json: @gains#pet is no id; evaluate.json: @no_such_id is no id"


def test_an_overlay_refers_to_its_base(bundle: Path) -> None:
    edit(bundle, "evaluate", lambda config: config.update(extra="$@gains#ct + @_meta_#version"))
    assert find(bundle, "references").status == "ok"


@pytest.mark.parametrize(
    ("component", "complaint"),
    [
        ({"_target_": "NoSuchTransformd"}, "NoSuchTransformd is nothing in MONAI"),
        ({"_target_": "transmodal.inferers.NoSuchInferer"}, "transmodal.inferers.NoSuchInferer does not exist"),
        ({"_target_": "scripts.networks.Net"}, "scripts.networks.Net; wanted MONAI's bare names"),
        ({"_target_": "syndiff_bundle.networks.Net"}, "syndiff_bundle.networks.Net; wanted MONAI's bare names"),
        ({"_target_": "transmodal.inferers.TargetInferer"}, "missing a required argument: 'target'"),
        ({"_target_": "EnsureChannelFirstd", "keys": "image", "depth": 2}, "unexpected keyword argument 'depth'"),
    ],
)
def test_a_target_that_cannot_be_made_is_named(bundle: Path, component: dict[str, Any], complaint: str) -> None:
    edit(bundle, "inference", lambda config: config.update(extra={"_target_": "torch.nn.Identity", "x": component}))
    said = reason(bundle, "targets")
    assert "inference.json: extra#x: " in said
    assert complaint in said


def test_a_function_handed_over_needs_no_arguments(bundle: Path) -> None:
    function = {"_target_": "tiny_bundle.data.find_records", "_mode_": "callable", "dataset_dir": "x"}
    edit(bundle, "inference", lambda config: config.update(extra=function))
    assert find(bundle, "targets").status == "ok"


@pytest.mark.parametrize(("argument", "status"), [("dtype", "ok"), ("depth", "FAIL")])
def test_what_is_merged_into_a_component_needs_only_arguments_that_it_takes(
    bundle: Path, argument: str, status: str
) -> None:
    part = {"_target_": "EnsureTyped", argument: None}  # the keys are given by the config below
    edit(bundle, "evaluate", lambda config: config.update({"+preprocessing#first": part}))
    assert find(bundle, "targets").status == status


@pytest.mark.parametrize(
    ("words", "status"), [("give it behind twice.json, to both", "ok"), ("give it to both", "FAIL")]
)
def test_an_overlay_behind_another_may_set_back_what_that_one_changes(bundle: Path, words: str, status: str) -> None:
    write(bundle, "configs/twice.json", '{"_desc_": "twice", "val_interval": 2}')
    write(bundle, "configs/again.json", f'{{"_desc_": "{words}", "val_interval": 1}}')
    assert find(bundle, "overlays").status == status
