"""The quickstart: its options, and the three commands it prints and runs, with none of them really run."""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import quickstart
from releasing.weights import Released, released
from tests.tools.releasing.house import record_of
from tests.tools.translating.scans import mr_values, write_volume

Commands = list[list[str]]


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Set the command line."""
    return lambda *arguments: monkeypatch.setattr(sys, "argv", ["quickstart.py", *arguments])


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    """Arguments of the commands, which are not run; the last of them would leave the table of results."""
    ran: Commands = []

    def call(command: list[str], cwd: Path, **options: Any) -> int:
        assert cwd == quickstart.BUNDLE
        ran.append(command[1:])
        (tmp_path / "out").mkdir(exist_ok=True)
        (tmp_path / "out/metrics.csv").write_text("case,method,mae\np1,CycleGAN,12.34567\np1,identity,\n")
        return 0

    monkeypatch.setattr(quickstart, "subprocess", SimpleNamespace(call=call))
    monkeypatch.setattr(quickstart.environment, "enter", lambda: None)
    return ran


def value(command: list[str], flag: str) -> str:
    return command[command.index(flag) + 1]


def test_without_options_phantoms_are_translated_from_mr(given: Callable[..., None]) -> None:
    given()
    options, more = quickstart._options()
    assert (options.data, options.source, options.train, options.epochs) == (None, "mr", False, None)
    assert (options.output, more) == ("quickstart", [])


def test_unknown_options_are_kept_for_the_commands(given: Callable[..., None]) -> None:
    given("--epochs", "2", "--pixdim", "[1,1,-1]")
    options, more = quickstart._options()
    assert options.epochs == 2
    assert more == ["--pixdim", "[1,1,-1]"]


def test_a_source_that_cannot_be_translated_is_refused(
    given: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    given("--source", "pet")
    with pytest.raises(SystemExit):
        quickstart._options()
    assert "invalid choice: 'pet'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argument", "typed"),
    [
        ("--source", "--source"),
        ("/data/a-b_1.json", "/data/a-b_1.json"),
        ("[1,1,-1]", '"[1,1,-1]"'),
        ("my scans", '"my scans"'),
        ("", '""'),
        (quickstart.TRAIN, f'"{quickstart.TRAIN}"'),
    ],
)
def test_arguments_are_printed_as_they_are_typed(argument: str, typed: str) -> None:
    assert quickstart._quoted(argument) == typed


def test_it_trains_translates_and_evaluates_in_this_order(
    given: Callable[..., None], commands: Commands, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given("--data", str(tmp_path), "--output", str(tmp_path / "out"), "--train", "--epochs", "5", "--amp", "False")
    assert quickstart.main() == 0
    files = [value(command, "--config_file") for command in commands]
    assert files == [quickstart.TRAIN, quickstart.INFER, quickstart.EVALUATE]
    for command in commands:
        assert command[:3] == ["-m", "monai.bundle", "run"]
        assert value(command, "--dataset_dir") == str(tmp_path)
        assert value(command, "--ckpt_path") == str(tmp_path / "out/model.pt")
        assert value(command, "--amp") == "False"
    train, *others = commands
    assert (value(train, "--constant_epochs"), value(train, "--decay_epochs")) == ("3", "2")
    assert "--section" not in train
    assert [value(command, "--datalist") for command in others] == [str(tmp_path / "out/split.json")] * 2
    assert [value(command, "--section") for command in others] == ["test"] * 2
    printed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("$ ")]
    quoted = [" ".join(map(quickstart._quoted, command)) for command in commands]
    assert printed == [f"$ cd bundles/{quickstart.BUNDLE.name} && python {line}" for line in quoted]


def test_the_configs_it_names_are_there() -> None:
    for files in (quickstart.TRAIN, quickstart.INFER, quickstart.EVALUATE):
        assert [name for name in ast.literal_eval(files) if not (quickstart.BUNDLE / name).is_file()] == []


Made = list[tuple[Path, int, int]]


@pytest.fixture
def phantoms(monkeypatch: pytest.MonkeyPatch) -> Made:
    """Folder, number and seed of the phantoms; in their place one pair is made."""
    made: Made = []

    def make(data: Path, size: int, seed: int) -> None:
        made.append((data, size, seed))
        for modality in ("ct", "mr"):
            write_volume(data / "phantom_000" / f"{modality}.nii.gz", mr_values())

    monkeypatch.setattr(quickstart, "_make_phantoms", make)
    return made


@pytest.fixture
def weights(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Released:
    """Weights that come with the project, whoever's they are."""
    folder = tmp_path / "weights" / quickstart.BUNDLE.name
    folder.mkdir(parents=True)
    (folder / "model.pt").write_bytes(b"weights")
    needs = {"overlays": ["configs/small.json"], "values": {"pixdim": [3.0, 3.0, -1.0]}}
    (folder / "weights.json").write_text(json.dumps({**record_of(folder / "model.pt", folder.name), **needs}))
    monkeypatch.setattr(quickstart.environment, "ROOT", tmp_path)
    monkeypatch.setattr(quickstart, "BUNDLE", tmp_path / "bundles" / folder.name)
    return released(folder.parent)[folder.name]


