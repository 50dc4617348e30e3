"""What a bundle's parts promise when they run, by MONAI's own verifiers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import torch

from contract import Finding
from contract.running import SCHEMA
from tests.packaging.tiny import PACKAGE, TEMPLATE, edit, give_weights, write_cases
from tests.tools.contract.asking import find, reason, write


def test_without_weights_only_what_needs_them_is_skipped_and_says_why(bundle: Path) -> None:
    assert find(bundle, "weights") == Finding(
        "weights", "skipped", ("models/model.pt is absent: train, import or download the weights first",)
    )
    assert find(bundle, "ckpt export").reasons == ("scriptable; with random weights, for lack of real ones",)


def broken_metadata() -> list[tuple[str, Callable[[dict[str, Any]], Any]]]:
    """Changes of good metadata; some break the schema and some do not."""
    tensor = ["network_data_format", "inputs", "image"]

    def at(path: list[str], change: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], Any]:
        def apply(metadata: dict[str, Any]) -> None:
            for key in path:
                metadata = metadata[key]
            change(metadata)

        return apply

    required = "schema version monai_version pytorch_version numpy_version required_packages_version task description"
    fields = [*required.split(), "authors", "copyright", "network_data_format", "changelog", "references", "name"]
    cases = [(f"without {field}", at([], lambda m, f=field: m.pop(f))) for field in fields]
    parts = ["type", "format", "num_channels", "spatial_shape", "dtype", "value_range", "channel_def", "modality"]
    cases += [(f"input without {part}", at(tensor, lambda t, p=part: t.pop(p))) for part in parts]
    for field in [*fields, "eval_metrics", "supported_apps", "intended_use", "anything"]:
        cases += [
            (f"{field} is {value!r}", at([], lambda m, f=field, v=value: m.update({f: v})))
            for value in ("text", 3, ["a"], [1], {})
        ]
    for part in [*parts, "is_patch_data"]:
        cases += [
            (f"input {part} is {value!r}", at(tensor, lambda t, p=part, v=value: t.update({p: v})))
            for value in ("text", 3, 1.5, True, ["a"], [1.5], [1, "2*n"], {})
        ]
    for value in ("text", 1, True, None, [1], {"inputs": {}}, {"inputs": {}, "outputs": {"pred": 1}}):
        cases += [(f"latent format is {value!r}", at([], lambda m, v=value: m.update(latent_data_format=v)))]
    cases += [
        (f"output is {value!r}", at(tensor[:1], lambda f, v=value: f.update(outputs={"pred": v})))
        for value in ("text", 1, 1.5, False, None, [], {"type": "image"})
    ]
    cases += [("post-processed outputs", at(tensor[:1], lambda f: f.update(post_processed_outputs={"pred": []})))]
    return cases


@pytest.mark.parametrize(("_", "change"), broken_metadata(), ids=lambda value: value if isinstance(value, str) else "")
def test_our_schema_and_the_published_one_agree(_: str, change: Callable[[dict[str, Any]], Any], shared: Path) -> None:
    metadata = json.loads((TEMPLATE / "configs" / "metadata.json").read_text())
    change(metadata)
    published, ours = shared / "schema" / "meta_schema_20240725.json", SCHEMA
    verdicts = [
        jsonschema.Draft201909Validator(json.loads(p.read_text())).is_valid(metadata) for p in (published, ours)
    ]
    assert verdicts[0] == verdicts[1]


def test_metadata_is_checked_against_the_file_given(bundle: Path, tmp_path: Path) -> None:
    write(tmp_path, "schema.json", '{"type": "object", "required": ["price"]}')
    assert (
        reason(bundle, "verify metadata", schema=tmp_path / "schema.json")
        == "ValidationError: 'price' is a required property"
    )


def test_metadata_is_checked_against_our_schema_without_a_network(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("contract.running._published", lambda url: None)
    assert find(bundle, "verify metadata").reasons == ("against metadata_schema.json",)
    edit(bundle, "metadata", lambda metadata: metadata.pop("task"))
    assert reason(bundle, "verify metadata") == "ValidationError: 'task' is a required property"


def test_a_network_that_does_not_fit_its_metadata_is_found(bundle: Path) -> None:
    def two_channels(metadata: dict[str, Any]) -> None:
        metadata["network_data_format"]["outputs"]["pred"]["num_channels"] = 2

    edit(bundle, "metadata", two_channels)
    assert "output channel number `1` doesn't match: `2`" in reason(bundle, "verify net in out")


def test_a_missing_property_is_found(bundle: Path, tmp_path: Path) -> None:
    data = write_cases(tmp_path / "data", "case_1")
    edit(bundle, "inference", lambda config: config["dataset"].update(transform="@no_preprocessing"))
    edit(bundle, "inference", lambda config: config.update(no_preprocessing=config["preprocessing"]))
    assert "property 'preprocessing' is missing or under another id" in reason(
        bundle, "properties of inference", data=data
    )


def test_a_part_written_out_where_monai_wants_a_reference_is_named(bundle: Path, tmp_path: Path) -> None:
    data = write_cases(tmp_path / "data", "case_1")
    edit(bundle, "evaluate", lambda config: config.update({"+evaluator": {"key_val_metric": config["key_metric"]}}))
    said = reason(bundle, "properties of evaluation", data=data)
    assert said == "evaluator#key_val_metric is written out; wanted '@key_metric'"


def start_from_a_part(bundle: Path, folder: str) -> None:
    """Let train.json load a part of the network, and take its images from what an earlier stage wrote."""

    def change(config: dict[str, Any]) -> None:
        gain = {"_target_": f"{PACKAGE}.networks.Gain", "start": 1.0}
        load = {"_target_": "transmodal.checkpoints.load_weights", "network": "@gain_def", "path": "@gain_path"}
        config.update({"gain_path": "absent.pt", "made_dir": folder, "gain_def": gain, "gain": load})
        config["data"] |= {"dataset_dir": "@made_dir", "_requires_": "@gain"}

    edit(bundle, "train", change)


def test_training_gets_what_earlier_stages_leave(bundle: Path, tmp_path: Path) -> None:
    data = write_cases(tmp_path / "data", "case_1")
    start_from_a_part(bundle, folder="absent")
    assert find(bundle, "properties of training", data=data).status == "ok"


def test_a_stage_is_checked_as_an_overlay_of_training(bundle: Path, tmp_path: Path) -> None:
    data = write_cases(tmp_path / "data", "case_1")
    write(bundle, "configs/train_gain.json", '{"train#dataset#transform": "@preprocessing"}')
    said = reason(bundle, "properties of training", data=data)
    assert said == "train_gain.json: property 'train_preprocessing' is missing or under another id"


def test_weights_that_fit_in_part_are_refused(bundle: Path) -> None:
    torch.save({"ct.value": torch.ones(1)}, give_weights(bundle))
    assert "found 1 missing (mr.value); wanted exactly the 2 tensors of the network" in reason(bundle, "weights")


def test_weights_inside_a_training_checkpoint_are_refused(bundle: Path) -> None:
    torch.save({"model": {"ct.value": torch.ones(1)}, "epoch": 3}, give_weights(bundle))
    assert "model, epoch: no tensor" in reason(bundle, "weights")


def test_a_network_that_cannot_be_scripted_is_skipped_with_the_reason(bundle: Path) -> None:
    path = bundle / PACKAGE / "networks.py"
    text = path.read_text().replace("return image * self.value", "return eval('image * self.value')")
    path.write_text(text)
    finding = find(bundle, "ckpt export")
    assert finding.status == "skipped"
    assert finding.reasons[0].startswith("network_def cannot be scripted: ")


def declare(bundle: Path, **entries: Any) -> None:
    edit(bundle, "metadata", lambda metadata: metadata["network_data_format"]["outputs"]["pred"].update(entries))


@pytest.mark.parametrize("bounds", [[0, 1], [-0.1, 0.1]])
def test_an_output_outside_the_declared_range_is_found(bundle: Path, bounds: list[float]) -> None:
    assert find(bundle, "declared outputs").status == "ok"
    declare(bundle, value_range=bounds)
    assert reason(bundle, "declared outputs").startswith(f"the output is declared within {bounds}, and lies in [-0.4")


def test_an_output_without_a_declared_range_may_be_anything(bundle: Path) -> None:
    declare(bundle, value_range=[])
    assert find(bundle, "declared outputs").status == "ok"


def test_probabilities_that_do_not_add_up_to_one_are_found(bundle: Path) -> None:
    declare(bundle, type="probabilities")
    assert "declared as probabilities" in reason(bundle, "declared outputs")
