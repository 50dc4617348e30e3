"""The commands that make weights, with none of them really run, and what their record says of them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from contract import Bundle
from releasing import training
from releasing.training import Run, commit_of, evaluations, train
from transmodal.errors import InputError

Calls = list[list[str]]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """Arguments of the commands, which are not run."""
    ran: Calls = []

    def call(command: list[str], cwd: Path, env: dict[str, str]) -> int:
        ran.append(command[1:])
        return 0

    monkeypatch.setattr(training, "subprocess", SimpleNamespace(call=call))
    return ran


@pytest.fixture
def run(root: Path, tmp_path: Path) -> Callable[..., Run]:
    def make(name: str = "ct_mr_cyclegan_translation", **arguments: Any) -> Run:
        bundle = Bundle(root / "bundles" / name)
        given = {"overlays": ["configs/small.json"], "ids": {"pixdim": [3.0, 3.0, -1.0], "decay_epochs": 0}}
        return Run(bundle, tmp_path / "data", tmp_path / "out", **{**given, **arguments})

    return make


def value(command: list[str], flag: str) -> str:
    return command[command.index(flag) + 1]


def test_it_trains_and_evaluates_each_direction_on_the_cases_kept_for_it(
    run: Callable[..., Run], calls: Calls, tmp_path: Path
) -> None:
    made = train(run(), "0123abc")
    trained, *evaluated = calls
    assert value(trained, "--config_file") == "['configs/train.json','configs/small.json']"
    assert "--section" not in trained
    for command, source in zip(evaluated, ("mr", "ct"), strict=True):
        wanted = "['configs/inference.json','configs/evaluate.json','configs/small.json']"
        assert value(command, "--config_file") == wanted
        assert value(command, "--source") == source
        assert value(command, "--datalist") == str(tmp_path / "out" / "split.json")
        assert value(command, "--section") == "test"
    for command in calls:
        assert value(command, "--ckpt_path") == str(tmp_path / "out" / "model.pt")
        assert value(command, "--dataset_dir") == str(tmp_path / "data")
        assert value(command, "--pixdim") == "[3.0, 3.0, -1.0]"
    folders = {name: tmp_path / "out" / name for name in ("mr_to_ct", "ct_to_mr")}
    assert made.evaluations == folders
    assert [value(command, "--output_dir") for command in evaluated] == list(map(str, folders.values()))


def test_a_record_names_no_folder_of_this_machine(run: Callable[..., Run], calls: Calls, tmp_path: Path) -> None:
    made = train(run(), "0123abc")
    text = made.training["command"]
    assert text.startswith(
        """python -m monai.bundle run --config_file "['configs/train.json','configs/small.json']" """
    )
    assert "--dataset_dir DATASET_DIR --output_dir OUTPUT --ckpt_path MODEL" in text
    assert '--pixdim "[3.0, 3.0, -1.0]"' in text
    assert str(tmp_path) not in text + made.evaluation["command"]
    assert made.evaluation["command"].count("python -m monai.bundle run") == 2
    assert made.training["commit"] == made.evaluation["commit"] == "0123abc"
    assert made.training["minutes"] == 0.1


def test_a_datalist_takes_the_place_of_the_split(run: Callable[..., Run], calls: Calls, tmp_path: Path) -> None:
    train(run(datalist=tmp_path / "list.json"), "0123abc")
    assert {value(command, "--datalist") for command in calls} == {str(tmp_path / "list.json")}


def test_ids_of_the_training_alone_are_not_needed_by_the_weights(run: Callable[..., Run]) -> None:
    ids = {"pixdim": [3.0, 3.0, -1.0], "decay_epochs": 0, "intensity#ct#high": 1500}
    assert run(ids=ids).values == {"pixdim": [3.0, 3.0, -1.0], "intensity#ct#high": 1500}


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("ct_mr_syndiff_translation", {"mr_to_ct": {"source": "mr"}, "ct_to_mr": {"source": "ct"}}),
        ("ct_mr_body_segmentation", {"ct": {"source": "ct"}, "mr": {"source": "mr"}}),
        ("ct_mr_modality_classification", {"": {}}),
        ("brain_mri_mudiff_synthesis", {"": {}}),
        ("ct_mr_mddga_translation", {"": {}}),
    ],
)
def test_what_is_evaluated(root: Path, name: str, wanted: dict[str, Any]) -> None:
    assert evaluations(Bundle(root / "bundles" / name)) == wanted


def test_a_command_that_fails_ends_it(run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch, calls: Calls) -> None:
    monkeypatch.setattr(training.subprocess, "call", lambda *arguments, **options: 3)
    with pytest.raises(InputError, match="found exit status 3 of the command above"):
        train(run(), "0123abc")


def test_the_commit_is_that_of_the_checkout(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"found no commit that git can tell; .*\n.*--commit"):
        commit_of(tmp_path)
    author = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    for command in (["init", "-q"], [*author, "commit", "-q", "--allow-empty", "-m", "first"]):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
    head = subprocess.run(["git", "-C", str(tmp_path), "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    assert commit_of(tmp_path) == head.stdout[:12]