def test_weights_that_come_with_the_project_are_used_without_training(
    given: Callable[..., None], commands: Commands, phantoms: Made, weights: Released, tmp_path: Path
) -> None:
    given("--output", str(tmp_path / "out"), "--source", "ct")
    quickstart.main()
    infer, evaluate = commands
    assert value(infer, "--config_file") == "['configs/inference.json','configs/small.json']"
    assert value(evaluate, "--config_file") == "['configs/inference.json','configs/evaluate.json','configs/small.json']"
    for command in commands:
        assert value(command, "--ckpt_path") == str(weights.file)
        assert value(command, "--pixdim") == "[3.0, 3.0, -1.0]"
        assert value(command, "--source") == "ct"
        assert value(command, "--dataset_dir") == str(tmp_path / "out" / "phantoms")
        assert "--datalist" not in command
    assert phantoms == [(tmp_path / "out" / "phantoms", 3, quickstart.UNSEEN)]


def test_what_is_typed_goes_over_what_the_weights_need(
    given: Callable[..., None], commands: Commands, phantoms: Made, weights: Released, tmp_path: Path
) -> None:
    given("--output", str(tmp_path / "out"), "--pixdim", "[2,2,-1]")
    quickstart.main()
    for command in commands:
        assert command[-2:] == ["--pixdim", "[2,2,-1]"]


@pytest.mark.parametrize("asked", [("--train",), ("--epochs", "2")])
def test_training_is_asked_for(
    given: Callable[..., None], commands: Commands, phantoms: Made, weights: Released, tmp_path: Path, asked: list[str]
) -> None:
    given("--output", str(tmp_path / "out"), *asked)
    quickstart.main()
    assert value(commands[0], "--config_file") == quickstart.TRAIN
    assert value(commands[0], "--ckpt_path") == str(tmp_path / "out" / "model.pt")
    assert phantoms == [(tmp_path / "out" / "phantoms", 10, 0)]


def test_without_such_weights_it_trains(
    given: Callable[..., None], commands: Commands, phantoms: Made, weights: Released, tmp_path: Path
) -> None:
    (weights.folder / "weights.json").unlink()
    given("--output", str(tmp_path / "out"))
    quickstart.main()
    assert len(commands) == 3


@pytest.mark.parametrize(("modalities", "runs"), [(("ct", "mr"), 2), (("mr",), 1)])
def test_data_without_pairs_are_translated_and_not_evaluated(
    given: Callable[..., None],
    commands: Commands,
    weights: Released,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    modalities: tuple[str, ...],
    runs: int,
) -> None:
    for modality in modalities:
        write_volume(tmp_path / "data" / "p1" / f"{modality}.nii.gz", mr_values())
    given("--data", str(tmp_path / "data"), "--output", str(tmp_path / "out"))
    quickstart.main()
    assert len(commands) == runs
    assert ("metrics.csv" in capsys.readouterr().out) == (runs == 2)


def test_without_data_phantoms_are_said_to_be_none_of_patients(
    given: Callable[..., None],
    commands: Commands,
    phantoms: Made,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given("--output", str(tmp_path / "out"), "--phantoms", "4", "--train")
    quickstart.main()
    assert phantoms == [(tmp_path / "out" / "phantoms", 4, 0)]
    assert {value(command, "--dataset_dir") for command in commands} == {str(tmp_path / "out/phantoms")}
    assert "Results on phantoms: they prove that everything works" in capsys.readouterr().out


def test_the_table_is_aligned_and_an_absent_number_stays_absent(
    given: Callable[..., None], commands: Commands, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given("--data", str(tmp_path), "--output", str(tmp_path / "out"), "--train")
    quickstart.main()
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    start = lines.index("case  method    mae")
    assert lines[start + 1 : start + 3] == ["p1    CycleGAN  12.35", "p1    identity"]


def test_a_failed_command_ends_it(
    given: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, commands: Commands
) -> None:
    monkeypatch.setattr(quickstart.subprocess, "call", lambda command, **options: 7)
    given("--data", str(tmp_path), "--output", str(tmp_path / "out"), "--train")
    with pytest.raises(SystemExit, match="ended with exit status 7"):
        quickstart.main()
    assert commands == []
