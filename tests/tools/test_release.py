"""Command lines of the program release."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fire
import pytest
import torch

import release
from contract import Bundle
from releasing import training
from releasing.training import Run, Trained
from releasing.weights import released
from tests.packaging.tiny import NAME, edit
from tests.tools.releasing.house import ABOUT, tiny_house
from transmodal.files import sha256_of

Command = Callable[..., str]
PROGRAM = {name: getattr(release, name) for name in ("build", "check", "take", "train")}


@pytest.fixture
def house(tmp_path: Path) -> tuple[Bundle, Path]:
    return tiny_house(tmp_path)


@pytest.fixture
def run(commands_of: Callable[[Any], Command]) -> Command:
    """Run a command line; returns all it printed and checks the exit status, 0 unless said otherwise."""
    return commands_of(PROGRAM)


@pytest.fixture
def build(house: tuple[Bundle, Path], tmp_path: Path) -> str:
    return f"build {tmp_path / 'dist'} --bundles {house[0].root} --weights {house[1]}"


def test_a_release_is_built_and_found_whole(run: Command, build: str, tmp_path: Path) -> None:
    assert run(build).split()[0] == f"{NAME}_v0.1.0.zip"
    assert run(f"check {tmp_path / 'dist'}") == "whole: every file is as it was released\n"


def test_a_damaged_release_is_told_file_by_file(run: Command, build: str, tmp_path: Path) -> None:
    run(build)
    (tmp_path / "dist" / "index.html").unlink()
    (tmp_path / "dist" / f"{NAME}_v0.1.0.zip.sha256").write_text("")
    lines = run(f"check {tmp_path / 'dist'}", status=1).splitlines()
    assert [line.partition(" ")[0] for line in lines] == [f"{NAME}_v0.1.0.zip.sha256:", "index.html", "2"]


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("--apart yes", "--apart: found 'yes'; wanted True or False"),
        ("--bundles absent", "absent: found no folder with configs/"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(run: Command, build: str, more: str, told: str) -> None:
    text = run(f"{build} {more}", status=1)
    assert told in text
    assert "Traceback" not in text


def test_one_problem_is_told_as_one(run: Command, build: str, tmp_path: Path) -> None:
    run(build)
    (tmp_path / "dist" / "index.html").unlink()
    assert run(f"check {tmp_path / 'dist'}", status=1) == "index.html is gone\n1 problem\n"


def test_an_unknown_option_is_refused_before_anything_is_built_or_checked(
    run: Command, build: str, tmp_path: Path
) -> None:
    text = run(f"{build} --bundle all", status=1)
    assert text.startswith("--bundle: found an unknown flag; wanted a flag of --help")
    assert not (tmp_path / "dist").exists()
    text = run(f"check {tmp_path} --weight here", status=1)
    assert text.startswith("--weight: found an unknown flag")


def test_an_id_of_no_config_is_refused_before_anything_is_taken_or_trained(
    run: Command, house: tuple[Bundle, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "train", lambda *_: pytest.fail("it trains"))
    text = run(f"train {house[0].root} --data {tmp_path} --output {tmp_path / 'out'} --overlays a.json", status=1)
    assert "found --overlays; wanted options of --help, or ids of its configs" in text
    text = run(f"take {house[0].root} {house[1] / NAME / 'model.pt'} --overlays a.json --weights {house[1]}", status=1)
    assert "found --overlays; wanted options of the tool" in text


def test_weights_are_taken(run: Command, house: tuple[Bundle, Path], tmp_path: Path) -> None:
    torch.save({"ct.value": torch.tensor([3.0]), "mr.value": torch.tensor([4.0])}, tmp_path / "trained.pt")
    (tmp_path / "about.json").write_text(json.dumps({"limits": "none"}))
    (house[0].configs / "small.json").write_text('{"source": "ct"}')
    given = f"--about {tmp_path / 'about.json'} --overlay configs/small.json --gains '{{ct: 9.0, mr: 9.0}}'"
    text = run(f"take {house[0].root} {tmp_path / 'trained.pt'} --weights {house[1]} {given}")
    weights = released(house[1])[NAME]
    assert text.split() == [str(weights.file), sha256_of(tmp_path / "trained.pt")]
    assert (weights.overlays, weights.values) == (("configs/small.json",), {"gains": {"ct": 9.0, "mr": 9.0}})
    assert weights.record["limits"] == "none"


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("absent.pt", "absent.pt: found no such file"),
        ("{file} --about {about}", "found no JSON object"),
        ("{file} --about absent.json", "absent.json: found no such file"),
        ("{file} --evaluation mr_to_ct={about}", "found no summary of an evaluation"),
    ],
)
def test_what_cannot_be_taken_is_told(
    run: Command, house: tuple[Bundle, Path], tmp_path: Path, more: str, told: str
) -> None:
    (tmp_path / "about.json").write_text("[")
    given = more.format(file=house[1] / NAME / "model.pt", about=tmp_path / "about.json")
    assert told in run(f"take {house[0].root} {given} --weights {house[1]}", status=1)


def test_what_a_training_made_is_taken_with_its_commands(
    run: Command, house: tuple[Bundle, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[Run] = []

    def train(asked: Run, commit: str) -> Trained:
        ran.append(asked)
        asked.output.mkdir()
        torch.save({"ct.value": torch.tensor([3.0]), "mr.value": torch.tensor([4.0])}, asked.weights)
        summary = {
            "cases": ["p"],
            "methods": {"model": {"mae": {"mean": 2.5}}},
            "provenance": {"weights_sha256": sha256_of(asked.weights)},
        }
        (asked.output / "summary.json").write_text(json.dumps(summary))
        made = {"command": "trained so", "minutes": 1.5, "commit": commit}
        return Trained(made, {"command": "evaluated so", "commit": commit}, {"": asked.output})

    monkeypatch.setattr(training, "train", train)
    edit(house[0].root, "train", lambda content: content.update(max_epochs=1))
    about = {**ABOUT, "evaluation": {"data": "one phantom"}}
    (tmp_path / "about.json").write_text(json.dumps(about))
    given = f"--data {tmp_path} --output {tmp_path / 'out'} --about {tmp_path / 'about.json'} --commit 0123abc"
    run(f"train {house[0].root} {given} --weights {tmp_path / 'new'} --source ct --max_epochs 2")
    assert (ran[0].data, ran[0].ids) == (tmp_path, {"source": "ct", "max_epochs": 2})
    weights = released(tmp_path / "new")[NAME]
    assert weights.values == {"source": "ct"}
    assert weights.eval_metrics == {"model": {"mae": 2.5}}
    assert weights.record["training"] == {**ABOUT["training"], "command": "trained so", "minutes": 1.5}
    assert weights.record["evaluation"]["command"] == "evaluated so"
    assert weights.record["evaluation"]["data"] == "one phantom"


@pytest.mark.parametrize("name", PROGRAM)
def test_each_command_has_its_help(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        fire.Fire(PROGRAM, command=[name, "--help"])
    text = "".join(capfd.readouterr())
    assert "--weights" in text or name == "check"
    assert "SYNOPSIS" in text
