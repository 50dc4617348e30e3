"""What metadata promises: each broken promise is called by its name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.packaging.tiny import edit
from tests.tools.contract.asking import find, reason, write


def test_an_unknown_schema_is_refused(bundle: Path) -> None:
    edit(bundle, "metadata", lambda metadata: metadata.update(schema="https://example.org/schema.json"))
    assert "schema 'https://example.org/schema.json'" in reason(bundle, "schema url")


@pytest.mark.parametrize("field", ["name", "changelog", "references"])
def test_a_field_that_the_model_zoo_wants_is_missed(bundle: Path, field: str) -> None:
    edit(bundle, "metadata", lambda metadata: metadata.pop(field))
    assert reason(bundle, "wanted fields") == f"'{field}' is absent or empty"


@pytest.mark.parametrize(
    ("version", "changelog", "complaint"),
    [
        ("0.10.0", {"0.10.0": "a"}, "three single digits"),
        ("0.2.0", {"0.1.0": "a"}, "'0.2.0' is not in the changelog"),
        ("0.1.0", {"0.1.0": "a", "0.2.0": "b"}, "the changelog has 0.2.0"),
    ],
)
def test_version_and_changelog_agree(bundle: Path, version: str, changelog: dict[str, str], complaint: str) -> None:
    edit(bundle, "metadata", lambda metadata: metadata.update(version=version, changelog=changelog))
    assert complaint in reason(bundle, "version")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"monai_version": "1.99.0"}, "monai 1.99.0 is newer than the installed"),
        ({"pytorch_version": "1.13.0"}, "torch 1.13.0; the core wants torch>=2.8"),
        ({"numpy_version": "new"}, "numpy 'new' is not a version"),
        ({"required_packages_version": {"no-such-thing": "1.0"}}, "no-such-thing is not installed"),
        ({"required_packages_version": {"transmodal": "0.1.0"}}, "'transmodal' is no published package"),
    ],
)
def test_versions_of_libraries_are_true(bundle: Path, change: dict[str, Any], complaint: str) -> None:
    edit(bundle, "metadata", lambda metadata: metadata.update(change))
    assert complaint in reason(bundle, "library versions")


def test_another_name_for_the_input_is_refused(bundle: Path) -> None:
    def rename(metadata: dict[str, Any]) -> None:
        inputs = metadata["network_data_format"]["inputs"]
        inputs["mr"] = inputs.pop("image")

    edit(bundle, "metadata", rename)
    assert reason(bundle, "inputs and outputs").startswith("inputs begin with 'mr'; wanted 'image'")
    assert reason(bundle, "forward parameters").startswith("inputs mr; the parameters of forward are image, target")


def test_a_size_that_monai_takes_for_one_is_refused(bundle: Path) -> None:
    def star(metadata: dict[str, Any]) -> None:
        metadata["network_data_format"]["inputs"]["image"]["spatial_shape"][1] = "*"

    edit(bundle, "metadata", star)
    assert "inputs.image: size '*'; wanted" in reason(bundle, "inputs and outputs")


def test_a_score_needs_a_record_with_its_command_data_and_commit(bundle: Path) -> None:
    edit(bundle, "metadata", lambda metadata: metadata.update(eval_metrics={"mae_hu": 64.5, "psnr": {"mean": 30.1}}))
    assert reason(bundle, "scores have a record").startswith("mae_hu, psnr.mean: no docs/*.json with command, data")
    record = {"data": "ten cases", "commit": "abc", "eval_metrics": {"mae_hu": 64.5, "psnr": {"mean": 30.1}}}
    write(bundle, "docs/evaluation.json", json.dumps(record))
    assert find(bundle, "scores have a record").status == "FAIL"
    write(bundle, "docs/evaluation.json", json.dumps({**record, "command": "python -m monai.bundle run"}))
    assert find(bundle, "scores have a record").status == "ok"
    named = {"command": "another", "data": "d", "commit": "c", "eval_metrics": {"mae_hu": {"worst_case": "case_1"}}}
    write(bundle, "docs/another.json", json.dumps(named))  # says other things, which may have words among its numbers
    assert find(bundle, "scores have a record").status == "ok"


@pytest.mark.parametrize("task", ["translation of MR", "Synthesis of CT", ""])
def test_a_task_in_other_words_than_the_folder_is_refused(bundle: Path, task: str) -> None:
    edit(bundle, "metadata", lambda metadata: metadata.update(task=task))
    assert reason(bundle, "task") == f"task '{task}'; wanted a phrase with a capital letter and the word translation"
